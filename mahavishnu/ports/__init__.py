"""The contracts: what an adapter, a policy, a store and a clock promise to the rest of the house."""

from mahavishnu.ports.adapters import Adapter, Call, Discovers, HostsWorkflows, Priced, RunRef, Streams
from mahavishnu.ports.backups import BackupManifest, Check, Progress, Restored, StoreLocation, Verification
from mahavishnu.ports.clock import Clock
from mahavishnu.ports.experiments import Assigned, Experiments, Observation, Stage
from mahavishnu.ports.facts import EVER, Between, Evidence, Fact, Settlement
from mahavishnu.ports.money import Charge, Cost, Ledger, Queue
from mahavishnu.ports.policies import Policy
from mahavishnu.ports.presence import Presence
from mahavishnu.ports.sandbox import HasSandbox, Program, SandboxEngine
from mahavishnu.ports.schedules import Scheduler, Upcoming
from mahavishnu.ports.stores import (
    Aggregates,
    Alerts,
    Claim,
    ExecutionQuery,
    Facts,
    Identifiers,
    JobRun,
    Jobs,
    Keeping,
    Kept,
    Keys,
    Retention,
    Snapshots,
    Store,
    StoreInfo,
    Targets,
    Workflows,
)

__all__ = [
    "EVER",
    "Adapter",
    "Aggregates",
    "Alerts",
    "Assigned",
    "BackupManifest",
    "Between",
    "Call",
    "Charge",
    "Check",
    "Claim",
    "Clock",
    "Cost",
    "Discovers",
    "Evidence",
    "ExecutionQuery",
    "Experiments",
    "Fact",
    "Facts",
    "HasSandbox",
    "HostsWorkflows",
    "Identifiers",
    "JobRun",
    "Jobs",
    "Keeping",
    "Kept",
    "Keys",
    "Ledger",
    "Observation",
    "Policy",
    "Presence",
    "Priced",
    "Program",
    "Progress",
    "Queue",
    "Restored",
    "Retention",
    "RunRef",
    "SandboxEngine",
    "Scheduler",
    "Settlement",
    "Snapshots",
    "Stage",
    "Store",
    "StoreInfo",
    "StoreLocation",
    "Streams",
    "Targets",
    "Upcoming",
    "Verification",
    "Workflows",
]
