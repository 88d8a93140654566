"""UnifiedOrchestrator: the adaptive router's one call for a workflow or a task (A.1, I.1), over the one engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, overload

from mahavishnu.compat.asked import task_of
from mahavishnu.errors import InvalidTask
from mahavishnu.model import Report, Task
from mahavishnu.model.workflow import Workflow
from mahavishnu.model.workflow_run import WorkflowReport

if TYPE_CHECKING:
    from mahavishnu.app import App


class UnifiedOrchestrator:
    """Runs workflows and tasks. Every decision and every attempt is recorded without a call to the tracker."""

    def __init__(self, app: App) -> None:
        self._app = app

    @overload
    async def execute_workflow(self, workflow: Workflow, inputs: Mapping[str, Any] | None = None) -> WorkflowReport: ...
    @overload
    async def execute_workflow(self, workflow: Task | str | Mapping[str, Any]) -> Report: ...
    async def execute_workflow(
        self, workflow: Workflow | Task | str | Mapping[str, Any], inputs: Mapping[str, Any] | None = None
    ) -> WorkflowReport | Report:
        """Run a Workflow with its inputs; a task, the name of a task type or a table of its fields runs as one task.

        Raises what `WorkflowRunner.execute_workflow` or `execute` raises. A task takes no inputs: InvalidTask.
        """
        if isinstance(workflow, Workflow):
            return await self._app.workflows.execute_workflow(workflow, inputs)
        if inputs is not None:
            raise InvalidTask(field="inputs", problem="are for a Workflow; give a task its payload instead")
        return await self._app.orchestrator.execute(task_of(workflow))
