"""Experiments, the units that count once in them, and what decisions were in them."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
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


def upgrade() -> None:
    op.create_table(
        "experiments",
        _key("name"),
        _text("body"),
        _text("status"),
        _whole("revision"),
        sa.Column("place", sa.Double, nullable=False),
        _whole("created_at_us"),
        _maybe_whole("started_at_us"),
        _maybe_whole("ended_at_us"),
        _maybe_whole("checked_at_us"),
        _whole("ran_us"),
        _whole("cursor"),
        _whole("assigned_cursor"),
        _maybe_text("state"),
        _text("note"),
    )
    op.create_table("experiment_units", _key("experiment"), _key("stage"), _key("unit"))
    position = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "assignments",
        sa.Column("position", position, primary_key=True, autoincrement=False),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        _text("decision_id"),
        _whole("at_us"),
        _text("experiment"),
        _maybe_text("unit"),
        sa.Column("treated", sa.SmallInteger, nullable=False),
        sa.Column("probability", sa.Double),
    )
    op.create_index("assignments_by_decision", "assignments", ["decision_id"])
    op.create_index("assignments_by_experiment", "assignments", ["experiment", "position"])
