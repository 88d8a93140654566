"""Budgets, the ledger and the queue."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def _key(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, primary_key=True)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _maybe_text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text)


def _whole(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def _maybe_whole(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger)


def _spender() -> list[sa.Column[str]]:
    return [_text(name) for name in ("adapter", "target", "task_type", "tags", "accounts")]


def upgrade() -> None:
    op.create_table(
        "budgets", _key("name"), _text("body"), _maybe_whole("hard_micros"), _whole("since"), _text("label")
    )
    op.create_table("balances", _key("budget"), _key("label"), _whole("spent"), _whole("reserved"))
    op.create_table(
        "reservations", _key("execution_id"), _text("process_id"), _whole("at_us"), _whole("micros"), *_spender()
    )
    position = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "ledger_entries",
        sa.Column("position", position, primary_key=True, autoincrement=False),
        _text("execution_id"),
        _text("kind"),
        _whole("n"),
        _whole("at_us"),
        _whole("of_us"),
        _whole("micros"),
        *_spender(),
        _text("note"),
    )
    op.create_index("ledger_entries_by_execution", "ledger_entries", ["execution_id", "kind", "n"], unique=True)
    op.create_index("ledger_entries_by_time", "ledger_entries", ["of_us"])
    op.create_table(
        "queued_tasks",
        _key("id"),
        _text("budget"),
        _text("task"),
        _whole("queued_at_us"),
        _whole("expires_at_us"),
        _maybe_text("policy"),
        _text("status"),
        _maybe_text("decision_id"),
        _maybe_whole("ended_at_us"),
        _text("note"),
    )
    op.create_index("queued_tasks_by_status", "queued_tasks", ["status", "id"])
    op.add_column("alerts", _maybe_text("about"))
