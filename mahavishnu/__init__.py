"""mahavishnu: an adaptive router that chooses, runs, records and learns."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mahavishnu.app import App, open_app
    from mahavishnu.door import SyncApp, open  # noqa: A004 - mahavishnu.open(…) reads like open(…) of a file
    from mahavishnu.model import Decision, Execution, Outcome, Report, Result, Target, Task
    from mahavishnu.model.registry import target
    from mahavishnu.model.workflow import Step, Workflow

    __version__: str

__all__ = [
    "App",
    "Decision",
    "Execution",
    "Outcome",
    "Report",
    "Result",
    "Step",
    "SyncApp",
    "Target",
    "Task",
    "Workflow",
    "open",
    "open_app",
    "target",
]

_HOMES = {
    "App": "mahavishnu.app",
    "Decision": "mahavishnu.model",
    "Execution": "mahavishnu.model",
    "Outcome": "mahavishnu.model",
    "Report": "mahavishnu.model",
    "Result": "mahavishnu.model",
    "Step": "mahavishnu.model.workflow",
    "SyncApp": "mahavishnu.door",
    "Target": "mahavishnu.model",
    "Task": "mahavishnu.model",
    "Workflow": "mahavishnu.model.workflow",
    "open": "mahavishnu.door",
    "open_app": "mahavishnu.app",
    "target": "mahavishnu.model.registry",
}


def __getattr__(name: str) -> Any:
    """Import a name when it is first used (PEP 562), so that `import mahavishnu` alone costs next to nothing."""
    if name == "__version__":
        from importlib.metadata import version

        found: Any = version("mahavishnu")
    elif name in _HOMES:
        found = getattr(import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f'the module "mahavishnu" has no attribute "{name}"{_nearest(name)}')
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, "__version__"})


def _nearest(name: str) -> str:
    from mahavishnu.errors import nearest_name

    nearest = nearest_name(name, _HOMES)
    return f'; did you mean "{nearest}"?' if nearest else ""
