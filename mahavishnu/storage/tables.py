"""The tables, the same for SQLite and PostgreSQL.

Times are UTC microseconds, money is micro-dollars, yes and no are 1 and 0. Every text that people or engines wrote is
escaped as in JSON (`rows.escaped`), so that no database is ever asked to hold a NUL or half a surrogate pair.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, Index, Integer, MetaData, SmallInteger, Table, Text

HEAD = "0005"
"""The newest migration: what an open store must be at."""

VERSION_TABLE = "mahavishnu_schema"
"""Alembic's own table, under a name of ours: a database may be shared with somebody who uses Alembic as well."""

metadata = MetaData()

# SQLite makes a primary key the row's own number only where it is declared INTEGER, to the letter.
_POSITION = BigInteger().with_variant(Integer(), "sqlite")


def _position() -> Column[int]:
    return Column("position", _POSITION, primary_key=True, autoincrement=False)


def _text(name: str, *, unique: bool = False) -> Column[str]:
    return Column(name, Text, nullable=False, unique=unique)


def _maybe_text(name: str) -> Column[str]:
    return Column(name, Text)


def _whole(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


def _maybe_whole(name: str) -> Column[int]:
    return Column(name, BigInteger)


def _flag(name: str) -> Column[int]:
    return Column(name, SmallInteger, nullable=False)


counter = Table("counter", metadata, _whole("value"))
"""One row: the newest position. A transaction holds its lock from its first statement until it commits."""

decisions = Table(
    "decisions",
    metadata,
    _position(),
    _text("id", unique=True),
    _whole("at_us"),
    _text("process_id"),
    _text("task_type"),
    _maybe_text("selected"),
    Column("probability", Double, nullable=False),
    Column("confidence", Double, nullable=False),
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
    Index("decisions_by_task_type", "task_type", "position"),
)

starts = Table(
    "execution_starts",
    metadata,
    _position(),
    _text("id", unique=True),
    _text("decision_id"),
    _text("process_id"),
    _text("target"),
    _text("adapter"),
    _text("task_type"),
    _whole("attempt"),
    _flag("fallback"),
    _flag("randomised"),
    _whole("started_at_us"),
    Index("execution_starts_by_decision", "decision_id"),
    Index("execution_starts_by_process", "process_id"),
)

announcements = Table("announcements", metadata, _position(), _text("execution_id", unique=True), _text("run_id"))
"""The ids that engines gave to runs, as far as they were known before the end."""

executions = Table(
    "executions",
    metadata,
    _position(),
    _text("id", unique=True),
    _text("decision_id"),
    _text("process_id"),
    _text("target"),
    _text("adapter"),
    _text("task_type"),
    _whole("attempt"),
    _flag("fallback"),
    _flag("randomised"),
    _text("status"),
    _whole("started_at_us"),
    _maybe_whole("ended_at_us"),
    _maybe_whole("latency_us"),
    _whole("cost_micros"),
    _text("price_version"),
    Column("seconds", Double, nullable=False),
    Column("agent_seconds", Double, nullable=False),
    _whole("queries"),
    _whole("input_tokens"),
    _whole("cached_tokens"),
    _whole("output_tokens"),
    _flag("estimated"),
    Column("quality", Double),
    _maybe_text("value"),
    _maybe_text("error_code"),
    _maybe_text("error"),
    _maybe_text("run_id"),
    Column("latency_bucket", Integer),
    Column("cost_bucket", Integer),
    _maybe_whole("quality_ppm"),
    Index("executions_by_decision", "decision_id"),
    Index("executions_by_target", "target", "id"),
)
"""The ended ones. The first end of an id stands.

What is counted of one (`stats.evidence`) is worked out as it is written, so that every database only ever adds whole
numbers; the buckets are NULL where it is not counted by them.
"""

outcomes = Table(
    "outcomes",
    metadata,
    _position(),
    _text("id", unique=True),
    _text("decision_id"),
    _whole("at_us"),
    Column("completed", SmallInteger),
    Column("correct", SmallInteger),
    _maybe_text("corrected_to"),
    Column("quality", Double),
    _maybe_text("note"),
    _maybe_text("target"),
    _maybe_text("task_type"),
    _whole("samples"),
    _whole("successes"),
    _whole("quality_samples"),
    _whole("quality_ppm"),
    _whole("of_us"),
    Index("outcomes_by_decision", "decision_id"),
)
"""Each with the Revision it makes; `target` is NULL where it makes none."""

keys = Table(
    "keys",
    metadata,
    Column("key", Text, primary_key=True),
    _text("fingerprint"),
    _text("decision_id"),
    _text("process_id"),
    _flag("succeeded"),
)

processes = Table(
    "processes",
    metadata,
    Column("id", Text, primary_key=True),
    _text("host"),
    _whole("pid"),
    _maybe_whole("pid_started"),
    _whole("lease_until_us"),
    _whole("started_at_us"),
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("version", _POSITION, primary_key=True, autoincrement=False),
    _whole("cursor"),
    _whole("published_at_us"),
    _text("body"),
    _text("kind"),
)

targets = Table("targets", metadata, Column("name", Text, primary_key=True), _whole("place"), _text("body"))

switches = Table("switches", metadata, Column("target", Text, primary_key=True), _flag("enabled"))

workflow_starts = Table(
    "workflow_starts",
    metadata,
    _position(),
    _text("id", unique=True),
    _text("run_id"),
    _text("definition"),
    _text("inputs"),
    _text("place"),
    _maybe_text("process_id"),
    _whole("at_us"),
    Index("workflow_starts_by_run", "run_id"),
)

workflow_ends = Table(
    "workflow_ends",
    metadata,
    _position(),
    _text("id", unique=True),
    _text("run_id"),
    _text("status"),
    _maybe_text("reason"),
    _whole("at_us"),
    Index("workflow_ends_by_run", "run_id"),
)

step_ends = Table(
    "step_ends",
    metadata,
    _position(),
    _text("id", unique=True),
    _text("run_id"),
    _text("step"),
    _text("status"),
    _maybe_text("decision_id"),
    _maybe_text("reason"),
    _whole("at_us"),
    Index("step_ends_by_run", "run_id"),
)
"""Those without success: of the others their idempotency keys tell."""

cancellations = Table(
    "cancellations", metadata, _position(), _text("run_id"), _whole("at_us"), Index("cancellations_by_run", "run_id")
)
"""Asked for, by any process; the one that runs the workflow looks here."""

dailies = Table(
    "dailies",
    metadata,
    Column("day", BigInteger, primary_key=True, autoincrement=False),
    Column("target", Text, primary_key=True),
    Column("task_type", Text, primary_key=True),
    _text("body"),
)
"""What each UTC day added to each scorecard, up to the cursor of the aggregates."""

marks = Table("marks", metadata, Column("name", Text, primary_key=True), _whole("position"))
"""Numbers of the store: `aggregates`, up to which position the dailies reach; `replaced`, how often they were others;
`store`, which tells it from every other store.
"""

jobs = Table(
    "jobs",
    metadata,
    Column("name", Text, primary_key=True),
    _text("run_id"),
    _text("process_id"),
    _whole("started_at_us"),
    _whole("lease_until_us"),
    _maybe_whole("ended_at_us"),
    Column("ok", SmallInteger),
    _text("note"),
    _maybe_whole("succeeded_at_us"),
)
"""The newest run of each job, and when one last succeeded."""

lake_parts = Table(
    "lake_parts",
    metadata,
    Column("name", Text, primary_key=True),
    _whole("day"),
    _whole("upto"),
    _text("stays"),
    _flag("emptied"),
    _flag("raw"),
    Index("lake_parts_by_day", "day"),
)
"""The files of the lake. One that is not named here is not there.

A part holds what its day had up to the position `upto`, except for the decisions that `stays` names; until it is
`emptied`, some of that may still stand in the tables as well, and must not be counted there. One that is not `raw` any
more holds nothing but the sums of what it had.
"""

alerts = Table(
    "alerts",
    metadata,
    Column("id", Text, primary_key=True),
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
    _maybe_text("about"),
    Index("alerts_by_status", "status"),
)

watch = Table("watch", metadata, _whole("revision"), _whole("cursor"), _text("state"))
"""One row, once somebody has watched: what was seen up to the cursor."""

budgets = Table(
    "budgets",
    metadata,
    Column("name", Text, primary_key=True),
    _text("body"),
    _maybe_whole("hard_micros"),
    _whole("since"),
    _text("label"),
)
"""`since` is the position from which on each counts by its accounts: what its period `label` had until then was carried
over.
"""

balances = Table(
    "balances",
    metadata,
    Column("budget", Text, primary_key=True),
    Column("label", Text, primary_key=True),
    _whole("spent"),
    _whole("reserved"),
)
"""What the entries of each account add up to: kept beside them, so that asking for room is asking one row."""

reservations = Table(
    "reservations",
    metadata,
    Column("execution_id", Text, primary_key=True),
    _text("process_id"),
    _whole("at_us"),
    _whole("micros"),
    _text("adapter"),
    _text("target"),
    _text("task_type"),
    _text("tags"),
    _text("accounts"),
)
"""The live ones."""

ledger_entries = Table(
    "ledger_entries",
    metadata,
    _position(),
    _text("execution_id"),
    _text("kind"),
    _whole("n"),
    _whole("at_us"),
    _whole("of_us"),
    _whole("micros"),
    _text("adapter"),
    _text("target"),
    _text("task_type"),
    _text("tags"),
    _text("accounts"),
    _text("note"),
    Index("ledger_entries_by_execution", "execution_id", "kind", "n", unique=True),
    Index("ledger_entries_by_time", "of_us"),
)
"""Only ever added to. `n` is 0 for the one entry of its kind that every execution has, else the entry's position."""

queued_tasks = Table(
    "queued_tasks",
    metadata,
    Column("id", Text, primary_key=True),
    _text("budget"),
    _text("task"),
    _whole("queued_at_us"),
    _whole("expires_at_us"),
    _maybe_text("policy"),
    _text("status"),
    _maybe_text("decision_id"),
    _maybe_whole("ended_at_us"),
    _text("note"),
    Index("queued_tasks_by_status", "status", "id"),
)
