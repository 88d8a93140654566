"""Which columns each table of the command has, and which of them may go where the terminal is narrow."""

from __future__ import annotations

from mahavishnu.cli.common.tables import Table

TARGETS = Table(
    ("name", "adapter", "run", "task_types", "enabled", "health", "source", "detail"),
    drops=("source", "run", "adapter", "task_types"),
)
TARGET_STATS = Table(
    ("task_type", "n", "rate", "p50_ms", "p95_ms", "mean_cost_usd", "score"),
    drops=("p50_ms", "score"),
)
FOUND_TARGETS = Table(
    ("adapter", "state", "name", "run", "task_types", "detail"),
    drops=("run", "task_types"),
)
CHECKED_TARGETS = Table(("target", "status", "detail", "mend"), drops=("detail",))
CANDIDATES = Table(("target", "probability", "score", "remark"), drops=("score",))

DECISIONS = Table(
    ("at", "decision_id", "task_type", "selected", "probability", "reason"),
    drops=("at", "probability", "task_type"),
)
EXECUTIONS = Table(
    ("started_at", "execution_id", "task_type", "target", "attempt", "status", "latency_ms", "cost_usd", "error"),
    drops=("attempt", "task_type", "started_at", "cost_usd", "latency_ms"),
)

BUDGETS = Table(
    ("budget", "covers", "period", "limit_usd", "soft_usd", "spent_usd", "reserved_usd", "room_usd", "turns_at"),
    drops=("soft_usd", "turns_at", "reserved_usd", "period", "covers"),
)
ENTRIES = Table(
    ("at", "kind", "usd", "target", "task_type", "execution_id", "note"),
    drops=("note", "task_type", "execution_id"),
)
QUEUE = Table(
    ("queued_id", "budget", "task_type", "status", "queued_at", "expires_at", "decision_id", "note"),
    drops=("decision_id", "note", "queued_at", "task_type"),
)

STATS = Table(
    (
        "task_type",
        "target",
        "n",
        "successes",
        "rate",
        "wilson_lo",
        "wilson_hi",
        "p50_ms",
        "p95_ms",
        "p99_ms",
        "mean_cost_usd",
        "quality",
        "score",
        "trusted",
    ),
    drops=(
        "p99_ms",
        "successes",
        "p50_ms",
        "trusted",
        "wilson_hi",
        "wilson_lo",
        "quality",
        "mean_cost_usd",
        "p95_ms",
    ),
)
ASIDES = Table(("target", "task_type", "experiment", "reason", "since"), drops=("since",))
ORDERS = Table(("task_type", "order", "version"))
SNAPSHOTS = Table(("version", "kind", "published_at", "notes"), drops=("kind", "published_at"))
STRATEGIES = Table(("task_type", "objective"))
FRONTIER = Table(
    ("target", "on it", "probability", "n", "success", "cost_usd", "latency_ms", "quality", "beaten by"),
    drops=("quality", "n", "probability", "beaten by"),
)
PLAN = Table(("task_type", "target", "share", "runs a day"))

ALERTS = Table(
    ("opened_at", "alert_id", "status", "severity", "condition", "summary"),
    drops=("condition", "opened_at", "status"),
)
EXPERIMENTS = Table(
    ("name", "status", "owner", "started_at", "ended_at", "treated", "e-value worse", "e-value better"),
    drops=("owner", "ended_at", "started_at", "e-value better"),
)
NEEDS = Table(("how", "treated", "requests", "days"))
COMPARISONS = Table(("measure", "test", "difference", "lo", "hi", "p"), drops=("test",))

SCHEDULE = Table(
    ("job", "cron", "deployment", "active", "next", "last_succeeded"),
    drops=("deployment", "cron", "last_succeeded"),
)
STEPS = Table(
    ("step", "status", "target", "attempts", "latency_ms", "cost_usd", "reason"),
    drops=("attempts", "cost_usd", "latency_ms"),
)
WORKFLOWS = Table(
    ("started_at", "run_id", "workflow", "place", "status", "steps", "reason"),
    drops=("steps", "place", "started_at"),
)
PROCESSES = Table(
    ("process", "host", "pid", "lives", "running", "reserved_usd", "started_at", "loops"),
    drops=("started_at", "reserved_usd", "host"),
)
CHECKS = Table(("check", "status", "detail", "mend"), drops=("detail",))
BATCH = Table(("target", "succeeded", "failed"))
