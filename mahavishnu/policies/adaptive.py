"""Adaptive: Thompson sampling on what has been seen lately, with a floor under everybody's chances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from math import inf
from random import Random
from typing import Any, NamedTuple

from mahavishnu.model import Candidate, Ranked, Ranking, Snapshot, Task
from mahavishnu.model.objective import Objective
from mahavishnu.policies.chain import following
from mahavishnu.policies.explain import figures, percent, version_of, weighed_by
from mahavishnu.stats.columns import Candidates, Column, Worth
from mahavishnu.stats.scoring import AT_BEST, Scoring, nearness
from mahavishnu.stats.thompson import Beliefs

CONFIDENCE_KIND = "wilson_lower_95"

MOST_WEIGHINGS = 256
"""Objectives and prices that are remembered at once: tasks may bring whatever weights they like."""

_MOST, _MOST_USD = 1e200, 1e12
"""The largest charge for a dollar, and the most dollars for a run: their product is a number."""

_MOST_CHARGE = 1e9
"""Successes that a run is charged with at most: beside more of them a drawn rate would be lost in the rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adaptive(Scoring):
    """Draws a success rate for each candidate from what is believed of it, and takes the one that would be best.

    utility = success_weight · (drawn rate - price · mean cost in dollars) + speed_weight · speed + cost_weight ·
    cheapness + quality_weight · quality. The belief is a Beta distribution: the prior, plus successes and failures,
    each of which weighs less with every one that follows (see `stats.thompson.Beliefs`). So a target is chosen as often
    as it may be the best one, and what has not been seen for long is uncertain again. Chapelle & Li, "An empirical
    evaluation of Thompson sampling", NIPS 2011.

    The weights are those of the task's own objective, or of the strategy published for its type, or else the options.
    `price` is what a dollar is worth elsewhere, in successes: the one published for the type, or else the option. It
    makes spending follow a budget (see `planning.prices`).

    A new target starts from `prior_successes` and `prior_failures`, which is also what an idle one fades back to: a
    little hopeful, so that one which has recovered is found. It is taken for as fast as `fast_ms`, free and good until
    it has been seen: as much evidence as the prior weighs moves that half way to what was observed. Against a price it
    is taken for free until it was billed for the first time; what it costs is never forgotten. A share `exploration` of
    the choices goes to all candidates alike, so that no chance is ever nothing; what admission keeps out (health, SLA,
    exclusion) gets no share of it.

    Behind the first choice the chain is not drawn: it follows the order that was published for the task type, and what
    is not in that follows by its expected utility (`policies.chain`). Under a task's own objective all of it does.

    Which one comes first is drawn at once. How likely each was to come first is an integral (`stats.chances`), the
    same whenever it is worked out, and is left to whoever writes the decision down.

    >>> from mahavishnu.model import NO_EVIDENCE, Target
    >>> from dataclasses import replace
    >>> seen = replace(NO_EVIDENCE, samples=90, effective=90, successes=80, rate=80 / 90, p50_ms=90.0)
    >>> pair = [Candidate(Target(name=n, adapter="local", run="m:f", task_types={"t"}), e)
    ...         for n, e in (("a", seen), ("new", NO_EVIDENCE))]
    >>> ranking = Adaptive().rank(Task(type="t", text="x"), pair, Snapshot(), 0, Random(0))
    >>> sorted((each.candidate.target.name, round(each.probability, 2)) for each in ranking.chain)
    [('a', 0.88), ('new', 0.12)]
    """

    price: float = 0.0
    prior_successes: float = 1.0
    prior_failures: float = 1.0
    exploration: float = 0.001

    def __post_init__(self) -> None:
        Scoring.__post_init__(self)
        if not 0 <= self.price < inf:
            raise ValueError("price must be 0 or more successes a dollar")
        if not (1 <= self.prior_successes <= 1e6 and 1 <= self.prior_failures <= 1e6):
            raise ValueError("prior_successes and prior_failures must lie between 1 and 1000000")
        if not 0 < self.exploration <= 1:
            raise ValueError("exploration must lie above 0, and at most at 1")

    @property
    def name(self) -> str:
        return "adaptive"

    @property
    def version(self) -> str:
        return version_of(self, code=3)

    def rank(
        self, task: Task, candidates: Sequence[Candidate], snapshot: Snapshot, now_us: int, rng: Random
    ) -> Ranking:
        del now_us
        known = candidates if isinstance(candidates, Candidates) else from_estimates(candidates)
        objective = task.objective or snapshot.strategies.get(task.type)
        weighing = self.weighing(objective, snapshot.prices.get(task.type, self.price))
        # A published order rests on the strategy of the type. A task's own objective asks for something else.
        published = snapshot.orders.get(task.type, ()) if task.objective is None else ()
        return weighing.draw(known, objective, published, rng)

    def draw(self, known: Candidates, objective: Objective | None, published: Sequence[str], rng: Random) -> Ranking:
        """A ranking by its own weights, which are the objective's where there is one."""
        field = known.memory(self._field)
        draw = rng.random()
        utilities = self._draw_few(field, rng) if known.few else self._draw_many(field, rng)
        if draw < self.exploration:
            place = int(draw / self.exploration * len(known))
        else:
            place = utilities.index(max(utilities)) if known.few else int(utilities.argmax())
        first = known[place]
        return Ranking.deferred(
            _Drawn(self, objective, known, published, field, utilities, place, exploring=draw < self.exploration),
            first=first,
            confidence=first.estimate.wilson_lo,
            confidence_kind=CONFIDENCE_KIND,
        )

    def weighing(self, objective: Objective | None, price: float) -> Adaptive:
        """The policy under an objective and a price; itself where neither says anything else."""
        if objective is None and price == self.price:
            return self
        return _weighing(self, objective, price)

    def expected(self, candidates: Candidates) -> Column:
        """Each one's utility as it is to be expected: what a choice without any chance in it would go by."""
        base, alpha, beta = candidates.memory(self._field)
        weight = self.success_weight
        if candidates.few:
            return [start + weight * a / (a + b) for start, a, b in zip(base, alpha, beta, strict=True)]
        return base + weight * alpha / (alpha + beta)

    def chances(self, candidates: Candidates) -> list[float]:
        """How likely each is to come first: the same whenever it is asked, however the draw came out."""
        count = len(candidates)
        if count == 1:
            return [1.0]
        import numpy as np

        from mahavishnu.stats.chances import chances

        field = candidates.memory(self._field)
        base, alpha, beta = (np.asarray(column, dtype=np.float64) for column in field)
        drawn = chances(base, self.success_weight, alpha, beta)
        shares: list[float] = ((1 - self.exploration) * drawn + self.exploration / count).tolist()
        return shares

    def _field(self, candidates: Candidates) -> _Field:
        """For each candidate what its utility starts from, and the parameters of the belief about its success."""
        worth = self._worth(candidates)
        successes, failures = candidates.successes, candidates.failures
        prior = self.prior_successes + self.prior_failures
        unseen = prior * (self.speed_weight * AT_BEST + self.cost_weight + self.quality_weight)
        if candidates.few:
            alpha = [self.prior_successes + count for count in successes]
            beta = [self.prior_failures + count for count in failures]
            totals = zip(worth, alpha, beta, strict=True)
            base = [(unseen + (a + b - prior) * w) / (a + b) for w, a, b in totals]
        else:
            alpha, beta = self.prior_successes + successes, self.prior_failures + failures
            total = alpha + beta
            base = (unseen + (total - prior) * worth) / total
        return _Field(self._charged(base, candidates), alpha, beta)

    def worth(self, candidate: Candidate) -> float:
        """What it is worth besides succeeding, as far as it was seen."""
        return self.besides(candidate.estimate)

    def _worth(self, candidates: Candidates) -> Column:
        return candidates.column(self.worth)

    def _charged(self, base: Column, candidates: Candidates) -> Column:
        """What each starts from, less what it costs at the price. A success is worth `success_weight` of utility."""
        if not self.price:
            return base
        return _charged(base, min(self.price * (self.success_weight or 1.0), _MOST), candidates.column(_cost_usd))

    def _draw_few(self, field: _Field, rng: Random) -> Column:
        weight, draw = self.success_weight, rng.betavariate
        return [base + weight * draw(a, b) for base, a, b in zip(*field, strict=True)]

    def _draw_many(self, field: _Field, rng: Random) -> Column:
        from mahavishnu.stats.draws import beta_draws

        utilities = beta_draws(field.alpha, field.beta, rng)
        utilities *= self.success_weight
        utilities += field.base
        return utilities


