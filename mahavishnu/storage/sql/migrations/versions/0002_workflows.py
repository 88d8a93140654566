"""Runs of workflows."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_POSITION = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _position() -> sa.Column[int]:
    return sa.Column("position", _POSITION, primary_key=True, autoincrement=False)


def _id() -> sa.Column[str]:
    return sa.Column("id", sa.Text, nullable=False, unique=True)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _maybe_text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text)


def _at() -> sa.Column[int]:
    return sa.Column("at_us", sa.BigInteger, nullable=False)


def upgrade() -> None:
    op.create_table(
        "workflow_starts",
        _position(),
        _id(),
        _text("run_id"),
        _text("definition"),
        _text("inputs"),
        _text("place"),
        _maybe_text("process_id"),
        _at(),
    )
    op.create_table("workflow_ends", _position(), _id(), _text("run_id"), _text("status"), _maybe_text("reason"), _at())
    op.create_table(
        "step_ends",
        _position(),
        _id(),
        _text("run_id"),
        _text("step"),
        _text("status"),
        _maybe_text("decision_id"),
        _maybe_text("reason"),
        _at(),
    )
    op.create_table("cancellations", _position(), _text("run_id"), _at())
    for table in ("workflow_starts", "workflow_ends", "step_ends", "cancellations"):
        op.create_index(f"{table}_by_run", table, ["run_id"])
