"""Scores: publishing what is known, and who comes before whom by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mahavishnu.errors import RecordUnreadable, SnapshotConflict, UnknownName
from mahavishnu.jobs.asides import gone_back
from mahavishnu.jobs.publishing import TRIES, Published, publish
from mahavishnu.model import Daily, Scorecard, Snapshot, SnapshotKind, Target
from mahavishnu.model.objective import Objective
from mahavishnu.model.plan import Frontier
from mahavishnu.model.scorecard import day_of
from mahavishnu.model.snapshot import Key
from mahavishnu.planning.pareto import frontier
from mahavishnu.plugins import make
from mahavishnu.policies.statistical import Statistical
from mahavishnu.ports import Clock, Store
from mahavishnu.settings import EvidenceSettings, Settings
from mahavishnu.stats.evidence import estimate, weighed
from mahavishnu.stats.ordering import Showing, reorder
from mahavishnu.stats.scoring import Scoring

NO_STRATEGIES: Mapping[str, Objective] = {}

LOOK_BACK = 100
"""Snapshots that are looked through for one that can be read, where the newest cannot."""


def scoring_of(settings: Settings) -> Scoring:
    """How targets are scored wherever scores are shown or published, whichever policy chooses. Raises SettingsError."""
    options = settings.policies.get("statistical", {})
    statistical: Statistical = make(Statistical, options, where="[policies.statistical]")
    return statistical


async def fold(store: Store, clock: Clock, evidence: EvidenceSettings) -> Published:
    """Publish new evidence under the orders of before.

    After a rollback nothing is published until the next recalculation: what was gone back to would be gone again.
    """
    await fold_all(store)
    for _ in range(TRIES):
        before = await store.latest()
        if before.kind is SnapshotKind.ROLLBACK:
            return Published(before, before)
        after = await _of_today(store, clock, evidence, before)
        if after.scorecards == before.scorecards and after.cursor == before.cursor:
            return Published(before, before)
        if await publish(store, after):
            return Published(before, after)
    raise SnapshotConflict(version=after.version)


async def recalculate(
    store: Store, clock: Clock, settings: Settings, *, full: bool = False, dry_run: bool = False
) -> Published:
    """Publish new evidence and, by it, new preference orders, with what changed in words.

    `full` works the days out again from every fact there is. Two at once are harmless: the second one publishes what is
    left to say. With `dry_run` nothing is published.
    """
    scoring = scoring_of(settings)
    if full and not dry_run:
        await _rebuild(store)
    await fold_all(store)
    for _ in range(TRIES):
        before = await store.latest()
        evidence = await _of_today(store, clock, settings.evidence, before)
        known = await _known(store, settings)
        orders, notes = reordered(before.orders, known, evidence.scorecards, scoring, before.strategies)
        notes = (*notes, *moved(before, evidence))
        after = replace(
            evidence,
            kind=SnapshotKind.RECALCULATION,
            orders=orders,
            frontiers=frontiers(evidence.scorecards),
            notes=notes,
        )
        if _says_the_same(before, after):
            return Published(before, before)
        if dry_run or await publish(store, after):
            return Published(before, after)
    raise SnapshotConflict(version=after.version)


async def _newest_readable(store: Store) -> Snapshot:
    return next(iter(await store.snapshots(LOOK_BACK)), Snapshot())


async def roll_back(store: Store, clock: Clock, version: int, *, release: bool = False) -> Published:
    """Publish the scorecards and orders of an earlier snapshot again.

    What came since is left behind until the next recalculation. Experiments stay as they are: none that is over comes
    to life again, and none that is on its way ends. A target that harm has put aside since stays put aside, unless
    `release` asks for it. Raises UnknownName where the version is gone.
    """
    for _ in range(TRIES):
        earlier = await store.snapshot(version)
        if earlier is None:
            raise UnknownName(kind="snapshot", name=str(version), see="mahavishnu routing snapshots")
        try:
            before = await store.latest()
        except RecordUnreadable:
            # This is how it is mended. Its experiments cannot be read: those of the newest one that can stand for them.
            before = replace(await _newest_readable(store), version=await store.newest_version())
        put_aside, notes = gone_back(before, earlier, release=release)
        after = replace(
            earlier,
            version=before.version + 1,
            kind=SnapshotKind.ROLLBACK,
            cursor=await store.newest(),
            published_at_us=clock.now_us(),
            experiments=before.experiments,
            put_aside=put_aside,
            notes=(f"back to snapshot {version}", *notes),
            restored=version,
        )
        if await publish(store, after):
            return Published(before, after)
    raise SnapshotConflict(version=after.version)


async def fold_all(store: Store) -> None:
    """Every fact there is now is added to its day."""
    while await store.fold():
        pass


async def scorecards_of(store: Store, clock: Clock, evidence: EvidenceSettings) -> dict[Key, Scorecard]:
    """What is known as of now, published or not."""
    await fold_all(store)
    today = day_of(clock.now_us())
    _, dailies = await store.dailies(today - evidence.window_days + 1)
    return scorecards(dailies, today, evidence)


def scorecards(dailies: Sequence[Daily], today: int, evidence: EvidenceSettings) -> dict[Key, Scorecard]:
    """One card for each (target, task type), its days weighed by their age; those past the window count for nothing."""
    days: dict[Key, list[Daily]] = {}
    for each in dailies:
        if today - each.day < evidence.window_days:
            days.setdefault((each.card.target, each.card.task_type), []).append(each)
    return {key: weighed(days[key], today, evidence.decay_per_day, *key) for key in sorted(days)}


def frontiers(cards: Mapping[Key, Scorecard]) -> dict[str, Frontier]:
    """Of every task type, who is dominated by nobody, and how sure that is."""
    kinds: dict[str, list[Scorecard]] = {}
    for (_, task_type), card in sorted(cards.items()):
        kinds.setdefault(task_type, []).append(card)
    return {task_type: found for task_type, each in kinds.items() if (found := frontier(each))}


def reordered(
    orders: Mapping[str, Sequence[str]],
    targets: Sequence[Target],
    cards: Mapping[Key, Scorecard],
    scoring: Scoring,
    strategies: Mapping[str, Objective] = NO_STRATEGIES,
) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """The preference order of every task type that there is evidence of, and what changed in them, in words."""
    after: dict[str, tuple[str, ...]] = {}
    notes: list[str] = []
    for task_type in sorted({task_type for _, task_type in cards}):
        default = [each.name for each in targets if each.takes(task_type)]
        # Some processes have targets that neither the settings nor the store know of.
        default += sorted(name for name, kind in cards if kind == task_type and name not in default)
        goal = strategies.get(task_type)
        weighed_by = scoring if goal is None else scoring.good_at(goal)
        showings = {
            name: _showing(cards[name, task_type], weighed_by) for name in default if (name, task_type) in cards
        }
        found = reorder(orders.get(task_type, ()), default, showings)
        after[task_type] = found.order
        notes += [f"{task_type}: {swap}" for swap in found.swaps]
    return after, tuple(notes)


def moved(before: Snapshot, after: Snapshot) -> list[str]:
    """Which success rates have moved by more than a point, and what is new or gone, in words."""
    notes: list[str] = []
    for key in sorted(before.scorecards.keys() | after.scorecards.keys(), key=lambda key: key[::-1]):
        old, new = before.scorecards.get(key), after.scorecards.get(key)
        was = None if old is None else estimate(old).rate
        now = None if new is None else estimate(new)
        name = f"{key[1]}: {key[0]}"
        if now is None:
            notes.append(f"{name} has left the window")
        elif was is None and now.rate is not None:
            notes.append(f"{name} is new, {_percent(now.rate)} of {now.samples:.0f}")
        elif was is not None and now.rate is not None and abs(now.rate - was) >= 0.01:
            notes.append(f"{name} went from {_percent(was)} to {_percent(now.rate)} of {now.samples:.0f}")
    return notes


async def _rebuild(store: Store) -> None:
    """The days again, from every fact there is."""
    for _ in range(TRIES):
        if await store.replace_dailies(*await store.recomputed()):
            return


async def _of_today(store: Store, clock: Clock, evidence: EvidenceSettings, before: Snapshot) -> Snapshot:
    """The next snapshot: new evidence, and everything else as before."""
    now_us = clock.now_us()
    today = day_of(now_us)
    cursor, dailies = await store.dailies(today - evidence.window_days + 1)
    return replace(
        before,
        version=before.version + 1,
        kind=SnapshotKind.FOLD,
        cursor=cursor,
        day=today,
        published_at_us=now_us,
        scorecards=scorecards(dailies, today, evidence),
        notes=(),
        restored=None,
    )


async def _known(store: Store, settings: Settings) -> list[Target]:
    """The targets of the settings and of the store, in their default places."""
    return sorted((*settings.targets.values(), *await store.targets()), key=lambda each: (each.place, each.name))


def _says_the_same(before: Snapshot, after: Snapshot) -> bool:
    same = after.scorecards == before.scorecards and after.orders == before.orders
    return same and after.cursor == before.cursor and before.kind is not SnapshotKind.ROLLBACK


def _showing(card: Scorecard, scoring: Scoring) -> Showing:
    seen = estimate(card)
    return Showing(
        samples=seen.effective,
        rate=seen.rate,
        score=scoring.score(seen),
        trusted=scoring.trusts(seen),
        latency=card.latency,
    )


def _percent(rate: float) -> str:
    return f"{100 * rate:.1f} %"