class _Weighed(Adaptive):
    """The policy under an objective or a price. There may be very many of them, so they share their columns.

    Columns are kept by the function that fills them: here one for each thing that is weighed, whatever its weight.
    """

    __slots__ = ()

    def _worth(self, candidates: Candidates) -> Column:
        worth = _times(self.speed_weight, candidates.column(_speed(self.fast_ms, self.slow_ms)))
        if self.cost_weight:
            cheapness = candidates.column(_cheapness(self.cheap_usd * 1e6, self.dear_usd * 1e6))
            worth = _plus(worth, self.cost_weight, cheapness)
        if self.quality_weight:
            worth = _plus(worth, self.quality_weight, candidates.column(_quality))
        return worth


@lru_cache(maxsize=MOST_WEIGHINGS)
def _weighing(policy: Adaptive, objective: Objective | None, price: float) -> Adaptive:
    weighed = policy if objective is None else policy.good_at(objective)
    options = {each.name: getattr(weighed, each.name) for each in fields(weighed)}
    # A price that is none would stop all choices of the task type.
    return _Weighed(**options | {"price": price if 0 <= price < inf else policy.price})


@lru_cache(maxsize=16)
def _speed(fast_ms: float, slow_ms: float) -> Worth:
    def speed(candidate: Candidate) -> float:
        median = candidate.estimate.p50_ms
        return 0.0 if median is None else nearness(median, fast_ms, slow_ms)

    return speed


