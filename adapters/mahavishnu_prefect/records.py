"""What Prefect's REST API tells about flows, deployments and flow runs, as far as it matters here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from mahavishnu.model import Status

_ENDED: Mapping[str, Status] = {
    "COMPLETED": Status.SUCCEEDED,
    "FAILED": Status.FAILED,
    "CRASHED": Status.FAILED,
    "CANCELLED": Status.CANCELLED,
}
"""The terminal types of a state. Its name is no guide: Late, AwaitingRetry, TimedOut, or what a flow's author says."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class State(_Record):
    type: str
    name: str = ""
    message: str | None = None


class FlowRun(_Record):
    """A flow run as it is now."""

    id: str
    name: str = ""
    flow_id: str
    deployment_id: str | None = None
    state: State | None = None
    seconds: float = Field(default=0.0, validation_alias="total_run_time")

    @property
    def type(self) -> str:
        return self.state.type if self.state else "SCHEDULED"

    @property
    def status(self) -> Status:
        return _ENDED.get(self.type, Status.RUNNING)

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop, or has stopped because it was told to."""
        return self.type in ("CANCELLING", "CANCELLED")

    @property
    def words(self) -> str:
        """Its state in Prefect's own words."""
        if self.state is None:
            return self.type
        return f"{self.state.name or self.type}: {self.state.message}" if self.state.message else self.state.name


class Named(_Record):
    """Anything that has an id and a name: a flow, for one."""

    id: str
    name: str


class Deployment(_Record):
    id: str
    name: str
    flow_id: str
    paused: bool = False
    status: str | None = None
    work_pool_name: str | None = None
    parameters: dict[str, Any] = {}
    schema_: dict[str, Any] | None = Field(default=None, validation_alias="parameter_openapi_schema")
    enforced: bool = Field(default=True, validation_alias="enforce_parameter_schema")
    tags: list[str] = []


class WorkPool(_Record):
    name: str
    status: str | None = None


class Artifact(_Record):
    data: Any = None


FLOW_RUN = TypeAdapter(FlowRun)
FLOW_RUNS = TypeAdapter(list[FlowRun])
NAMED = TypeAdapter(Named)
ALL_NAMED = TypeAdapter(list[Named])
DEPLOYMENT = TypeAdapter(Deployment)
DEPLOYMENTS = TypeAdapter(list[Deployment])
WORK_POOL = TypeAdapter(WorkPool)
ARTIFACTS = TypeAdapter(list[Artifact])
ANYTHING: TypeAdapter[Any] = TypeAdapter(Any)
