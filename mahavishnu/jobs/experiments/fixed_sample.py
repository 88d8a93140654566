"""An experiment by the tests for a planned sample: to be looked at once, when that sample is complete."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from math import fsum, log

from mahavishnu.jobs.experiments.reader import PAGE
from mahavishnu.model.experiment import ExperimentRun
from mahavishnu.ports import Store, Trial
from mahavishnu.stats.fixed import Finding, Sample, two_proportions, welch


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What the arms come to; latency and cost by their natural logarithms. None where there is too little of it."""

    treated: int
    controls: int
    success: Finding | None
    latency: Finding | None
    cost: Finding | None
    quality: Finding | None


async def look_once(store: Store, run: ExperimentRun) -> Looked:
    """Of what was read of it by now: the first outcome of each unit."""
    arms = {True: _Arm(), False: _Arm()}
    async for trial in first_trials(store, run):
        arms[trial.treated].add(trial)
    treated, control, alpha = arms[True], arms[False], run.experiment.alpha

    def means(of: Callable[[_Arm], Sequence[float]]) -> Finding | None:
        return welch(_sample(of(treated)), _sample(of(control)), alpha)

    return Looked(
        treated=treated.outcomes,
        controls=control.outcomes,
        success=two_proportions(treated.successes, treated.outcomes, control.successes, control.outcomes, alpha),
        latency=means(lambda arm: arm.latencies),
        cost=means(lambda arm: arm.costs),
        quality=means(lambda arm: arm.qualities),
    )


async def first_trials(store: Store, run: ExperimentRun) -> AsyncIterator[Trial]:
    """Everything that was read of an experiment, in its order: of units that came again only the first outcome."""
    seen: set[str] = set()
    since = 0
    while page := await store.trials(run.name, since, PAGE):
        since = page[-1].position
        for trial in page:
            if trial.position > run.cursor:
                return
            if trial.unit is None or trial.unit not in seen:
                yield trial
            if trial.unit is not None:
                seen.add(trial.unit)


@dataclass(slots=True)
class _Arm:
    outcomes: int = 0
    successes: int = 0
    latencies: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)
    qualities: list[float] = field(default_factory=list)

    def add(self, trial: Trial) -> None:
        self.outcomes += 1
        self.successes += trial.succeeded
        if trial.latency_ms:
            self.latencies.append(log(trial.latency_ms))
        if trial.cost_usd:
            self.costs.append(log(trial.cost_usd))
        if trial.quality is not None:
            self.qualities.append(trial.quality)


def _sample(values: Sequence[float]) -> Sample:
    count = len(values)
    mean = fsum(values) / count if count else 0.0
    variance = fsum((value - mean) ** 2 for value in values) / (count - 1) if count > 1 else 0.0
    return Sample(count=count, mean=mean, variance=variance)
