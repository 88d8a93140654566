"""mahavishnu: an adaptive router that chooses, runs, records and learns."""

from mahavishnu.model import Decision, Execution, Outcome, Report, Result, Target, Task
from mahavishnu.model.workflow import Step, Workflow

__all__ = ["Decision", "Execution", "Outcome", "Report", "Result", "Step", "Target", "Task", "Workflow"]
