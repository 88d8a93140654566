"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_POSITION = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _position(name: str = "position") -> sa.Column[int]:
    return sa.Column(name, _POSITION, primary_key=True, autoincrement=False)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _maybe_text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text)


def _whole(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def _maybe_whole(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger)


def _flag(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.SmallInteger, nullable=False)


def _fraction(name: str) -> sa.Column[float]:
    return sa.Column(name, sa.Double, nullable=False)


def upgrade() -> None:
    op.create_table("counter", _whole("value"))
    op.execute("INSERT INTO counter (value) VALUES (0)")
    _create_decisions()
    _create_executions()
    _create_outcomes()
    op.create_table(
        "keys",
        sa.Column("key", sa.Text, primary_key=True),
        _text("fingerprint"),
        _text("decision_id"),
        _text("process_id"),
        _flag("succeeded"),
    )
    op.create_table(
        "processes",
        sa.Column("id", sa.Text, primary_key=True),
        _text("host"),
        _whole("pid"),
        _maybe_whole("pid_started"),
        _whole("lease_until_us"),
        _whole("started_at_us"),
    )
    op.create_table("snapshots", _position("version"), _whole("cursor"), _whole("published_at_us"), _text("body"))
    op.create_table("targets", sa.Column("name", sa.Text, primary_key=True), _whole("place"), _text("body"))
    op.create_table("switches", sa.Column("target", sa.Text, primary_key=True), _flag("enabled"))


def _create_decisions() -> None:
    op.create_table(
        "decisions",
        _position(),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        _whole("at_us"),
        _text("process_id"),
        _text("task_type"),
        _maybe_text("selected"),
        _fraction("probability"),
        _fraction("confidence"),
        _text("confidence_kind"),
        _flag("randomised"),
        _text("reason"),
        _text("policy"),
        _text("policy_version"),
        _whole("snapshot_version"),
        _whole("snapshot_cursor"),
        _text("seed"),
        _whole("overhead_us"),
        _text("task"),
        _text("considered"),
    )
    op.create_index("decisions_by_task_type", "decisions", ["task_type", "position"])


def _create_executions() -> None:
    op.create_table(
        "execution_starts",
        *_attempt(),
        _whole("started_at_us"),
    )
    op.create_index("execution_starts_by_decision", "execution_starts", ["decision_id"])
    op.create_index("execution_starts_by_process", "execution_starts", ["process_id"])
    op.create_table(
        "announcements",
        _position(),
        sa.Column("execution_id", sa.Text, nullable=False, unique=True),
        _text("run_id"),
    )
    op.create_table(
        "executions",
        *_attempt(),
        _text("status"),
        _whole("started_at_us"),
        _maybe_whole("ended_at_us"),
        _maybe_whole("latency_us"),
        _whole("cost_micros"),
        _text("price_version"),
        _fraction("seconds"),
        _fraction("agent_seconds"),
        _whole("queries"),
        _whole("input_tokens"),
        _whole("cached_tokens"),
        _whole("output_tokens"),
        _flag("estimated"),
        sa.Column("quality", sa.Double),
        _maybe_text("value"),
        _maybe_text("error_code"),
        _maybe_text("error"),
        _maybe_text("run_id"),
    )
    op.create_index("executions_by_decision", "executions", ["decision_id"])
    op.create_index("executions_by_target", "executions", ["target", "id"])


def _attempt() -> tuple[sa.Column[int] | sa.Column[str], ...]:
    """What the start and the end of an execution have in common."""
    return (
        _position(),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        _text("decision_id"),
        _text("process_id"),
        _text("target"),
        _text("adapter"),
        _text("task_type"),
        _whole("attempt"),
        _flag("fallback"),
        _flag("randomised"),
    )


def _create_outcomes() -> None:
    op.create_table(
        "outcomes",
        _position(),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        _text("decision_id"),
        _whole("at_us"),
        sa.Column("completed", sa.SmallInteger),
        sa.Column("correct", sa.SmallInteger),
        _maybe_text("corrected_to"),
        sa.Column("quality", sa.Double),
        _maybe_text("note"),
        _maybe_text("target"),
        _maybe_text("task_type"),
        _whole("samples"),
        _whole("successes"),
        _whole("quality_samples"),
        _whole("quality_ppm"),
    )
    op.create_index("outcomes_by_decision", "outcomes", ["decision_id"])
