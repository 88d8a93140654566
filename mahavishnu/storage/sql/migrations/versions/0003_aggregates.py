"""Daily aggregates, jobs and the lake."""

from math import ceil, log
from secrets import randbits

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_LOG_GAMMA = log((1 + 0.01) / (1 - 0.01))
_AT_ONCE = 5_000
_COUNTED = ("succeeded", "failed", "timed_out", "lost")


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _name() -> sa.Column[str]:
    return sa.Column("name", sa.Text, primary_key=True)


def _whole(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def _maybe_whole(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger)


def upgrade() -> None:
    op.add_column("executions", sa.Column("latency_bucket", sa.Integer))
    op.add_column("executions", sa.Column("cost_bucket", sa.Integer))
    op.add_column("executions", _maybe_whole("quality_ppm"))
    op.add_column("outcomes", sa.Column("of_us", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("snapshots", sa.Column("kind", sa.Text, nullable=False, server_default="fold"))
    _create_tables()
    _count_executions()
    _date_outcomes()


def _create_tables() -> None:
    op.create_table(
        "dailies",
        sa.Column("day", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("target", sa.Text, primary_key=True),
        sa.Column("task_type", sa.Text, primary_key=True),
        _text("body"),
    )
    op.create_table("marks", _name(), _whole("position"))
    op.execute(
        "INSERT INTO marks (name, position)"  # noqa: S608
        f" VALUES ('aggregates', 0), ('replaced', 0), ('store', {randbits(48)})"
    )
    op.create_table(
        "jobs",
        _name(),
        _text("run_id"),
        _text("process_id"),
        _whole("started_at_us"),
        _whole("lease_until_us"),
        _maybe_whole("ended_at_us"),
        sa.Column("ok", sa.SmallInteger),
        _text("note"),
        _maybe_whole("succeeded_at_us"),
    )
    op.create_table(
        "lake_parts",
        _name(),
        _whole("day"),
        _whole("upto"),
        _text("stays"),
        sa.Column("emptied", sa.SmallInteger, nullable=False),
        sa.Column("raw", sa.SmallInteger, nullable=False),
    )
    op.create_index("lake_parts_by_day", "lake_parts", ["day"])


def _count_executions() -> None:
    """Give every execution that has ended its buckets, as it would get them today."""
    connection = op.get_bind()
    page = sa.text(
        "SELECT position, status, latency_us, cost_micros, quality FROM executions"
        " WHERE position > :since ORDER BY position LIMIT :at_once"
    )
    change = sa.text(
        "UPDATE executions SET latency_bucket = :latency, cost_bucket = :cost, quality_ppm = :ppm"
        " WHERE position = :position"
    )
    since = -1
    while found := connection.execute(page, {"since": since, "at_once": _AT_ONCE}).all():
        connection.execute(change, [_counted(*row) for row in found])
        since = found[-1].position


def _counted(
    position: int, status: str, latency_us: int | None, cost_micros: int, quality: float | None
) -> dict[str, int | None]:
    timed = status == "succeeded" and latency_us is not None
    return {
        "position": position,
        "latency": _bucket_of((latency_us or 0) / 1000) if timed else None,
        "cost": _bucket_of(cost_micros) if status in _COUNTED else None,
        "ppm": None if quality is None else round(quality * 1_000_000),
    }


def _bucket_of(value: float) -> int:
    """As `stats.sketch` has it. A migration keeps its own copy: it must go on doing what it did."""
    return ceil(log(max(1e-6, value)) / _LOG_GAMMA)


def _date_outcomes() -> None:
    """What an outcome revises began with the execution that it is about, or with its decision."""
    op.execute(
        "UPDATE outcomes SET of_us = COALESCE("
        " (SELECT e.started_at_us FROM executions e WHERE e.decision_id = outcomes.decision_id"
        "  AND e.status IN ('succeeded', 'failed', 'timed_out', 'lost')"
        "  ORDER BY CASE WHEN e.status = 'succeeded' THEN 0 ELSE 1 END, e.position DESC LIMIT 1),"
        " (SELECT d.at_us FROM decisions d WHERE d.id = outcomes.decision_id), outcomes.at_us)"
    )
