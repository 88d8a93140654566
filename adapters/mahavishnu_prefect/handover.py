"""The result contract: a flow run hands its value over in an artifact, which lives on the server, not on a worker."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticSerializationError, to_jsonable_python

from mahavishnu.errors import Crashed
from mahavishnu.errors.wording import in_plain_words
from mahavishnu_prefect.records import ARTIFACTS
from mahavishnu_prefect.rest import Api


class Delivery(BaseModel):
    """What the artifact holds: its key is `mahavishnu-<flow run id>`, its data are these fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: Any = None
    cost_usd: Decimal | None = Field(default=None, ge=0, allow_inf_nan=False)
    quality: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)


def deliver(value: Any, cost_usd: Decimal | str | float | None = None, quality: float | None = None) -> None:
    """Hand a value over to whoever asked for this flow run; to be called inside a flow, async or not.

    The value must be JSON, or something that pydantic can turn into it. Delivering again replaces what was delivered
    before. Raises ValueError where the value cannot be written down, and RuntimeError outside of a flow run.
    """
    cost = None if cost_usd is None else Decimal(str(cost_usd))
    delivery = Delivery(value=as_json(value), cost_usd=cost, quality=quality)

    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import ArtifactCreate
    from prefect.runtime import flow_run

    run_id = flow_run.get_id()
    if run_id is None:
        raise RuntimeError("deliver() hands over the value of a flow run; call it inside a function with @flow")
    with get_client(sync_client=True) as client:
        client.create_artifact(
            ArtifactCreate(
                key=_key(run_id),
                type="json",
                description="What this flow run handed over to mahavishnu.",
                data=delivery.model_dump(mode="json"),
                flow_run_id=UUID(run_id),
            )
        )


async def delivered(api: Api, run_id: str) -> Delivery | None:
    """What a run has handed over, if anything. Raises Crashed where it is not as the contract has it."""
    wanted = {"flow_run_id": {"any_": [run_id]}, "key": {"any_": [_key(run_id)]}}
    found = await api.ask(ARTIFACTS, "/artifacts/filter", {"artifacts": wanted, "sort": "CREATED_DESC", "limit": 1})
    if not found:
        return None
    data = found[0].data
    try:
        return Delivery.model_validate(json.loads(data) if isinstance(data, str) else data)
    except ValidationError as problem:
        first = problem.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "data"
        raise Crashed(
            f"the artifact {_key(run_id)} is not what deliver() writes: {where} {in_plain_words(first['msg'])}"
        ) from None
    except ValueError:
        raise Crashed(f"the artifact {_key(run_id)} holds text that is no JSON; write it with deliver()") from None


def as_json(value: Any) -> Any:
    """The value as JSON has it. Raises ValueError with the mend."""
    try:
        plain = to_jsonable_python(value)
        json.dumps(plain, allow_nan=False)
    except (PydanticSerializationError, TypeError, ValueError, RecursionError) as problem:
        raise ValueError(
            f"{type(value).__name__} cannot be written as JSON ({problem}); "
            "give text, numbers, lists, dicts, dataclasses or models"
        ) from problem
    return plain


def _key(run_id: object) -> str:
    return f"mahavishnu-{run_id}"
