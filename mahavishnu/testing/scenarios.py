"""Simulated targets: how they succeed, how long they take, what they cost, and how that changes while tasks go by."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from random import Random

from mahavishnu.engine.routing.candidate_pool import Pool
from mahavishnu.model import NO_EVIDENCE, Estimate, Snapshot, Target, Task
from mahavishnu.ports import Policy
from mahavishnu.stats.intervals import wilson
from mahavishnu.stats.thompson import DISCOUNT

Law = Callable[[int], float]
"""A figure as a function of how many tasks have gone by."""

TASK = Task(type="simulated", text="x")
TASK_US = 1_000_000
"""From one task to the next."""


@dataclass(frozen=True)
class Always:
    """Stays the same."""

    value: float

    def __call__(self, number: int) -> float:
        del number
        return self.value


@dataclass(frozen=True)
class Step:
    """Changes at once, with the task of number `at`.

    >>> turned_bad = Step(0.95, 0.60, at=10_000)
    >>> turned_bad(9_999), turned_bad(10_000)
    (0.95, 0.6)
    """

    before: float
    after: float
    at: int

    def __call__(self, number: int) -> float:
        return self.before if number < self.at else self.after


@dataclass(frozen=True)
class Drift:
    """Changes steadily between two tasks.

    >>> ageing = Drift(100.0, 300.0, begins=0, ends=10)
    >>> ageing(0), ageing(5), ageing(99)
    (100.0, 200.0, 300.0)
    """

    before: float
    after: float
    begins: int
    ends: int

    def __call__(self, number: int) -> float:
        share = min(max((number - self.begins) / (self.ends - self.begins), 0.0), 1.0)
        return self.before + (self.after - self.before) * share


@dataclass(frozen=True, kw_only=True)
class SimulatedTarget:
    """Succeeds with a probability; latency and cost are lognormal around their medians, with these sigmas."""

    name: str
    success: Law
    latency_ms: Law = Always(100.0)
    latency_sigma: float = 0.0
    cost_usd: Law = Always(0.0)
    cost_sigma: float = 0.0

    def target(self, place: int) -> Target:
        return Target(name=self.name, adapter="simulated", run=self.name, task_types=frozenset({"*"}), place=place)

    def attempt(self, number: int, rng: Random) -> Attempt:
        """What comes of giving it the task with this number."""
        return Attempt(
            succeeded=rng.random() < self.success(number),
            latency_ms=_around(self.latency_ms(number), self.latency_sigma, rng),
            cost_usd=_around(self.cost_usd(number), self.cost_sigma, rng),
        )


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of one task."""

    succeeded: bool
    latency_ms: float
    cost_usd: float


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Targets and a number of tasks, and how what came of them is heard of.

    What came of a task is known `mean_delay` tasks later on average (exponentially distributed); of a share `missing`
    nobody ever hears.
    """

    name: str
    targets: Sequence[SimulatedTarget]
    tasks: int = 20_000
    mean_delay: float = 0.0
    missing: float = 0.0

    def best(self, number: int) -> float:
        return max(each.success(number) for each in self.targets)


@dataclass(slots=True)
class Course:
    """How a scenario went: which target each task was given to, and what that cost in expected successes."""

    choices: list[int] = field(default_factory=list)
    regret: float = 0.0
    successes: int = 0
    cost_usd: float = 0.0

    def share(self, place: int, since: int = 0) -> float:
        """The share of the tasks, from one on, that a target was given."""
        return self.choices[since:].count(place) / max(len(self.choices) - since, 1)


def play(scenario: Scenario, policy: Policy, seed: int, discount: float = DISCOUNT) -> Course:
    """Let a policy choose for every task of a scenario, with the evidence that an engine would hand to it.

    >>> pair = [SimulatedTarget(name="good", success=Always(0.9)), SimulatedTarget(name="bad", success=Always(0.5))]
    >>> from mahavishnu.policies.adaptive import Adaptive
    >>> course = play(Scenario(name="pair", targets=pair, tasks=500), Adaptive(), seed=1)
    >>> course.share(0) > 0.8
    True
    """
    world, rng = Random(f"world {seed}"), Random(f"policy {seed}")
    seen = [_Seen() for _ in scenario.targets]
    pool = Pool(discount)
    pool.set_up([each.target(place) for place, each in enumerate(scenario.targets)], [NO_EVIDENCE] * len(seen))
    places = {each.name: place for place, each in enumerate(scenario.targets)}
    due: defaultdict[int, list[tuple[int, Attempt]]] = defaultdict(list)
    course = Course()
    for number in range(scenario.tasks):
        for place, attempt in due.pop(number, ()):
            seen[place].add(attempt, number)
            pool.learn({place: seen[place].estimate()})
        ranking = policy.rank(TASK, pool.everybody(), Snapshot(), number * TASK_US, rng)
        place = places[ranking.first.target.name]
        attempt = scenario.targets[place].attempt(number, world)
        course.choices.append(place)
        course.regret += scenario.best(number) - scenario.targets[place].success(number)
        course.successes += attempt.succeeded
        course.cost_usd += attempt.cost_usd
        if scenario.missing == 0 or world.random() >= scenario.missing:
            wait = world.expovariate(1 / scenario.mean_delay) if scenario.mean_delay else 0.0
            due[number + 1 + int(wait)].append((place, attempt))
    return course


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """Two targets, of which the treatment is given a share of the tasks by chance; and how what came is heard of.

    As in a scenario, what came of a task is known `mean_delay` tasks later on average, and of a share `missing` never.
    """

    control: SimulatedTarget
    treatment: SimulatedTarget
    share: Law = Always(0.1)
    tasks: int = 20_000
    mean_delay: float = 0.0
    missing: float = 0.0


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of one task of a simulation: of which arm it was, and how likely it had been to be treated."""

    treated: bool
    probability: float
    attempt: Attempt


