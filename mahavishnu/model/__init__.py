"""The nouns: frozen, without I/O."""

from mahavishnu.model.budget import (
    Account,
    Balance,
    Budget,
    EntryKind,
    LedgerEntry,
    OnExhausted,
    Period,
    Reservation,
    Shortfall,
    Spender,
)
from mahavishnu.model.decision import Candidate, Considered, Decision, Ranked, Ranking
from mahavishnu.model.execution import Chunk, Execution, Result, Status, Usage
from mahavishnu.model.money import Micros
from mahavishnu.model.outcome import Outcome, Revision
from mahavishnu.model.process import Process
from mahavishnu.model.report import Report
from mahavishnu.model.scorecard import DAY_US, NO_EVIDENCE, Daily, Estimate, Scorecard, day_of
from mahavishnu.model.snapshot import Snapshot, SnapshotKind
from mahavishnu.model.target import ANY, BROKEN, HEALTHY, CostModel, Health, HealthStatus, Target, broken_on_purpose
from mahavishnu.model.task import Task

__all__ = [
    "ANY",
    "BROKEN",
    "DAY_US",
    "HEALTHY",
    "NO_EVIDENCE",
    "Account",
    "Balance",
    "Budget",
    "Candidate",
    "Chunk",
    "Considered",
    "CostModel",
    "Daily",
    "Decision",
    "EntryKind",
    "Estimate",
    "Execution",
    "Health",
    "HealthStatus",
    "LedgerEntry",
    "Micros",
    "OnExhausted",
    "Outcome",
    "Period",
    "Process",
    "Ranked",
    "Ranking",
    "Report",
    "Reservation",
    "Result",
    "Revision",
    "Scorecard",
    "Shortfall",
    "Snapshot",
    "SnapshotKind",
    "Spender",
    "Status",
    "Target",
    "Task",
    "Usage",
    "broken_on_purpose",
    "day_of",
]
