"""What an experiment will take: how many requests, and how long that is at today's traffic."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from mahavishnu.errors import InvalidExperiment
from mahavishnu.jobs.planning import VOLUME_DAYS, runs_a_day
from mahavishnu.jobs.scores import fold_all
from mahavishnu.model import day_of
from mahavishnu.model.experiment import EVERY_TYPE, Experiment, Measure
from mahavishnu.ports import Clock, Store
from mahavishnu.stats.power import Need, needed_for_rates, usual_for_betting

DETECT = 0.05
"""The fall, in points of a rate, that somebody wants to find who does not say which."""

BASELINE = 0.9
"""What succeeds, where nothing was run yet that would tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """The runs of a day, by the last seven of them, and how many succeeded; None where there were none."""

    a_day: float
    success: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospect:
    """What it takes to find a fall of `detect` points: `watched` until the bets have found it in about half of the
    cases, `planned` for one look at the end of a sample that was fixed beforehand.

    `a_day` is what the experiment has of today's traffic; None where nobody knows.
    """

    baseline: float
    detect: float
    share: float
    watched: Need
    planned: Need
    a_day: float | None

    def days(self, need: Need) -> float | None:
        return need.days(self.a_day) if self.a_day else None


async def traffic(store: Store, clock: Clock, task_types: Collection[str]) -> Traffic:
    """Of these task types together, up to now."""
    await fold_all(store)
    now_us = clock.now_us()
    today = day_of(now_us)
    _, found = await store.dailies(today - VOLUME_DAYS + 1)
    # How many days there were is counted over all that ran: a type that is rare has quiet days, not fewer.
    dailies = [each for each in found if each.day <= today]
    volumes = runs_a_day(dailies, now_us)
    wanted = volumes.keys() if EVERY_TYPE in task_types else set(task_types)
    cards = [each.card for each in dailies if each.card.task_type in wanted]
    samples = sum(each.samples for each in cards)
    return Traffic(
        a_day=sum(volume for kind, volume in volumes.items() if kind in wanted),
        success=sum(each.successes for each in cards) / samples if samples > 0 else None,
    )


def prospect(
    *,
    baseline: float = BASELINE,
    detect: float = DETECT,
    share: float = 0.1,
    margin: float = 0.0,
    power: float = 0.8,
    alpha: float = 0.05,
    a_day: float | None = None,
) -> Prospect:
    """Raises ValueError where nothing could be found.

    >>> found = prospect(share=0.1, a_day=1_000)
    >>> found.watched.treated, found.planned.treated, found.days(found.planned)
    (278, 432, 4.317)
    """
    return Prospect(
        baseline=baseline,
        detect=detect,
        share=share,
        watched=usual_for_betting(baseline=baseline, detect=detect, share=share, alpha=alpha, margin=margin),
        planned=needed_for_rates(baseline=baseline, detect=detect, share=share, power=power, alpha=alpha),
        a_day=a_day,
    )


async def prospect_of(store: Store, clock: Clock, experiment: Experiment, detect: float | None = None) -> Prospect:
    """What this experiment will take, by what its task types have done and had until now.

    Where nobody says what is to be found it is five points beyond the margin of success. Raises InvalidExperiment.
    """
    known = await traffic(store, clock, experiment.task_types)
    margin = next((each.margin for each in experiment.guardrails if each.measure is Measure.SUCCESS), 0.0)
    # Where everything succeeded so far, or nothing, that is taken to be chance.
    baseline = BASELINE if known.success is None else min(max(known.success, 0.01), 0.99)
    wanted = min(DETECT + margin, baseline / 2) if detect is None else detect
    try:
        return prospect(
            baseline=baseline,
            detect=wanted,
            share=experiment.share,
            margin=margin if wanted > margin else 0.0,
            alpha=experiment.alpha,
            a_day=known.a_day * experiment.traffic or None,
        )
    except ValueError as problem:
        raise InvalidExperiment(experiment=experiment.name, problem=str(problem)) from None