def hear(simulation: Simulation, seed: int) -> Iterator[Heard]:
    """What comes of the tasks of a simulation, in the order in which it is heard of.

    >>> worse = SimulatedTarget(name="new", success=Always(0.7))
    >>> simulation = Simulation(control=SimulatedTarget(name="old", success=Always(0.9)), treatment=worse, tasks=3_000)
    >>> from mahavishnu.stats.betting import AssignmentBet
    >>> bet = AssignmentBet()
    >>> for heard in hear(simulation, seed=1):
    ...     bet.add(heard.treated, heard.attempt.succeeded, heard.probability)
    >>> bet.e_value > 20
    True
    """
    rng = Random(f"simulation {seed}")
    under_way: list[tuple[float, int, Heard]] = []
    for number in range(simulation.tasks):
        probability = simulation.share(number)
        treated = rng.random() < probability
        attempt = (simulation.treatment if treated else simulation.control).attempt(number, rng)
        wait = rng.expovariate(1 / simulation.mean_delay) if simulation.mean_delay else 0.0
        if rng.random() >= simulation.missing:
            heappush(under_way, (number + wait, number, Heard(treated, probability, attempt)))
        while under_way and under_way[0][0] <= number:
            yield heappop(under_way)[2]
    while under_way:
        yield heappop(under_way)[2]


class _Seen:
    """The evidence for one target: counts, and the middle of its latencies and costs."""

    def __init__(self) -> None:
        self._samples = 0
        self._successes = 0
        self._log_latency = 0.0
        self._cost_usd = 0.0
        self._last_us = 0

    def add(self, attempt: Attempt, number: int) -> None:
        self._samples += 1
        self._cost_usd += attempt.cost_usd
        self._last_us = number * TASK_US
        if attempt.succeeded:
            self._successes += 1
            self._log_latency += math.log(attempt.latency_ms)

    def estimate(self) -> Estimate:
        lo, hi = wilson(self._successes, self._samples)
        # The median of a lognormal is e to the mean of the logarithms; the tail is of no interest to anybody here.
        median = math.exp(self._log_latency / self._successes) if self._successes else None
        return Estimate(
            samples=self._samples,
            effective=self._samples,
            successes=self._successes,
            rate=self._successes / self._samples,
            wilson_lo=lo,
            wilson_hi=hi,
            p50_ms=median,
            p95_ms=median,
            p99_ms=median,
            mean_latency_ms=median,
            mean_cost_micros=self._cost_usd / self._samples * 1e6,
            quality=None,
            last_at_us=self._last_us,
        )


def _around(median: float, sigma: float, rng: Random) -> float:
    return median * math.exp(rng.gauss(0.0, sigma)) if sigma else median
