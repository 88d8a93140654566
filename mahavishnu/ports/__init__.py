"""The contracts: what an adapter, a policy, a store and a clock promise to the rest of the house."""

from mahavishnu.ports.adapters import Adapter, Call, Discovers, HostsWorkflows, Priced, RunRef, Streams
from mahavishnu.ports.clock import Clock
from mahavishnu.ports.policies import Policy
from mahavishnu.ports.stores import (
    Claim,
    Evidence,
    ExecutionQuery,
    Fact,
    Facts,
    Keys,
    Presence,
    Settlement,
    Snapshots,
    Store,
    StoreInfo,
    Targets,
    Workflows,
)
from mahavishnu.ports.trials import Program, TrialEngine, Tryable

__all__ = [
    "Adapter",
    "Call",
    "Claim",
    "Clock",
    "Discovers",
    "Evidence",
    "ExecutionQuery",
    "Fact",
    "Facts",
    "HostsWorkflows",
    "Keys",
    "Policy",
    "Presence",
    "Priced",
    "Program",
    "RunRef",
    "Settlement",
    "Snapshots",
    "Store",
    "StoreInfo",
    "Streams",
    "Targets",
    "TrialEngine",
    "Tryable",
    "Workflows",
]
