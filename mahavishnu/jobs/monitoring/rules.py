"""What is watched, execution by execution, and when it is out of the ordinary: rules without I/O.

Everything is the share of something, watched by an e-detector: of executions that failed, of costs above what was the
95th percentile, of executions that were fallbacks, of tasks that went to one target. What is ordinary is either given
or learnt from blocks of executions that ended before the one that is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from math import sqrt

from mahavishnu.jobs.monitoring.state import Block, Cost, History, Lost, Routing, State, Track
from mahavishnu.model import Execution, Revision, Status
from mahavishnu.model.alert import AlertKind, Condition, Severity
from mahavishnu.ports import Evidence
from mahavishnu.settings import AlertSettings
from mahavishnu.stats.detector import Detector, Suspicion
from mahavishnu.stats.intervals import wilson
from mahavishnu.stats.sketch import bucket_of, buckets_at

MIDDLE = 0.50
TAIL = 0.05
"""The shares of costs above their median, and above their 95th percentile."""

CERTAINTY = 2.5
"""Standard errors by which a learnt percentile is moved up: a sample's own lies too low half of the time."""

CAREFUL = 10
"""How much rarer still a false alarm about costs has to be: its null is learnt, twice, and not given."""

FEWEST_FALLBACKS = 0.05
"""A smaller share of fallbacks is always ordinary."""

DRIFT = 0.40
"""By how much of all tasks a target's share must grow past its history: any policy that learns moves traffic."""

AT_ONCE = 4
"""A takeover is sudden where learning is slow: its history is so many times shorter than that of anything else."""

MOST_SHARE = 0.90
"""A null beyond this leaves nothing to find."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A condition that holds, or, with `over`, that has come to an end."""

    condition: Condition
    severity: Severity
    summary: str
    detail: Mapping[str, float | int | str | None]
    over: bool = False


