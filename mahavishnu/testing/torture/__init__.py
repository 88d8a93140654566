"""The torture kit: real processes work on one store under faults, and every promise is checked after each round."""

from mahavishnu.testing.torture.clock import SkewedClock
from mahavishnu.testing.torture.coordinator import Options, torture
from mahavishnu.testing.torture.plan import Fault, Kind, Round, round_of
from mahavishnu.testing.torture.report import Report, RoundReport
from mahavishnu.testing.torture.verdicts import Verdict

__all__ = [
    "Fault",
    "Kind",
    "Options",
    "Report",
    "Round",
    "RoundReport",
    "SkewedClock",
    "Verdict",
    "round_of",
    "torture",
]
