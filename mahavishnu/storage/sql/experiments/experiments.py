"""Experiments of the store in a database: how they stand, and what came of what was assigned."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import takewhile
from typing import Any

from sqlalchemy import Connection, Select, Text, bindparam, exists, insert, select, update

from mahavishnu.errors import ExperimentExists
from mahavishnu.model.experiment import ExperimentRun
from mahavishnu.model.unreadable import Rows
from mahavishnu.ports import Assigned, Observation, Stage
from mahavishnu.storage.lake import Lake
from mahavishnu.storage.position_range import Stretch
from mahavishnu.storage.sql.connection.tables import assignments, decisions, executions, experiment_units, experiments
from mahavishnu.storage.sql.connection.transaction import IN_LIST, Transaction
from mahavishnu.storage.sql.experiments.rows import (
    COUNTING,
    ENDED,
    OBSERVATION,
    assigned_of,
    experiment_row,
    observation_of,
    run_of,
)
from mahavishnu.storage.sql.facts.fact_rows import escaped, unescaped
from mahavishnu.storage.sql.facts.facts_read import newest_position
from mahavishnu.storage.sql.store_part import SqlPart
from mahavishnu.storage.unreadable import read_each, read_one

_EXPERIMENT = select(experiments).where(experiments.c.name == bindparam("name_"))
_NEWEST = select(experiments).order_by(experiments.c.created_at_us.desc(), experiments.c.name.desc())
_ADD = insert(experiments)
_GO_ON = update(experiments).where(
    experiments.c.name == bindparam("name_"), experiments.c.revision == bindparam("before")
)
_COUNTED = select(experiment_units.c.unit).where(
    experiment_units.c.experiment == bindparam("experiment"),
    experiment_units.c.stage == bindparam("stage"),
    experiment_units.c.unit.in_(bindparam("units", expanding=True)),
)


def _stretch_of(statement: Select[Any]) -> Select[Any]:
    """Ends of first attempts that count, between two positions, in order."""
    return (
        statement.where(
            executions.c.position > bindparam("since"),
            executions.c.position <= bindparam("upto"),
            executions.c.attempt == 1,
            executions.c.fallback == 0,
            executions.c.status.in_(COUNTING),
        )
        .order_by(executions.c.position)
        .limit(bindparam("limit"))
    )


# By the ids of assignments: nothing else keeps every database from beginning with all that were ever made, where the
# last minute's executions are so few.
_OBSERVATIONS = _stretch_of(
    select(*OBSERVATION).join_from(
        executions,
        assignments,
        assignments.c.id == executions.c.decision_id + ":" + bindparam("experiment", type_=Text),
    )
).where(assignments.c.probability.is_not(None))
_STRAYS = _stretch_of(select(*ENDED)).where(~exists().where(decisions.c.id == executions.c.decision_id))
_ASSIGNED = (
    select(assignments)
    .where(
        assignments.c.experiment == bindparam("experiment"),
        assignments.c.probability.is_not(None),
        assignments.c.position > bindparam("since"),
        assignments.c.position <= bindparam("upto"),
    )
    .order_by(assignments.c.position)
    .limit(bindparam("limit"))
)
_HEARD = select(executions.c.decision_id).where(executions.c.decision_id.in_(bindparam("ids", expanding=True)))
_CHOSE_NOBODY = select(decisions.c.id).where(
    decisions.c.id.in_(bindparam("ids", expanding=True)), decisions.c.selected.is_(None)
)


class SqlExperiments(SqlPart):
    """The part of the store in a database that keeps experiments."""

    @abstractmethod
    def _lake(self) -> Lake: ...

    async def create_experiment(self, run: ExperimentRun) -> None:
        await self._write(partial(_create, run=run))

    async def experiment(self, name: str) -> ExperimentRun | None:
        return await self._read(partial(_experiment, name=name))

    async def experiments(self) -> Rows[ExperimentRun]:
        return await self._read(_experiments)

    async def move_experiment(
        self, before: ExperimentRun, after: ExperimentRun, *, heard: Sequence[str] = (), assigned: Sequence[str] = ()
    ) -> bool:
        counted = {Stage.HEARD: tuple(heard), Stage.ASSIGNED: tuple(assigned)}
        return await self._write(partial(_move, before=before, after=after, counted=counted))

    async def observations(self, experiment: str, since: int, limit: int) -> Sequence[Observation]:
        found: list[Any] = []
        over = False
        while not over and len(found) < limit:
            # What moves into the lake meanwhile was read here before, or is found there.
            stretch, strays = await self._read(partial(_observations, experiment=experiment, since=since, limit=limit))
            stretch = await self._lake().observations(stretch, strays, experiment, limit)
            found += stretch.rows
            since, over = stretch.upto, stretch.over
        return [observation_of(row) for row in found[: max(limit, 0)]]

    async def assigned(self, experiment: str, since: int, before_us: int, limit: int) -> Sequence[Assigned]:
        found: list[Any] = []
        over = False
        place = since
        while not over and len(found) < limit:
            stretch = await self._read(partial(_assigned, experiment=experiment, since=place, limit=limit))
            stretch = await self._lake().assigned(stretch, experiment, limit)
            early = list(takewhile(lambda row: row[3] < before_us, stretch.rows))
            found += early
            place, over = stretch.upto, stretch.over or len(early) < len(stretch.rows)
        found = found[: max(limit, 0)]
        heard = await self._heard([row[2] for row in found], since)
        return [assigned_of(row, heard=row[2] in heard) for row in found]

    async def counted_units(self, experiment: str, stage: Stage, units: Sequence[str]) -> frozenset[str]:
        return await self._read(partial(_counted, experiment=experiment, stage=stage, units=units))

    async def _heard(self, decision_ids: Sequence[str], since: int) -> frozenset[str]:
        """Those of these decisions that came to anything; `since` is a position before all of them."""
        found = await self._read(partial(_heard, decision_ids=decision_ids))
        unheard = [each for each in decision_ids if each not in found]
        return found | await self._lake().heard_among(unheard, since)


def _create(transaction: Transaction, run: ExperimentRun) -> None:
    found = transaction.find(_EXPERIMENT, {"name_": run.name})
    if found:
        raise ExperimentExists(experiment=run.name, status=found[0].status)
    transaction.change(_ADD, experiment_row(run))


def _move(
    transaction: Transaction, before: ExperimentRun, after: ExperimentRun, counted: Mapping[Stage, Sequence[str]]
) -> bool:
    if not transaction.change(_GO_ON, {"name_": before.name, "before": before.revision, **experiment_row(after)}):
        return False
    for stage, units in counted.items():
        for unit in units:
            transaction.add(experiment_units, (before.name, stage.value, escaped(unit)))
    return True


def _experiment(connection: Connection, name: str) -> ExperimentRun | None:
    row = connection.execute(_EXPERIMENT, {"name_": escaped(name)}).first()
    return None if row is None else read_one("experiment", name, lambda: run_of(row))


def _experiments(connection: Connection) -> Rows[ExperimentRun]:
    return read_each("experiment", connection.execute(_NEWEST), lambda row: str(row.name), run_of)


def _observations(connection: Connection, experiment: str, since: int, limit: int) -> tuple[Stretch, Sequence[Any]]:
    """What the tables have of them, and the ends whose decisions are not here: what was drawn for those may be there.

    In this order: what was drawn leaves the tables after its decision.
    """
    upto = newest_position(connection)
    about = {"experiment": escaped(experiment), "since": since, "limit": limit}
    stretch = Stretch(since, upto).with_rows(connection.execute(_OBSERVATIONS, {**about, "upto": upto}).all(), limit)
    strays = connection.execute(_STRAYS, {"since": since, "upto": stretch.upto, "limit": limit}).all()
    return stretch.up_to_the_last_of(strays, limit), strays


def _assigned(connection: Connection, experiment: str, since: int, limit: int) -> Stretch:
    upto = newest_position(connection)
    about = {"experiment": escaped(experiment), "since": since, "upto": upto, "limit": limit}
    return Stretch(since, upto).with_rows(connection.execute(_ASSIGNED, about).all(), limit)


def _heard(connection: Connection, decision_ids: Sequence[str]) -> frozenset[str]:
    found: set[str] = set()
    for first in range(0, len(decision_ids), IN_LIST):
        about = {"ids": decision_ids[first : first + IN_LIST]}
        for statement in (_HEARD, _CHOSE_NOBODY):
            found.update(connection.execute(statement, about).scalars())
    return frozenset(found)


def _counted(connection: Connection, experiment: str, stage: Stage, units: Sequence[str]) -> frozenset[str]:
    found: set[str] = set()
    for first in range(0, len(units), IN_LIST):
        about = {
            "experiment": escaped(experiment),
            "stage": stage.value,
            "units": [escaped(unit) for unit in units[first : first + IN_LIST]],
        }
        found.update(unescaped(unit) for unit in connection.execute(_COUNTED, about).scalars())
    return frozenset(found)
