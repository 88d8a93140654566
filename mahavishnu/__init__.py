"""mahavishnu: an adaptive router that chooses, runs, records and learns."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mahavishnu.model import Decision, Execution, Outcome, Report, Result, Target, Task
    from mahavishnu.model.workflow import Step, Workflow

__all__ = ["Decision", "Execution", "Outcome", "Report", "Result", "Step", "Target", "Task", "Workflow"]

_ELSEWHERE = {"Step": "mahavishnu.model.workflow", "Workflow": "mahavishnu.model.workflow"}


def __getattr__(name: str) -> Any:
    """Imported at the first use (PEP 562): a command that needs none of them does not pay for them."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_ELSEWHERE.get(name, "mahavishnu.model")), name)
    globals()[name] = value
    return value
