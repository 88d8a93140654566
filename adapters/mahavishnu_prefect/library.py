"""Prefect's own library, which only flows in this process need: importing it takes seconds, so it waits until then."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeGuard

from mahavishnu.errors import Misconfigured

if TYPE_CHECKING:
    from prefect import Flow


def require() -> None:
    """Raises Misconfigured where the library is not installed."""
    # Its library reports to its makers unless it is told not to; whoever set the variable has decided already.
    os.environ.setdefault("DO_NOT_TRACK", "1")
    try:
        import prefect  # noqa: F401
    except ModuleNotFoundError as absent:
        if absent.name != "prefect":
            raise
        raise Misconfigured(
            'a flow in this process needs Prefect\'s library; run: pip install "mahavishnu[prefect]"'
        ) from absent


def parameter_schema(entrypoint: str) -> dict[str, Any]:
    """What parameters the flow in a file takes, read off its source without running it."""
    require()
    from prefect.utilities.callables import parameter_schema_from_entrypoint

    return dict(parameter_schema_from_entrypoint(entrypoint).model_dump_for_openapi())


def is_flow(found: object) -> TypeGuard[Flow[..., Any]]:
    require()
    from prefect import Flow

    return isinstance(found, Flow)


def settings_for(url: str, api_key: str | None, basic_auth: str | None) -> AbstractContextManager[object]:
    """Within it, Prefect's library talks to this server, whatever its profile says."""
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_KEY, PREFECT_API_URL, temporary_settings

    given = {PREFECT_API_URL: url, PREFECT_API_KEY: api_key, PREFECT_API_AUTH_STRING: basic_auth}
    return temporary_settings(updates={setting: value for setting, value in given.items() if value})