@lru_cache(maxsize=16)
def _cheapness(cheap: float, dear: float) -> Worth:
    def cheapness(candidate: Candidate) -> float:
        micros = candidate.estimate.mean_cost_micros
        return 1.0 if micros is None else nearness(micros, cheap, dear)

    return cheapness


def _quality(candidate: Candidate) -> float:
    """As `Scoring.quality` says."""
    quality = candidate.estimate.quality
    if quality is None:
        return 1.0
    return quality if 0 <= quality <= 1 else float(quality > 1)


def _cost_usd(candidate: Candidate) -> float:
    """What it costs in dollars: nothing where that is not known, and as much as can be where it is no number."""
    dollars = (candidate.estimate.mean_cost_micros or 0.0) / 1e6
    if 0 <= dollars <= _MOST_USD:
        return dollars
    return 0.0 if dollars < 0 else _MOST_USD


def _charged(total: Column, charge: float, costs: Column) -> Column:
    """Utilities less what the costs are charged with. The charge is bounded: of a success nothing would be left."""
    if isinstance(costs, list):
        if charge * max(costs) <= _MOST_CHARGE:
            return [base - charge * cost for base, cost in zip(total, costs, strict=True)]
        return [base - min(charge * cost, _MOST_CHARGE) for base, cost in zip(total, costs, strict=True)]
    import numpy as np

    return total - np.minimum(charge * costs, _MOST_CHARGE)


def _times(weight: float, column: Column) -> Column:
    return [weight * each for each in column] if isinstance(column, list) else weight * column


def _plus(total: Column, weight: float, column: Column) -> Column:
    if isinstance(column, list):
        return [sum_ + weight * each for sum_, each in zip(total, column, strict=True)]
    return total + weight * column


def from_estimates(candidates: Sequence[Candidate]) -> Candidates:
    """Candidates with what their estimates alone give reason to believe."""
    beliefs = Beliefs()
    beliefs.follow({each.target.name: each.estimate for each in candidates})
    successes, failures = beliefs.counts(beliefs.where([each.target.name for each in candidates]))
    return Candidates(candidates, successes, failures)


class _Field(NamedTuple):
    """Columns: what each utility starts from, and the parameters of each belief."""

    base: Column
    alpha: Column
    beta: Column


@dataclass(frozen=True)
class _Drawn:
    """A draw, with what is worked out from it only when it is asked for."""

    policy: Adaptive
    objective: Objective | None
    candidates: Candidates
    published: Sequence[str]
    field: _Field
    utilities: Any
    place: int
    exploring: bool

    @cached_property
    def places(self) -> list[int]:
        """The chosen one, then the others as published, or else by what is expected of them."""
        names = [candidate.target.name for candidate in self.candidates]
        order = following(self.published, names, self.policy.expected(self.candidates))
        order.remove(self.place)
        return [self.place, *order]

    @property
    def order(self) -> tuple[Candidate, ...]:
        return tuple(self.candidates[place] for place in self.places)

    @property
    def chain(self) -> tuple[Ranked, ...]:
        chances = self.candidates.memory(self.policy.chances)
        return tuple(self._ranked(place, chances[place]) for place in self.places)

    @property
    def why(self) -> str:
        why = figures(self.candidates[self.place]) + weighed_by(self.objective, self.policy.price)
        if self.exploring:
            share = f"{self.policy.exploration:.2g}"
            return f"{why}; to learn more, as a share {share} of the choices goes to all alike"
        chance = self.candidates.memory(self.policy.chances)[self.place]
        return f"{why}; drawn with probability {percent(chance)} %"

    def _ranked(self, place: int, chance: float) -> Ranked:
        candidate = self.candidates[place]
        seen = candidate.estimate
        policy = self.policy
        return Ranked(
            candidate=candidate,
            probability=chance,
            score=policy.score(seen),
            components={
                "samples": seen.samples,
                "success_rate": seen.rate,
                "wilson_lo": seen.wilson_lo,
                "wilson_hi": seen.wilson_hi,
                "speed": policy.speed(seen),
                "p95_ms": seen.p95_ms,
                "cost_usd": None if seen.mean_cost_micros is None else seen.mean_cost_micros / 1e6,
                **({"cheapness": policy.cheapness(seen)} if policy.cost_weight else {}),
                **({"quality": seen.quality} if policy.quality_weight else {}),
                **({"price": policy.price} if policy.price else {}),
                "alpha": float(self.field.alpha[place]),
                "beta": float(self.field.beta[place]),
                "base": float(self.field.base[place]),
                "drawn": float(self.utilities[place]),
            },
        )
