"""Alerts."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _maybe_text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text)


def _whole(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def _maybe_whole(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger)


def upgrade() -> None:
    op.create_table(
        "alerts",
        sa.Column("id", sa.Text, primary_key=True),
        _text("kind"),
        _maybe_text("task_type"),
        _maybe_text("target"),
        _text("severity"),
        _text("status"),
        _text("summary"),
        _text("detail"),
        _whole("opened_at_us"),
        _maybe_whole("acknowledged_at_us"),
        _maybe_whole("resolved_at_us"),
        _maybe_text("told"),
    )
    op.create_index("alerts_by_status", "alerts", ["status"])
    op.create_table("watch", _whole("revision"), _whole("cursor"), _text("state"))