class Watcher:
    """Takes in evidence in the order of its positions, and says what opened or ended with each."""

    def __init__(self, state: State, settings: AlertSettings) -> None:
        self.state = state
        self._settings = settings
        self._failing = Detector(null=1 - settings.healthy_rate, threshold=settings.quiet)
        self._above_middle = Detector(null=MIDDLE, threshold=settings.quiet * CAREFUL)
        self._above_tail = Detector(null=TAIL, threshold=settings.quiet * CAREFUL)

    def take(self, fact: Evidence) -> list[Finding]:
        if self.state.began_at_us is None:
            self.state.began_at_us = fact.started_at_us if isinstance(fact, Execution) else fact.of_us
        if isinstance(fact, Revision):
            return self._failed(fact.task_type, fact.target, hit) if (hit := _learnt(fact)) is not None else []
        if fact.status is Status.LOST:
            lost = self.state.lost.setdefault(fact.target, Lost())
            lost.count, lost.last_at_us = lost.count + 1, max(lost.last_at_us, fact.ended_at_us or 0)
        if not fact.status.counts:
            return []
        # A task that does not suit its target is no sign of ill health, and what it did not cost is no price.
        suited = fact.status is not Status.UNSUITABLE
        return [
            *(self._failed(fact.task_type, fact.target, fact.status is not Status.SUCCEEDED) if suited else ()),
            *(self._cost(fact) if suited else ()),
            *self._fallback(fact),
            *self._spread(fact),
        ]

    def forget(self, condition: Condition) -> None:
        """Begin anew: somebody has said that this is over, and that what is now is the ordinary."""
        task_type, target = condition.task_type or "", condition.target or ""
        match condition.kind:
            case AlertKind.DEGRADATION:
                self.state.failures.get(task_type, {}).pop(target, None)
            case AlertKind.COST_SPIKE:
                self.state.costs.get(task_type, {}).pop(target, None)
            case AlertKind.FALLBACKS | AlertKind.ONE_TARGET:
                self.state.routing.pop(task_type, None)
            case AlertKind.LOST:
                self.state.lost.pop(target, None)

    def alarmed(self) -> list[Finding]:
        """Every condition that the detectors hold for true now."""
        state = self.state
        return [
            *(
                self._degradation(task_type, target, track)
                for task_type, cells in state.failures.items()
                for target, track in cells.items()
                if track.alarmed
            ),
            *(
                self._cost_spike(task_type, target, cost)
                for task_type, costs in state.costs.items()
                for target, cost in costs.items()
                if cost.alarmed
            ),
            *(_fallbacks(task_type, each) for task_type, each in state.routing.items() if each.fallbacks.alarmed),
            *(
                _one_target(task_type, target, each)
                for task_type, each in state.routing.items()
                for target, track in each.shares.items()
                if track.alarmed
            ),
        ]

    # -- failures ------------------------------------------------------------------------------------------------------

    def _failed(self, task_type: str, target: str, hit: bool) -> list[Finding]:
        track = self.state.failures.setdefault(task_type, {}).setdefault(target, Track())
        if not track.seen(self._failing, hit):
            return []
        return [_ended(self._degradation(task_type, target, track), track)]

    def _degradation(self, task_type: str, target: str, track: Track) -> Finding:
        settings = self._settings
        rate = 1 - track.share
        enough = track.samples >= settings.min_samples
        return Finding(
            Condition(kind=AlertKind.DEGRADATION, task_type=task_type, target=target),
            Severity.CRITICAL if enough and rate < settings.critical_rate else Severity.WARNING,
            f"{target} fails at {task_type}: of its last {track.samples} executions {_percent(rate)} succeeded, "
            f"and {_percent(settings.healthy_rate)} is the least that counts as healthy",
            {"samples": track.samples, "rate": rate, "healthy_rate": settings.healthy_rate},
        )

    # -- costs ---------------------------------------------------------------------------------------------------------

    def _cost(self, execution: Execution) -> list[Finding]:
        cost = self.state.costs.setdefault(execution.task_type, {}).setdefault(execution.target, Cost())
        bucket, micros = bucket_of(execution.cost_micros), execution.cost_micros
        before = cost.alarmed
        for level, detector in ((cost.middle, self._above_middle), (cost.tail, self._above_tail)):
            if level.limit is not None:
                level.track.seen(detector, bucket > level.limit)
                level.micros = level.micros + micros if level.track.samples else 0
        after = cost.alarmed
        if after is None:
            self._learn(cost, bucket, micros)
        if (before is None) == (after is None):
            return []
        # What led up to a spike is no part of the ordinary.
        cost.history.filling = Block()
        return [replace(self._cost_spike(execution.task_type, execution.target, cost), over=after is None)]

    def _learn(self, cost: Cost, bucket: int, micros: int) -> None:
        filling = cost.history.filling
        filling.counts[bucket] = filling.counts.get(bucket, 0) + 1
        filling.samples, filling.micros = filling.samples + 1, filling.micros + micros
        if cost.history.turn(self._settings.baseline):
            cost.middle.limit = _limit(cost.history, MIDDLE)
            cost.tail.limit = _limit(cost.history, TAIL)

    def _cost_spike(self, task_type: str, target: str, cost: Cost) -> Finding:
        level, history, settings = cost.alarmed or cost.middle, cost.history, self._settings
        samples = level.track.samples
        mean = level.micros / samples if samples else 0.0
        before = history.micros / history.samples if history.samples else 0.0
        enough = samples >= settings.min_samples
        return Finding(
            Condition(kind=AlertKind.COST_SPIKE, task_type=task_type, target=target),
            Severity.CRITICAL if enough and mean >= settings.cost_factor * before else Severity.WARNING,
            f"{target} costs more at {task_type}: its last {samples} executions cost {_usd(mean)} on average, "
            f"the {history.samples} before {_usd(before)}",
            {"samples": samples, "mean_cost_usd": mean / 1e6, "before_usd": before / 1e6},
        )

    # -- routing -------------------------------------------------------------------------------------------------------

    def _fallback(self, execution: Execution) -> list[Finding]:
        routing = self.state.routing.setdefault(execution.task_type, Routing())
        found: list[Finding] = []
        history = routing.attempts
        if history.samples:
            _, highest = wilson(history.named("fallback"), history.samples)
            null = max(FEWEST_FALLBACKS, highest)
            if null <= MOST_SHARE and routing.fallbacks.seen(self._above(null), execution.fallback):
                found.append(_ended(_fallbacks(execution.task_type, routing), routing.fallbacks))
        _count(history, "fallback" if execution.fallback else "first", self._settings.baseline)
        return found

    def _spread(self, execution: Execution) -> list[Finding]:
        """A target's share of what was drawn, against that of two blocks just before.

        Only first attempts, and not those that somebody sent to one target, however many they are at a time.
        """
        routing = self.state.routing.setdefault(execution.task_type, Routing())
        if execution.fallback or execution.attempt > 1 or not execution.randomised:
            return []
        found: list[Finding] = []
        tasks = routing.tasks
        # Two whole blocks of the longer history as well, in which whatever learns has found its way.
        if routing.attempts.older.samples and tasks.older.samples:
            for target in {*tasks.older.names, *tasks.newer.names, execution.target}:
                track = routing.shares.setdefault(target, Track())
                _, highest = wilson(tasks.named(target), tasks.samples)
                if self._share_changed(track, highest + DRIFT, target == execution.target):
                    found.append(_ended(_one_target(execution.task_type, target, routing), track))
        _count(tasks, execution.target, self._settings.baseline // AT_ONCE)
        return found

    def _share_changed(self, track: Track, null: float, hit: bool) -> bool:
        if null <= MOST_SHARE:
            return track.seen(self._above(null), hit)
        # Its history has caught up with it: what was unusual is what it does.
        changed, track.alarmed, track.suspicion = track.alarmed, False, Suspicion()
        return changed

    def _above(self, null: float) -> Detector:
        # To three places, so that a history that moves a little does not need another detector for each step.
        return _detector(round(null, 3), self._settings.quiet)


def _learnt(revision: Revision) -> bool | None:
    """What an outcome says after the fact: True for a failure, False for a success, None for neither."""
    if revision.successes:
        return revision.successes < 0
    return True if revision.samples > 0 else None


def _limit(history: History, above: float) -> int | None:
    """The bucket past which lies such a share, moved up by what its own sample may have it too low."""
    level = 1 - above + CERTAINTY * sqrt(above * (1 - above) / history.samples)
    return buckets_at(history.counts(), (min(level, 1.0),))[0]


def _count(history: History, name: str, block: int) -> None:
    history.filling.names[name] = history.filling.names.get(name, 0) + 1
    history.filling.samples += 1
    history.turn(block)


def _ended(finding: Finding, track: Track) -> Finding:
    return replace(finding, over=not track.alarmed)


def _fallbacks(task_type: str, routing: Routing) -> Finding:
    track, history = routing.fallbacks, routing.attempts
    before = history.named("fallback") / history.samples if history.samples else 0.0
    return Finding(
        Condition(kind=AlertKind.FALLBACKS, task_type=task_type),
        Severity.WARNING,
        f"{task_type} falls back unusually often: {_percent(track.share)} of its last {track.samples} executions, "
        f"{_percent(before)} of those before",
        {"samples": track.samples, "share": track.share, "before": before},
    )


def _one_target(task_type: str, target: str, routing: Routing) -> Finding:
    track, history = routing.shares[target], routing.tasks
    before = history.named(target) / history.samples if history.samples else 0.0
    return Finding(
        Condition(kind=AlertKind.ONE_TARGET, task_type=task_type, target=target),
        Severity.WARNING,
        f"{target} gets an unusual share of {task_type}: {_percent(track.share)} of its last {track.samples} tasks, "
        f"{_percent(before)} of those before",
        {"samples": track.samples, "share": track.share, "before": before},
    )


@lru_cache(maxsize=4096)
def _detector(null: float, threshold: float) -> Detector:
    return Detector(null=null, threshold=threshold)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _usd(micros: float) -> str:
    return f"${micros / 1e6:.6f}".rstrip("0").rstrip(".")
