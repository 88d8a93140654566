"""An experiment of the reader's own numbers, drawn many times over: how often it is rolled back, and how soon."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import ceil, inf

import numpy as np

from mahavishnu.errors import InvalidExperiment
from mahavishnu.stats.intervals import wilson
from mahavishnu.stats.paths import Array, Arrivals, Flags, found_after, success_reached

MOST_CANDIDATES = 1_000_000
MOST_RUNS = 100_000

_FIRST_LOOK = 8
"""The first eighth of a run is looked at for itself: where there is harm it has mostly been found by then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What is drawn: `effect` is the treatment's success rate less the control's; delays are in tasks."""

    baseline: float = 0.9
    effect: float = -0.05
    share: float = 0.1
    candidates: int = 10_000
    min_evidence: int = 100
    margin: float = 0.0
    alpha: float = 0.05
    delay: float = 0.0
    missing: float = 0.0

    def __post_init__(self) -> None:
        if problem := self._problem():
            raise InvalidExperiment(experiment="simulation", problem=problem)

    @property
    def harmful(self) -> bool:
        """Worse than its margin allows, so that it should be rolled back."""
        return self.effect < -self.margin

    def _problem(self) -> str | None:
        treatment = self.baseline + self.effect
        bounds = (
            (0 < self.baseline < 1, f"the baseline must lie above 0 and below 1, not {self.baseline}"),
            (0 <= treatment <= 1, f"baseline and effect together must lie between 0 and 1, not at {treatment:.4g}"),
            (0 < self.share < 1, f"the share must lie above 0 and below 1, not {self.share}"),
            (0 <= self.margin < 0.3, f"the margin must lie between 0 and 0.3, not {self.margin}"),
            (0 < self.alpha < 0.5, f"alpha must lie above 0 and below 0.5, not {self.alpha}"),
            (0 <= self.missing < 1, f"the share that is missing must lie between 0 and 1, not {self.missing}"),
            (0 <= self.delay < inf, f"the delay must be 0 or more tasks, not {self.delay}"),
            (
                1 <= self.min_evidence <= self.candidates <= MOST_CANDIDATES,
                f"it needs 1 or more outcomes of evidence, at least as many candidates, and at most {MOST_CANDIDATES}",
            ),
        )
        return next((problem for fine, problem in bounds if not fine), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """How many of the runs were rolled back, with Wilson's interval at 95 %, and after how many treated outcomes.

    Each level is None where fewer of all runs than that were rolled back.
    """

    scenario: Scenario
    runs: int
    seed: int
    rolled_back: int
    rate: float
    lo: float
    hi: float
    median: float | None
    p90: float | None


def simulate(
    scenario: Scenario, *, runs: int = 1_000, seed: int = 1, progress: Callable[[int], None] | None = None
) -> Simulated:
    """Draw it so many times. What comes of a seed is the same, however many processors there are.

    >>> found = simulate(Scenario(effect=-0.3, candidates=500), runs=20, seed=1)
    >>> found.rolled_back, found.median is not None and found.median < 200
    (20, True)
    """
    if not 1 <= runs <= MOST_RUNS:
        raise InvalidExperiment(experiment="simulation", problem=f"it can be run 1 to {MOST_RUNS} times, not {runs}")
    after: list[float] = []
    # numpy lets go of the interpreter while it counts, so that threads are enough for all processors.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for found_at in pool.map(lambda run: _run(scenario, seed, run), range(runs)):
            after.append(found_at)
            if progress is not None:
                progress(len(after))
    found = sum(each < inf for each in after)
    lo, hi = wilson(found, runs)
    return Simulated(
        scenario=scenario,
        runs=runs,
        seed=seed,
        rolled_back=found,
        rate=found / runs,
        lo=lo,
        hi=hi,
        median=_level(after, 0.5),
        p90=_level(after, 0.9),
    )


def _run(scenario: Scenario, seed: int, run: int) -> float:
    """After how many treated outcomes one run is rolled back; infinity if it never is."""
    arrivals = Arrivals(
        share=scenario.share, candidates=scenario.candidates, delay=scenario.delay, missing=scenario.missing
    )
    draws = np.random.default_rng([seed, run])
    treated, succeeded, share = arrivals.rates(draws, scenario.baseline, scenario.baseline + scenario.effect)
    some = ceil(len(treated) / _FIRST_LOOK)
    first = _found(scenario, treated[:some], succeeded[:some], share[:some])
    return first if first < inf else _found(scenario, treated, succeeded, share)


def _found(scenario: Scenario, treated: Flags, succeeded: Flags, share: Array) -> float:
    reached = success_reached(treated, succeeded, share, 1 / scenario.alpha, scenario.margin)
    return found_after(reached, treated, scenario.min_evidence, at_controls=True)


def _level(after: Sequence[float], level: float) -> float | None:
    """What so many of all runs lie below, those that were never rolled back among them."""
    found = sorted(after)[ceil(level * len(after)) - 1]
    return found if found < inf else None
