"""Experiments and their observations as rows, and back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row as Found

from mahavishnu.model import Execution, Status
from mahavishnu.model.experiment import Assignment, ExperimentRun, ExperimentStatus
from mahavishnu.ports import Assigned, Observation
from mahavishnu.storage.sql.connection.tables import assignments, executions
from mahavishnu.storage.sql.experiments.documents import experiment_document, experiment_of
from mahavishnu.storage.sql.facts.fact_rows import (
    Row,
    assignment_of,
    escaped,
    maybe_escaped,
    maybe_unescaped,
    unescaped,
)

COUNTING = tuple(status.value for status in Status if status.counts_in_experiment)

OBSERVATION = (
    executions.c.position,
    executions.c.decision_id,
    executions.c.task_type,
    executions.c.target,
    executions.c.status,
    executions.c.latency_us,
    executions.c.cost_micros,
    executions.c.quality,
    assignments.c.unit,
    assignments.c.treated,
    assignments.c.probability,
)
"""What an observation is made of: first the end of the attempt, then what was drawn."""

ENDED = OBSERVATION[:8]


def is_observation(end: Execution) -> bool:
    """Whether it is the end of a first attempt on the target that was chosen, and says anything about that."""
    return end.attempt == 1 and not end.fallback and end.status.counts_in_experiment


def observation_row(position: int, end: Execution, assignment: Assignment) -> Row:
    return (
        position,
        end.decision_id,
        escaped(end.task_type),
        escaped(end.target),
        end.status.value,
        end.latency_us,
        end.cost_micros,
        end.quality,
        maybe_escaped(assignment.unit),
        assignment.treated,
        assignment.probability,
    )


def observation_of(row: Sequence[Any]) -> Observation:
    """Of a row of `OBSERVATION`."""
    position, decision_id, task_type, target, status, latency_us, micros, quality, unit, treated, probability = row
    succeeded = status == Status.SUCCEEDED.value
    return Observation(
        position=position,
        decision_id=decision_id,
        unit=maybe_unescaped(unit),
        treated=bool(treated),
        probability=probability,
        task_type=unescaped(task_type),
        target=unescaped(target),
        succeeded=succeeded,
        latency_ms=latency_us / 1000 if succeeded and latency_us is not None else None,
        cost_usd=micros / 1e6,
        quality=quality,
    )


def assigned_of(row: Sequence[Any], *, heard: bool) -> Assigned:
    """Of a row of `assignments`."""
    drawn = assignment_of(row)
    return Assigned(
        position=row[0],
        decision_id=row[2],
        unit=drawn.unit,
        treated=drawn.treated,
        probability=drawn.probability or 0.0,
        heard=heard,
    )


def experiment_row(run: ExperimentRun) -> dict[str, Any]:
    return {
        "name": run.name,
        "body": json.dumps(experiment_document(run.experiment)),
        "status": run.status.value,
        "revision": run.revision,
        "place": run.offset,
        "created_at_us": run.created_at_us,
        "started_at_us": run.started_at_us,
        "ended_at_us": run.ended_at_us,
        "checked_at_us": run.checked_at_us,
        "ran_us": run.ran_us,
        "cursor": run.cursor,
        "assigned_cursor": run.assigned_cursor,
        "state": None if run.state is None else json.dumps(dict(run.state)),
        "note": escaped(run.note),
    }


def run_of(row: Found[Any]) -> ExperimentRun:
    return ExperimentRun(
        experiment=experiment_of(json.loads(row.body)),
        status=ExperimentStatus(row.status),
        revision=row.revision,
        offset=row.place,
        created_at_us=row.created_at_us,
        started_at_us=row.started_at_us,
        ended_at_us=row.ended_at_us,
        checked_at_us=row.checked_at_us,
        ran_us=row.ran_us,
        cursor=row.cursor,
        assigned_cursor=row.assigned_cursor,
        state=None if row.state is None else json.loads(row.state),
        note=unescaped(row.note),
    )
