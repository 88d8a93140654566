"""Facts as rows, in the order of the columns of `tables`, and back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from mahavishnu.model import Decision, Execution, Micros, Outcome, Revision, Status, Usage
from mahavishnu.model.experiment import Assignment
from mahavishnu.stats.evidence import cost_bucket, latency_bucket, quality_ppm
from mahavishnu.storage.sql.facts.documents import considered_json, considered_of, task_json, task_of

Row = tuple[Any, ...]

CANNOT_BE_WRITTEN = (TypeError, ValueError, ArithmeticError, RecursionError)
"""What comes of a value that JSON does not know, holds itself, or is a number too large for a column."""


def not_plain_json(error: Exception) -> str:
    return f"what was handed to it cannot be written ({error}); hand it plain JSON values"


def escaped(text: str) -> str:
    """A text as JSON would write it between the quotes; an ordinary word stays as it is.

    >>> escaped("etl-b"), escaped('a "b"'), escaped(chr(0))
    ('etl-b', 'a \\\\"b\\\\"', '\\\\u0000')
    """
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return json.dumps(text)[1:-1]


def unescaped(text: str) -> str:
    """The text that was escaped.

    >>> unescaped(escaped('é "😀" ' + chr(0))) == 'é "😀" ' + chr(0)
    True
    """
    if "\\" not in text:
        return text
    unquoted: str = json.loads(f'"{text}"')
    return unquoted


escaped_name = lru_cache(maxsize=4096)(escaped)
"""For texts that come again and again."""


def maybe_escaped(text: str | None) -> str | None:
    return None if text is None else escaped(text)


def maybe_unescaped(text: str | None) -> str | None:
    return None if text is None else unescaped(text)


def _maybe_flag(value: bool | None) -> int | None:
    return None if value is None else int(value)


def _maybe_bool(value: int | None) -> bool | None:
    return None if value is None else bool(value)


def decision_row(position: int, decision: Decision) -> Row:
    return (
        position,
        decision.id,
        decision.at_us,
        decision.process_id,
        escaped(decision.task.type),
        maybe_escaped(decision.selected),
        decision.probability,
        decision.confidence,
        escaped(decision.confidence_kind),
        int(decision.randomised),
        escaped(decision.reason),
        escaped(decision.policy),
        escaped(decision.policy_version),
        decision.snapshot_version,
        decision.snapshot_cursor,
        str(decision.seed),
        decision.overhead_us,
        task_json(decision.task),
        considered_json(decision.considered),
    )


def decision_of(row: Sequence[Any], assignments: Iterable[Assignment] = ()) -> Decision:
    (
        _position, id_, at_us, process_id, _task_type, selected, probability, confidence, confidence_kind, randomised,
        reason, policy, policy_version, snapshot_version, snapshot_cursor, seed, overhead_us, task, considered,
    ) = row  # fmt: skip
    return Decision(
        id=id_,
        at_us=at_us,
        process_id=process_id,
        task=task_of(task),
        selected=maybe_unescaped(selected),
        probability=probability,
        confidence=confidence,
        confidence_kind=unescaped(confidence_kind),
        randomised=bool(randomised),
        reason=unescaped(reason),
        considered=considered_of(considered),
        policy=unescaped(policy),
        policy_version=unescaped(policy_version),
        snapshot_version=snapshot_version,
        snapshot_cursor=snapshot_cursor,
        seed=int(seed),
        overhead_us=overhead_us,
        assignments=tuple(assignments),
    )


def assignment_row(position: int, decision: Decision, assignment: Assignment) -> Row:
    return (
        position,
        f"{decision.id}:{assignment.experiment}",
        decision.id,
        decision.at_us,
        assignment.experiment,
        maybe_escaped(assignment.unit),
        int(assignment.treated),
        assignment.probability,
    )


def assignment_of(row: Sequence[Any]) -> Assignment:
    _position, _id, _decision_id, _at_us, experiment, unit, treated, probability = row
    return Assignment(experiment=experiment, unit=maybe_unescaped(unit), treated=bool(treated), probability=probability)


def start_row(position: int, execution: Execution) -> Row:
    return (
        position,
        execution.id,
        execution.decision_id,
        execution.process_id,
        escaped(execution.target),
        escaped(execution.adapter),
        escaped(execution.task_type),
        execution.attempt,
        int(execution.fallback),
        int(execution.randomised),
        execution.started_at_us,
    )


def running_of(row: Sequence[Any], run_id: str | None) -> Execution:
    """The execution of a start that has not ended."""
    _position, id_, decision_id, process_id, target, adapter, task_type, attempt, fallback, randomised, at_us = row
    return Execution(
        id=id_,
        decision_id=decision_id,
        process_id=process_id,
        target=unescaped(target),
        adapter=unescaped(adapter),
        task_type=unescaped(task_type),
        attempt=attempt,
        fallback=bool(fallback),
        randomised=bool(randomised),
        status=Status.RUNNING,
        started_at_us=at_us,
        run_id=maybe_unescaped(run_id),
    )


def announcement_row(position: int, execution_id: str, run_id: str) -> Row:
    return position, execution_id, escaped(run_id)


def usage_of(row: Sequence[Any]) -> Usage:
    seconds, agent_seconds, queries, input_tokens, cached_tokens, output_tokens, estimated = row
    return Usage(
        seconds=seconds,
        agent_seconds=agent_seconds,
        queries=queries,
        input_tokens=input_tokens,
        cached_tokens=cached_tokens,
        output_tokens=output_tokens,
        estimated=bool(estimated),
    )


def end_row(position: int, execution: Execution) -> Row:
    # The row that is written most: plain, because every call in it is paid for by whoever waits for the disk.
    usage, quality = execution.usage, execution.quality
    return (
        position,
        execution.id,
        execution.decision_id,
        execution.process_id,
        escaped_name(execution.target),
        escaped_name(execution.adapter),
        escaped_name(execution.task_type),
        execution.attempt,
        1 if execution.fallback else 0,
        1 if execution.randomised else 0,
        execution.status.value,
        execution.started_at_us,
        execution.ended_at_us,
        execution.latency_us,
        execution.cost_micros,
        escaped_name(execution.price_version),
        usage.seconds,
        usage.agent_seconds,
        usage.queries,
        usage.input_tokens,
        usage.cached_tokens,
        usage.output_tokens,
        1 if usage.estimated else 0,
        quality,
        None if execution.value is None else json.dumps(execution.value),
        maybe_escaped(execution.error_code),
        maybe_escaped(execution.error),
        maybe_escaped(execution.run_id),
        latency_bucket(execution),
        cost_bucket(execution),
        None if quality is None else quality_ppm(quality),
    )


def ended_of(row: Sequence[Any], announced: str | None) -> Execution:
    """The execution of an end. Its run id is the one it ended with, else the one that was announced before."""
    (
        _position, id_, decision_id, process_id, target, adapter, task_type, attempt, fallback, randomised, status,
        started_at_us, ended_at_us, latency_us, cost_micros, price_version, *usage, quality, value, error_code, error,
        run_id, _latency_bucket, _cost_bucket, _quality_ppm,
    ) = row  # fmt: skip
    return Execution(
        id=id_,
        decision_id=decision_id,
        process_id=process_id,
        target=unescaped(target),
        adapter=unescaped(adapter),
        task_type=unescaped(task_type),
        attempt=attempt,
        fallback=bool(fallback),
        randomised=bool(randomised),
        status=Status(status),
        started_at_us=started_at_us,
        ended_at_us=ended_at_us,
        latency_us=latency_us,
        cost_micros=Micros(cost_micros),
        price_version=unescaped(price_version),
        usage=usage_of(usage),
        quality=quality,
        value=None if value is None else json.loads(value),
        error_code=maybe_unescaped(error_code),
        error=maybe_unescaped(error),
        run_id=maybe_unescaped(announced if run_id is None else run_id),
    )


def outcome_row(position: int, outcome: Outcome, revision: Revision | None, of_us: int) -> Row:
    """`of_us` is when that began which the outcome is about."""
    change: Row = (None, None, 0, 0, 0, 0)
    if revision is not None:
        change = (
            escaped(revision.target),
            escaped(revision.task_type),
            revision.samples,
            revision.successes,
            revision.quality_samples,
            revision.quality_ppm,
        )
    return (
        position,
        outcome.id,
        outcome.decision_id,
        outcome.at_us,
        _maybe_flag(outcome.completed),
        _maybe_flag(outcome.correct),
        maybe_escaped(outcome.corrected_to),
        outcome.quality,
        maybe_escaped(outcome.note),
        *change,
        of_us,
    )


def outcome_of(row: Sequence[Any]) -> Outcome:
    _position, id_, decision_id, at_us, completed, correct, corrected_to, quality, note, *_change = row
    return Outcome(
        id=id_,
        decision_id=decision_id,
        at_us=at_us,
        completed=_maybe_bool(completed),
        correct=_maybe_bool(correct),
        corrected_to=maybe_unescaped(corrected_to),
        quality=quality,
        note=maybe_unescaped(note),
    )


def revision_of(row: Sequence[Any]) -> Revision | None:
    """The change that an outcome made; None where it made none."""
    _position, id_, _decision_id, at_us, *_said, target, task_type, samples, successes, rated, ppm, of_us = row
    if target is None:
        return None
    return Revision(
        outcome_id=id_,
        target=unescaped(target),
        task_type=unescaped(task_type),
        at_us=at_us,
        of_us=of_us,
        samples=samples,
        successes=successes,
        quality_samples=rated,
        quality_ppm=ppm,
    )
