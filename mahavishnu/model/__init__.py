"""The nouns: frozen, without I/O."""

from mahavishnu.model.decision import Candidate, Considered, Decision, Ranked, Ranking
from mahavishnu.model.execution import Chunk, Execution, Result, Status, Usage
from mahavishnu.model.money import Micros
from mahavishnu.model.outcome import Outcome, Revision
from mahavishnu.model.report import Report
from mahavishnu.model.scorecard import DAY_US, NO_EVIDENCE, Daily, Estimate, Scorecard, day_of
from mahavishnu.model.snapshot import Snapshot, SnapshotKind
from mahavishnu.model.target import ANY, HEALTHY, CostModel, Health, HealthStatus, Target
from mahavishnu.model.task import Task

__all__ = [
    "ANY",
    "DAY_US",
    "HEALTHY",
    "NO_EVIDENCE",
    "Candidate",
    "Chunk",
    "Considered",
    "CostModel",
    "Daily",
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
    "SnapshotKind",
    "Status",
    "Target",
    "Task",
    "Usage",
    "day_of",
]
