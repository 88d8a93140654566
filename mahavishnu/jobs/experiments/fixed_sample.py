"""An experiment by the tests for a planned sample: to be looked at once, when that sample is complete."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from math import fsum, log

from mahavishnu.jobs.experiments.reader import PAGE
from mahavishnu.model.experiment import ExperimentRun
from mahavishnu.ports import Observation, Store
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
    async for observation in first_observations(store, run):
        arms[observation.treated].add(observation)
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


async def first_observations(store: Store, run: ExperimentRun) -> AsyncIterator[Observation]:
    """Everything that was read of an experiment, in its order: of units that came again only the first outcome."""
    seen: set[str] = set()
    since = 0
    while page := await store.observations(run.name, since, PAGE):
        since = page[-1].position
        for observation in page:
            if observation.position > run.cursor:
                return
            if observation.unit is None or observation.unit not in seen:
                yield observation
            if observation.unit is not None:
                seen.add(observation.unit)


@dataclass(slots=True)
class _Arm:
    outcomes: int = 0
    successes: int = 0
    latencies: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)
    qualities: list[float] = field(default_factory=list)

    def add(self, observation: Observation) -> None:
        self.outcomes += 1
        self.successes += observation.succeeded
        if observation.latency_ms:
            self.latencies.append(log(observation.latency_ms))
        if observation.cost_usd:
            self.costs.append(log(observation.cost_usd))
        if observation.quality is not None:
            self.qualities.append(observation.quality)


def _sample(values: Sequence[float]) -> Sample:
    count = len(values)
    mean = fsum(values) / count if count else 0.0
    variance = fsum((value - mean) ** 2 for value in values) / (count - 1) if count > 1 else 0.0
    return Sample(count=count, mean=mean, variance=variance)
