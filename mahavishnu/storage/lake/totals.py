"""What facts add up to, by DuckDB: the same whole numbers as `stats.evidence.Tally` counts one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mahavishnu.model import DAY_US, Status
from mahavishnu.storage.sql.facts.aggregates import Days
from mahavishnu.storage.sql.facts.documents import scorecard_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_BY_STATUS = """
SELECT day, target, task_type, status, count(*), count(cost_bucket), sum(cost_micros),
       sum(cost_micros) FILTER (cost_bucket IS NOT NULL), sum(latency_us) FILTER (latency_bucket IS NOT NULL),
       sum(quality_ppm), count(quality_ppm), sum(queries), sum(input_tokens), sum(cached_tokens), sum(output_tokens),
       max(ended_at_us)
FROM {source} GROUP BY day, target, task_type, status
"""
_BY = """
SELECT day, target, task_type, list({by}), list(n)
FROM (
    SELECT day, target, task_type, {by}, count(*) AS n FROM {source} WHERE {by} IS NOT NULL
    GROUP BY day, target, task_type, {by}
)
GROUP BY day, target, task_type
"""
_REVISIONS = """
SELECT of_us // {day_us}, target, task_type, max(at_us), sum(samples), sum(successes), sum(quality_samples),
       sum(quality_ppm)
FROM {source} WHERE target IS NOT NULL GROUP BY ALL
"""
_ENDINGS = {
    Status.SUCCEEDED: "successes",
    Status.FAILED: "failed",
    Status.TIMED_OUT: "timed_out",
    Status.UNSUITABLE: "unsuitable",
    Status.LOST: "lost",
    Status.REFUSED: "refused",
    Status.CANCELLED: "cancelled",
}


def add_executions(days: Days, connection: DuckDBPyConnection, source: str) -> None:
    for row in connection.execute(_BY_STATUS.format(source=source)).fetchall():
        _add_status(days, *row)
    for by, counts in (("latency_bucket", "latency"), ("cost_bucket", "cost"), ("error_code", "errors")):
        for day, target, task_type, keys, numbers in connection.execute(_BY.format(source=source, by=by)).fetchall():
            total: dict[Any, float] = getattr(days.tally((day, target, task_type)), counts)
            for key, number in zip(keys, numbers, strict=True):
                total[key] = total.get(key, 0) + number


def add_revisions(days: Days, connection: DuckDBPyConnection, source: str) -> None:
    for day, target, task_type, *change in connection.execute(
        _REVISIONS.format(source=source, day_us=DAY_US)
    ).fetchall():
        days.tally((day, target, task_type)).revise(*change)


def add_sums(days: Days, connection: DuckDBPyConnection, source: str) -> None:
    """What was added up when the records themselves were dropped."""
    for day, target, task_type, body in connection.execute(
        f"SELECT day, target, task_type, body FROM {source}"  # noqa: S608
    ).fetchall():
        days.add_card((day, target, task_type), scorecard_of(body))


def _add_status(
    days: Days, day: int, target: str, task_type: str, word: str, count: int, samples: int, spent: int,
    cost: int | None, latency: int | None, quality: int | None, rated: int, queries: int, fresh: int, cached: int,
    output: int, newest: int | None,
) -> None:  # fmt: skip
    tally = days.tally((day, target, task_type))
    status = Status(word)
    ending = _ENDINGS[status]
    setattr(tally, ending, getattr(tally, ending) + count)
    tally.spent_micros += spent
    # A record has a bucket of cost if it counted when it was made: earlier versions also counted what was lost.
    tally.samples += samples
    tally.squares += samples
    tally.cost_samples += samples
    tally.cost_micros += cost or 0
    tally.latency_us += latency or 0
    tally.quality_ppm += quality or 0
    tally.quality_samples += rated
    tally.queries += queries
    tally.count_tokens(fresh, cached, output)
    tally.last_at_us = max(tally.last_at_us, newest or 0)
