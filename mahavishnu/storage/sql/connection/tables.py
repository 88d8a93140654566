"""The tables, the same for SQLite and PostgreSQL.

Times are UTC microseconds, money is micro-dollars, yes and no are 1 and 0. Every text that people or engines wrote is
escaped as in JSON (`rows.escaped`), so that no database is ever asked to hold a NUL or half a surrogate pair.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, Index, Integer, MetaData, SmallInteger, Table

from mahavishnu.storage.sql.connection.columns import flag, key, maybe_text, maybe_whole, position, text, whole

HEAD = "0007"
"""The newest migration: what an open store must be at."""

VERSION_TABLE = "mahavishnu_schema"
"""Alembic's own table, under a name of ours: a database may be shared with somebody who uses Alembic as well."""

metadata = MetaData()

counter = Table("counter", metadata, whole("value"), whole("fence"))
"""One row: the newest position, and how often a process was given up. A transaction holds its lock from its first
statement until it commits."""

decisions = Table(
    "decisions",
    metadata,
    position(),
    text("id", unique=True),
    whole("at_us"),
    text("process_id"),
    text("task_type"),
    maybe_text("selected"),
    Column("probability", Double, nullable=False),
    Column("confidence", Double, nullable=False),
    text("confidence_kind"),
    flag("randomised"),
    text("reason"),
    text("policy"),
    text("policy_version"),
    whole("snapshot_version"),
    whole("snapshot_cursor"),
    text("seed"),
    whole("overhead_us"),
    text("task"),
    text("considered"),
    Index("decisions_by_task_type", "task_type", "position"),
)

starts = Table(
    "execution_starts",
    metadata,
    position(),
    text("id", unique=True),
    text("decision_id"),
    text("process_id"),
    text("target"),
    text("adapter"),
    text("task_type"),
    whole("attempt"),
    flag("fallback"),
    flag("randomised"),
    whole("started_at_us"),
    Index("execution_starts_by_decision", "decision_id"),
    Index("execution_starts_by_process", "process_id"),
)

announcements = Table("announcements", metadata, position(), text("execution_id", unique=True), text("run_id"))
"""The ids that engines gave to runs, as far as they were known before the end."""

executions = Table(
    "executions",
    metadata,
    position(),
    text("id", unique=True),
    text("decision_id"),
    text("process_id"),
    text("target"),
    text("adapter"),
    text("task_type"),
    whole("attempt"),
    flag("fallback"),
    flag("randomised"),
    text("status"),
    whole("started_at_us"),
    maybe_whole("ended_at_us"),
    maybe_whole("latency_us"),
    whole("cost_micros"),
    text("price_version"),
    Column("seconds", Double, nullable=False),
    Column("agent_seconds", Double, nullable=False),
    whole("queries"),
    whole("input_tokens"),
    whole("cached_tokens"),
    whole("output_tokens"),
    flag("estimated"),
    Column("quality", Double),
    maybe_text("value"),
    maybe_text("error_code"),
    maybe_text("error"),
    maybe_text("run_id"),
    Column("latency_bucket", Integer),
    Column("cost_bucket", Integer),
    maybe_whole("quality_ppm"),
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
    position(),
    text("id", unique=True),
    text("decision_id"),
    whole("at_us"),
    Column("completed", SmallInteger),
    Column("correct", SmallInteger),
    maybe_text("corrected_to"),
    Column("quality", Double),
    maybe_text("note"),
    maybe_text("target"),
    maybe_text("task_type"),
    whole("samples"),
    whole("successes"),
    whole("quality_samples"),
    whole("quality_ppm"),
    whole("of_us"),
    Index("outcomes_by_decision", "decision_id"),
)
"""Each with the Revision it makes; `target` is NULL where it makes none."""

keys = Table(
    "keys",
    metadata,
    key("key"),
    text("fingerprint"),
    text("decision_id"),
    text("process_id"),
    flag("succeeded"),
    Index("keys_by_process", "process_id"),
)

processes = Table(
    "processes",
    metadata,
    key("id"),
    text("host"),
    whole("pid"),
    maybe_whole("pid_started"),
    whole("started_at_us"),
    whole("renewed_at_us"),
    whole("lease_us"),
    whole("beat"),
    whole("token"),
    flag("released"),
    text("loops"),
)
"""`beat` grows with each renewal. `renewed_at_us` is by the process's own clock and is for people alone. `loops` says
how its background loops are.
"""

snapshots = Table(
    "snapshots",
    metadata,
    position("version"),
    whole("cursor"),
    whole("published_at_us"),
    text("body"),
    text("kind"),
)

targets = Table("targets", metadata, key("name"), whole("place"), text("body"))

switches = Table("switches", metadata, key("target"), flag("enabled"))

workflow_starts = Table(
    "workflow_starts",
    metadata,
    position(),
    text("id", unique=True),
    text("run_id"),
    text("definition"),
    text("inputs"),
    text("place"),
    maybe_text("process_id"),
    whole("at_us"),
    Index("workflow_starts_by_run", "run_id"),
)

