"""What policies share: evidence in words, and a name for a version."""

from __future__ import annotations

from decimal import Decimal
from hashlib import sha256
from math import isfinite

from mahavishnu.model import Candidate
from mahavishnu.model.objective import Objective


def figures(candidate: Candidate) -> str:
    """The evidence for one candidate, the way a person would say it.

    >>> from mahavishnu.model import NO_EVIDENCE, Target
    >>> from dataclasses import replace
    >>> target = Target(name="etl-b", adapter="local", run="m:f", task_types={"etl"})
    >>> seen = replace(NO_EVIDENCE, samples=412, successes=400, rate=400 / 412, wilson_lo=0.95, wilson_hi=0.98,
    ...                p95_ms=180.0, mean_cost_micros=2000.0)
    >>> figures(Candidate(target, seen))
    '97 % success (95–98, n=412), $0.002, p95 180 ms'
    >>> figures(Candidate(target, NO_EVIDENCE))
    'no evidence yet'
    """
    seen = candidate.estimate
    if seen.rate is None:
        return "no evidence yet"
    interval = f"{percent(seen.wilson_lo)}–{percent(seen.wilson_hi)}"
    parts = [f"{percent(seen.rate)} % success ({interval}, n={seen.samples:.0f})"]
    if seen.mean_cost_micros is not None:
        parts.append(money(seen.mean_cost_micros))
    if seen.p95_ms is not None:
        parts.append(f"p95 {milliseconds(seen.p95_ms)}")
    return ", ".join(parts)


def weighed_by(objective: Objective | None, price: float = 0.0) -> str:
    """What a choice was weighed by besides the policy's options, to follow the evidence; nothing where nothing was.

    >>> weighed_by(Objective(success=0.3, latency=0.7), 3.6), weighed_by(None)
    ('; for latency, at a price of 3.6 successes a dollar', '')
    """
    parts = [] if objective is None else [f"for {objective}"]
    if price:
        parts.append(f"at a price of {price:.3g} successes a dollar")
    return f"; {', '.join(parts)}" if parts else ""


def percent(share: float) -> str:
    """A share as whole percents; 100 and 0 only where it is all or nothing. What is no number is said to be none.

    >>> percent(0.999), percent(1.0), percent(0.004)
    ('99', '100', '1')
    """
    if not isfinite(share * 100):
        return str(share)
    whole = round(share * 100)
    if share < 1:
        whole = min(whole, 99)
    if share > 0:
        whole = max(whole, 1)
    return str(whole)


def money(micros: float) -> str:
    """Micro-dollars as dollars, to two significant digits below a cent.

    >>> money(2000), money(1_250_000), money(0), money(3)
    ('$0.002', '$1.25', 'free', '$0.000003')
    """
    if not micros:
        return "free"
    amount = micros / 1e6
    if amount >= 0.01:
        return f"${amount:.2f}"
    return f"${Decimal(f'{amount:.2g}'):f}"


def milliseconds(value: float) -> str:
    """
    >>> milliseconds(180.4), milliseconds(0.0123), milliseconds(12_000)
    ('180 ms', '0.012 ms', '12000 ms')
    """
    return f"{value:.0f} ms" if value >= 10 else f"{value:.2g} ms"


def version_of(policy: object, code: int) -> str:
    """A version that changes with the code (by hand) and with the options (by itself)."""
    return f"{code}-{sha256(repr(policy).encode()).hexdigest()[:8]}"
