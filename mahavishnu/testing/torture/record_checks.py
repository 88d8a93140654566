"""The promises about records: what was acknowledged is there, every start has an end, and no living process is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from mahavishnu.model import Daily
from mahavishnu.testing.torture.records import ExecutionRow, Scene
from mahavishnu.testing.torture.verdicts import Verdict, verdict


def acknowledged(scene: Scene) -> Verdict:
    records, journal = scene.records, scene.journal
    problems = [*_executions(scene), *_outcomes(scene)]
    decided = set(records.decisions)
    problems += [
        f"decision {ack.decision_id} was acknowledged and is not in the store"
        for ack in journal.acks
        if ack.decision_id and ack.decision_id not in decided
    ]
    return verdict(
        "acknowledged",
        "What was acknowledged is in the store once, with the status and the cost that were acknowledged",
        problems,
        reports=len(journal.acks),
        executions=len({id_ for ack in journal.acks for id_, _status, _cost in ack.ended}),
        outcomes=len(journal.outcomes),
    )


def _executions(scene: Scene) -> Iterator[str]:
    counts = Counter(row.id for row in scene.records.executions)
    rows = {row.id: row for row in scene.records.executions}
    told: set[tuple[str, str, int]] = {told for ack in scene.journal.acks for told in ack.ended}
    for id_, status, cost in sorted(told):
        row = rows.get(id_)
        if row is None:
            yield f"execution {id_} was acknowledged as {status} and has no end in the store"
        elif counts[id_] > 1:
            yield f"execution {id_} is in the store {counts[id_]} times"
        elif (row.status, row.cost_micros) != (status, cost):
            kept = f"{row.status} at {row.cost_micros:,}"
            yield f"execution {id_} was acknowledged as {status} at {cost:,}, and is {kept} in the store"


def _outcomes(scene: Scene) -> Iterator[str]:
    counts = Counter(scene.records.outcomes)
    for id_ in scene.journal.outcomes:
        if counts[id_] != 1:
            yield f"outcome {id_} was acknowledged and is in the store {counts[id_]} times"


def living(scene: Scene) -> Verdict:
    lost = [row for row in scene.records.executions if row.status == "lost"]
    worker = {life.process_id: life.worker for life in scene.lives}
    problems = [
        f"execution {row.id} on {row.target} is lost, and its process ({worker[row.process_id]}) was not killed"
        for row in lost
        if row.process_id in scene.living
    ]
    return verdict("living", "No execution of a living process is given up as lost", problems, lost=len(lost))


def ends(scene: Scene) -> Verdict:
    """Only while no worker runs a task."""
    records = scene.records
    problems = []
    for start in records.open_starts:
        whose = "an idle process" if start.process_id in scene.running else "a process that is gone"
        problems.append(f"execution {start.id} of {whose} is still running by its record")
    begun = {start.id for start in records.starts}
    problems += [f"execution {row.id} has an end and no start" for row in _without_start(records.executions, begun)]
    decided = set(records.decisions)
    problems += [
        f"execution {start.id} belongs to decision {start.decision_id}, which is not in the store"
        for start in records.starts
        if start.decision_id not in decided
    ]
    return verdict(
        "ends",
        "Every start has its decision and its end, and nothing runs once all is idle",
        problems,
        starts=len(records.starts),
        ends=len(records.executions),
    )


def _without_start(rows: Sequence[ExecutionRow], begun: set[str]) -> Iterator[ExecutionRow]:
    return (row for row in rows if row.id not in begun)


def aggregates(folded: Sequence[Daily], recomputed: Sequence[Daily]) -> Verdict:
    """What was added up bit by bit, by whichever processes, against what all facts say."""
    kept = {(daily.day, daily.card.target, daily.card.task_type): daily.card for daily in folded}
    wanted = {(daily.day, daily.card.target, daily.card.task_type): daily.card for daily in recomputed}
    problems = [
        f"day {day}, {target}, {task_type}: the aggregate differs from its facts"
        for day, target, task_type in sorted({*kept, *wanted})
        if kept.get((day, target, task_type)) != wanted.get((day, target, task_type))
    ]
    if len(kept) != len(folded):
        problems.append(f"{len(folded)} aggregates are kept for {len(kept)} days, targets and task types")
    return verdict("aggregates", "The aggregates equal their facts, bit for bit", problems, cells=len(wanted))
