"""Enacting: what the newest snapshot says of experiments, brought in line with how they stand; each end acts once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

from mahavishnu.errors import SnapshotConflict
from mahavishnu.jobs.publishing import TRIES, Published, publish
from mahavishnu.model import Snapshot
from mahavishnu.model.aside import Aside, AsideReason
from mahavishnu.model.experiment import EVERY_TYPE, Change, Experiment, ExperimentRun, ExperimentStatus, Underway
from mahavishnu.model.objective import Objective
from mahavishnu.ports import Clock, Store
from mahavishnu.stats.assignment import BITS, threshold

UNDERWAY = (ExperimentStatus.RUNNING, ExperimentStatus.PAUSED)


async def publish_ends(store: Store, clock: Clock) -> Published:
    """Publish who is on the way now, and what those have come to that no longer are.

    That an experiment stands in the newest snapshot although it is over is the sign that nobody has acted on its end;
    acting and leaving the snapshot are one publication. So whoever calls this, and however often, each end acts once.
    """
    for _ in range(TRIES):
        # The snapshot first: what moves after that is published by whoever moves it.
        before = await store.latest()
        known = await store.experiments()
        runs = {run.name: run for run in known}
        unreadable = frozenset(row.name for row in known.unreadable)
        underway = await _placed(store, clock, before.experiments, runs, unreadable)
        if underway is None:
            continue
        after = _enacted(before, underway, runs)
        if after is before:
            return Published(before, before)
        after = replace(after, version=before.version + 1, published_at_us=clock.now_us())
        if await publish(store, after):
            return Published(before, after)
    raise SnapshotConflict(version=before.version + 1)


# -- places in a layer -------------------------------------------------------------------------------------------------


def place_in(layer: Iterable[Underway], traffic: float) -> float | None:
    """Where the first gap begins that is as wide as this traffic; None where there is no such gap."""
    begin = 0.0
    for each in sorted(layer, key=lambda each: each.offset):
        if _fits(begin, traffic, each.offset):
            return begin
        begin = max(begin, each.offset + each.experiment.traffic)
    return begin if _fits(begin, traffic, 1.0) else None


def _fits(begin: float, traffic: float, end: float) -> bool:
    """In whole places, as units are assigned: ten tenths make a whole."""
    return round((begin + traffic) * (1 << BITS)) <= threshold(end)


def free_in(layer: Iterable[Underway]) -> float:
    """The widest gap."""
    begin, widest = 0.0, 0.0
    for each in sorted(layer, key=lambda each: each.offset):
        widest = max(widest, each.offset - begin)
        begin = max(begin, each.offset + each.experiment.traffic)
    return max(widest, 1.0 - begin)


def same_layer(experiment: Experiment, others: Iterable[Underway]) -> list[Underway]:
    """Those that its units must be shared out with: of its layer, and tried on some of the same tasks."""
    return [
        each
        for each in others
        if each.experiment.name != experiment.name
        and each.experiment.layer == experiment.layer
        and _meet(each.experiment.task_types, experiment.task_types)
    ]


def _meet(some: Set[str], others: Set[str]) -> bool:
    return EVERY_TYPE in some or EVERY_TYPE in others or not some.isdisjoint(others)


def _overlap(one: Underway, other: Underway) -> bool:
    return threshold(one.offset) < threshold(other.offset + other.experiment.traffic) and threshold(
        other.offset
    ) < threshold(one.offset + one.experiment.traffic)


async def _placed(
    store: Store,
    clock: Clock,
    published: Sequence[Underway],
    runs: Mapping[str, ExperimentRun],
    unreadable: Set[str],
) -> list[Underway] | None:
    """Those on their way: the published ones as they stand now, then the new ones, each in a place of its own.

    Two that were started in the same moment may have been given the same place. A place is taken by being published, so
    the later one gives way, or, where there is no room, comes to its end. Then one has to look again: None.
    One that this version cannot read stays as it was published.
    """
    known = [each.experiment.name for each in published]
    on_their_way = [run for run in runs.values() if run.status in UNDERWAY]
    placed = [
        each if each.experiment.name in unreadable else runs[each.experiment.name].underway
        for each in published
        if each.experiment.name in unreadable
        or (each.experiment.name in runs and runs[each.experiment.name].status in UNDERWAY)
    ]
    new = [run for run in on_their_way if run.name not in known]
    for run in sorted(new, key=lambda run: (run.started_at_us or 0, run.name)):
        others = same_layer(run.experiment, placed)
        if any(_overlap(run.underway, other) for other in others):
            await store.move_experiment(run, _moved_over(run, others, clock.now_us()))
            return None
        placed.append(run.underway)
    return placed


def _moved_over(run: ExperimentRun, others: Sequence[Underway], now_us: int) -> ExperimentRun:
    offset = place_in(others, run.experiment.traffic)
    if offset is not None:
        return replace(run, revision=run.revision + 1, offset=offset)
    note = f"never began: another experiment took its place in layer {run.experiment.layer} in the same moment"
    return replace(
        run, revision=run.revision + 1, status=ExperimentStatus.COMPLETED, ended_at_us=now_us, checked_at_us=now_us,
        note=note,
    )  # fmt: skip


# -- what an end does --------------------------------------------------------------------------------------------------


def _enacted(before: Snapshot, underway: Sequence[Underway], runs: Mapping[str, ExperimentRun]) -> Snapshot:
    """The same snapshot where it says all of this already."""
    if tuple(underway) == before.experiments:
        return before
    draft = _Draft.of(before)
    left = {each.experiment.name for each in before.experiments} - {each.experiment.name for each in underway}
    for each in before.experiments:
        if each.experiment.name in left and (run := runs.get(each.experiment.name)) is not None:
            draft.end(run)
    return replace(
        before,
        experiments=tuple(underway),
        orders=draft.orders,
        strategies=draft.strategies,
        policies=draft.policies,
        put_aside={task_type: aside for task_type, aside in draft.put_aside.items() if aside},
        notes=(*draft.notes, *_began(before.experiments, underway)),
    )


def _began(before: Sequence[Underway], now: Sequence[Underway]) -> list[str]:
    """Who joined, was paused, or goes on."""
    known = {each.experiment.name: each for each in before}
    notes = []
    for each in now:
        name = each.experiment.name
        was = known.get(name)
        if was is None:
            notes.append(f"experiment {name} is on its way, with {100 * each.experiment.share:g} % treated")
        elif was.paused != each.paused:
            notes.append(f"experiment {name} {'is paused' if each.paused else 'goes on'}")
    return notes


@dataclass(slots=True)
class _Draft:
    """The parts of a snapshot that an end changes, while it changes them."""

    orders: dict[str, tuple[str, ...]]
    strategies: dict[str, Objective]
    policies: dict[str, str]
    put_aside: dict[str, dict[str, Aside]]
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, snapshot: Snapshot) -> _Draft:
        return cls(
            orders=dict(snapshot.orders),
            strategies=dict(snapshot.strategies),
            policies=dict(snapshot.policies),
            put_aside={task_type: dict(aside) for task_type, aside in snapshot.put_aside.items()},
        )

    def end(self, run: ExperimentRun) -> None:
        self.notes.append(f"experiment {run.name} is over ({run.status.value}): {run.note or 'it was stopped'}")
        match run.status:
            case ExperimentStatus.PROMOTED:
                self._promote(run)
            case ExperimentStatus.ROLLED_BACK:
                # The harm was found in the treatment, beside what the control has.
                harmful = _stand_ins(run.experiment.treatment) - _stand_ins(run.experiment.control)
                self._put_aside(run, AsideReason.HARM, harmful)
            case _:
                # Evidence of nothing: what was there before the experiment is there again.
                pass

    def _promote(self, run: ExperimentRun) -> None:
        """The treatment becomes what every task has."""
        experiment, treatment = run.experiment, run.experiment.treatment
        for task_type in sorted(experiment.task_types):
            if treatment.order is not None:
                self.orders[task_type] = treatment.order
                self.notes.append(f"{task_type}: order {', '.join(treatment.order)}")
            if treatment.objective is not None:
                self.strategies[task_type] = treatment.objective
                self.notes.append(f"{task_type}: strategy {treatment.objective}")
            if treatment.policy is not None:
                self._go_by(task_type, treatment.policy)
        chosen = {after for _, after in treatment.instead}
        self._take_back(experiment, chosen)
        replaced = {before for before, _ in treatment.instead} | _stand_ins(experiment.control)
        self._put_aside(run, AsideReason.REPLACED, replaced - chosen)

    def _go_by(self, task_type: str, policy: str) -> None:
        if task_type == EVERY_TYPE:
            # It was tried on all of them, those with a policy of their own among them.
            self.policies.clear()
        self.policies[task_type] = policy
        self.notes.append(f"{task_type}: policy {policy}")

    def _put_aside(self, run: ExperimentRun, reason: AsideReason, targets: Set[str]) -> None:
        aside = Aside(experiment=run.name, reason=reason, since_us=run.ended_at_us)
        for task_type in sorted(run.experiment.task_types):
            for target in sorted(targets):
                self.put_aside.setdefault(task_type, {})[target] = aside
                self.notes.append(f"{task_type}: {target} is {aside}")

    def _take_back(self, experiment: Experiment, targets: Iterable[str]) -> None:
        """Whoever was chosen is put aside no longer, by whichever experiment it was."""
        for task_type, aside in self.put_aside.items():
            if task_type == EVERY_TYPE or experiment.takes(task_type):
                for target in targets:
                    aside.pop(target, None)


def _stand_ins(change: Change) -> set[str]:
    """The targets that were tried in place of others."""
    return {after for _, after in change.instead}
