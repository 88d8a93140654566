"""An experiment's file: TOML with the words of the options, read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from mahavishnu.cli.common.arguments import bad
from mahavishnu.errors import did_you_mean, nearest_name
from mahavishnu.settings import NotToml, text_of, told, toml_of


class _ChangeTable(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    order: list[str] | None = None
    policy: str | None = None
    objective: str | dict[str, float] | None = None
    instead: dict[str, str] = {}


class _GuardrailTable(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    measure: str
    margin: float = 0.0
    limit: float | None = None


class _Written(BaseModel):
    """The file: what does not stand in it is left to the options, and then to what an experiment begins with."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    task_types: list[str] | None = None
    treatment: _ChangeTable = _ChangeTable()
    control: _ChangeTable = _ChangeTable()
    share: float | None = None
    ramp: dict[str, float] | None = None
    unit: str | None = None
    layer: str | None = None
    traffic: float | None = None
    primary: str | None = None
    guardrails: list[_GuardrailTable] | None = None
    promote: bool | None = None
    alpha: float | None = None
    min_evidence: int | None = None
    max_days: float | None = None
    owner: str | None = None
    hypothesis: str | None = None


def read_file(path: Path) -> dict[str, Any]:
    """What stands in it, and nothing else. Raises a usage error."""
    try:
        written = _Written.model_validate(toml_of(text_of(path)))
    except OSError as error:
        raise bad("--file", f"{path} cannot be read: {error.strerror}") from None
    except (NotToml, UnicodeDecodeError) as error:
        raise bad("--file", f"{path} is not valid TOML: {error}") from None
    except ValidationError as error:
        raise bad("--file", _problem(path, error)) from None
    return written.model_dump(exclude_unset=True)


def _problem(path: Path, error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(each) for each in first["loc"])
    if first["type"] != "extra_forbidden":
        return f'{path}: "{where}" {told(first, first["input"])}'
    tables: Mapping[str, type[BaseModel]] = {
        "treatment": _ChangeTable,
        "control": _ChangeTable,
        "guardrails": _GuardrailTable,
    }
    table = tables.get(str(first["loc"][0]), _Written) if len(first["loc"]) > 1 else _Written
    nearest = nearest_name(str(first["loc"][-1]), table.model_fields)
    return f'{path}: unknown key "{where}"{did_you_mean(nearest)}'
