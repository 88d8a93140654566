"""Reading: what an experiment's evidence says by now, in numbers that can be worked out again from the facts."""

from __future__ import annotations

from dataclasses import dataclass

from mahavishnu.model.experiment import Measure


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """What one arm has had: units assigned, units of which a first outcome was heard, and what those came to.

    Rates and means are of the outcomes that were heard; None of none. Latency is that of the successful ones.
    """

    assigned: int
    outcomes: int
    successes: int
    success: float | None
    latency_ms: float | None
    cost_usd: float | None
    quality: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardrailReading:
    """`worse` is the e-value against "no worse than the margin allows", `better` against "worse by the margin or more".

    `lo` and `hi` are where the difference (treatment less control) lies, by the same bets and at any time, with the
    experiment's alpha for each end; of latency and cost there is none.
    """

    measure: Measure
    margin: float
    worse: float
    better: float
    lo: float | None = None
    hi: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The e-values after so many outcomes: `worse` of all guardrails together, `better` of the primary measure, `ratio`
    of the arms being filled wrongly; and the share that the treatment was to have."""

    outcomes: int
    treated: int
    worse: float
    better: float
    ratio: float
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """`needed` is the e-value at which is acted, of harm or benefit; `ratio_needed` that of a wrong ratio.

    `share` is the treatment's among the units of which anything was heard, `expected_share` what it was to be.
    `repeated` outcomes were of units that had been heard of before: only the first one of each is read.
    """

    treatment: Arm
    control: Arm
    guardrails: tuple[GuardrailReading, ...]
    worse: float
    better: float
    needed: float
    ratio: float
    ratio_needed: float
    share: float | None
    expected_share: float | None
    repeated: int
    path: tuple[Point, ...]
