"""The nouns: frozen, without I/O."""

from mahavishnu.model.decision import Candidate, Considered, Decision, Ranked, Ranking
from mahavishnu.model.execution import Chunk, Execution, Result, Status, Usage
from mahavishnu.model.money import Micros
from mahavishnu.model.outcome import Outcome, Revision
from mahavishnu.model.report import Report
from mahavishnu.model.scorecard import NO_EVIDENCE, Estimate, Scorecard
from mahavishnu.model.snapshot import Snapshot
from mahavishnu.model.target import ANY, HEALTHY, CostModel, Health, HealthStatus, Target
from mahavishnu.model.task import Task

__all__ = [
    "ANY",
    "HEALTHY",
    "NO_EVIDENCE",
    "Candidate",
    "Chunk",
    "Considered",
    "CostModel",
    "Decision",
    "Estimate",
    "Execution",
    "Health",
    "HealthStatus",
    "Micros",
    "Outcome",
    "Ranked",
    "Ranking",
    "Report",
    "Result",
    "Revision",
    "Scorecard",
    "Snapshot",
    "Status",
    "Target",
    "Task",
    "Usage",
]
