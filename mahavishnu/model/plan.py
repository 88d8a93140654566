"""Plan: what planning publishes with the scores."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How one target stands against the others of its task type.

    `dominated_by` are the targets that are as good in everything and better in something; none of them, and it is on
    the frontier. `probability` is how sure that is: the share of the worlds that the evidence leaves possible in which
    nobody dominates it. Cost and latency are means; `quality` is None where somebody was never rated.
    """

    target: str
    samples: float
    success: float
    cost_micros: float
    latency_ms: float | None
    quality: float | None
    dominated_by: tuple[str, ...]
    probability: float

    @property
    def on_frontier(self) -> bool:
        return not self.dominated_by


Frontier = tuple[Standing, ...]
"""Everybody who has been seen at one task type, the likeliest members of the frontier first."""