workflow_ends = Table(
    "workflow_ends",
    metadata,
    position(),
    text("id", unique=True),
    text("run_id"),
    text("status"),
    maybe_text("reason"),
    whole("at_us"),
    Index("workflow_ends_by_run", "run_id"),
)

step_ends = Table(
    "step_ends",
    metadata,
    position(),
    text("id", unique=True),
    text("run_id"),
    text("step"),
    text("status"),
    maybe_text("decision_id"),
    maybe_text("reason"),
    whole("at_us"),
    Index("step_ends_by_run", "run_id"),
)
"""Those without success: of the others their idempotency keys tell."""

cancellations = Table(
    "cancellations", metadata, position(), text("run_id"), whole("at_us"), Index("cancellations_by_run", "run_id")
)
"""Asked for, by any process; the one that runs the workflow looks here."""

dailies = Table(
    "dailies",
    metadata,
    Column("day", BigInteger, primary_key=True, autoincrement=False),
    key("target"),
    key("task_type"),
    text("body"),
)
"""What each UTC day added to each scorecard, up to the cursor of the aggregates."""

marks = Table("marks", metadata, key("name"), whole("position"))
"""Numbers of the store: `aggregates`, up to which position the dailies reach; `replaced`, how often they were others;
`store`, which tells it from every other store.
"""

jobs = Table(
    "jobs",
    metadata,
    key("name"),
    text("run_id"),
    text("process_id"),
    whole("started_at_us"),
    whole("lease_us"),
    whole("beat"),
    maybe_whole("ended_at_us"),
    Column("ok", SmallInteger),
    text("note"),
    maybe_whole("succeeded_at_us"),
)
"""The newest run of each job, and when one last succeeded."""

lake_parts = Table(
    "lake_parts",
    metadata,
    key("name"),
    whole("day"),
    whole("upto"),
    text("stays"),
    flag("emptied"),
    flag("raw"),
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
    key("id"),
    text("kind"),
    maybe_text("task_type"),
    maybe_text("target"),
    text("severity"),
    text("status"),
    text("summary"),
    text("detail"),
    whole("opened_at_us"),
    maybe_whole("acknowledged_at_us"),
    maybe_whole("resolved_at_us"),
    maybe_text("told"),
    maybe_text("about"),
    Index("alerts_by_status", "status"),
)

watch = Table("watch", metadata, whole("revision"), whole("cursor"), text("state"))
"""One row, once somebody has watched: what was seen up to the cursor."""

budgets = Table(
    "budgets", metadata, key("name"), text("body"), maybe_whole("hard_micros"), whole("since"), text("label")
)
"""`since` is the position from which on each counts by its accounts: what its period `label` had until then was carried
over.
"""

balances = Table("balances", metadata, key("budget"), key("label"), whole("spent"), whole("reserved"))
"""What the entries of each account add up to: kept beside them, so that asking for room is asking one row."""

reservations = Table(
    "reservations",
    metadata,
    key("execution_id"),
    text("process_id"),
    whole("at_us"),
    whole("micros"),
    text("adapter"),
    text("target"),
    text("task_type"),
    text("tags"),
    text("accounts"),
)
"""The live ones."""

ledger_entries = Table(
    "ledger_entries",
    metadata,
    position(),
    text("execution_id"),
    text("kind"),
    whole("n"),
    whole("at_us"),
    whole("of_us"),
    whole("micros"),
    text("adapter"),
    text("target"),
    text("task_type"),
    text("tags"),
    text("accounts"),
    text("note"),
    Index("ledger_entries_by_execution", "execution_id", "kind", "n", unique=True),
    Index("ledger_entries_by_time", "of_us"),
)
"""Only ever added to. `n` is 0 for the one entry of its kind that every execution has, else the entry's position."""

queued_tasks = Table(
    "queued_tasks",
    metadata,
    key("id"),
    text("budget"),
    text("task"),
    whole("queued_at_us"),
    whole("expires_at_us"),
    maybe_text("policy"),
    text("status"),
    maybe_text("decision_id"),
    maybe_whole("ended_at_us"),
    text("note"),
    Index("queued_tasks_by_status", "status", "id"),
)

experiments = Table(
    "experiments",
    metadata,
    key("name"),
    text("body"),
    text("status"),
    whole("revision"),
    Column("place", Double, nullable=False),
    whole("created_at_us"),
    maybe_whole("started_at_us"),
    maybe_whole("ended_at_us"),
    maybe_whole("checked_at_us"),
    whole("ran_us"),
    whole("cursor"),
    whole("assigned_cursor"),
    maybe_text("state"),
    text("note"),
)
"""`place` is where its part of the layer begins; up to the cursors everything has been read for it."""

experiment_units = Table("experiment_units", metadata, key("experiment"), key("stage"), key("unit"))
"""The units that were counted: each counts once."""

assignments = Table(
    "assignments",
    metadata,
    position(),
    text("id", unique=True),
    text("decision_id"),
    whole("at_us"),
    text("experiment"),
    maybe_text("unit"),
    flag("treated"),
    Column("probability", Double),
    Index("assignments_by_decision", "decision_id"),
    Index("assignments_by_experiment", "experiment", "position"),
)
"""What decisions were in experiments, at the time of the decision. `probability` is NULL where nothing was drawn."""
