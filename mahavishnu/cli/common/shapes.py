"""The JSON shapes: what programs may rely on. Ids are text, times ISO 8601, money in dollars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mahavishnu.cli.common.printing import moment
from mahavishnu.errors import BudgetExhausted, MahavishnuError, TaskQueued
from mahavishnu.model import Considered, CostModel, Decision, Estimate, Execution, Outcome, Report, Target, Task
from mahavishnu.model.aside import AsideRow
from mahavishnu.model.money import to_usd
from mahavishnu.redaction import redacted, without_secrets
from mahavishnu.stats.evidence import estimate, merged

if TYPE_CHECKING:
    from mahavishnu.engine.routing.evidence import Stat
    from mahavishnu.engine.routing.roster import Standing

Shape = dict[str, Any]


def usd(micros: int) -> float:
    return float(to_usd(micros))


def task_shape(task: Task) -> Shape:
    return {
        "type": task.type,
        "text": task.text,
        "payload": dict(task.payload),
        "capabilities": sorted(task.capabilities),
        "target": task.target,
        "exclude": sorted(task.exclude),
        "max_latency_ms": task.max_latency_ms,
        "max_cost_usd": None if task.max_cost_usd is None else f"{task.max_cost_usd:f}",
        "min_success_rate": task.min_success_rate,
        "min_quality": task.min_quality,
        "objective": None if task.objective is None else str(task.objective),
        "deadline_ms": task.deadline_ms,
        "idempotency_key": task.idempotency_key,
        "repeatable": task.repeatable,
        "tags": dict(task.tags),
    }


def candidate_shape(considered: Considered) -> Shape:
    return {
        "target": considered.target,
        "probability": considered.probability,
        "score": considered.score,
        "components": dict(considered.components),
        "eligible": considered.eligible,
        "why_not": considered.why_not,
        "note": considered.note,
    }


def decision_shape(decision: Decision) -> Shape:
    return {
        "decision_id": decision.id,
        "at": moment(decision.at_us),
        "selected": decision.selected,
        "probability": decision.probability,
        "confidence": decision.confidence,
        "confidence_kind": decision.confidence_kind,
        "reason": decision.reason,
        "candidates": [candidate_shape(each) for each in decision.considered],
        "alternatives": list(decision.alternatives),
        "randomised": decision.randomised,
        "experiments": [
            {"experiment": each.experiment, "treated": each.treated, "probability": each.probability}
            for each in decision.assignments
        ],
        "policy": decision.policy,
        "policy_version": decision.policy_version,
        "snapshot_version": decision.snapshot_version,
        "snapshot_cursor": decision.snapshot_cursor,
        "seed": decision.seed,
        "overhead_us": decision.overhead_us,
        "process_id": decision.process_id,
        "task": task_shape(decision.task),
    }


def execution_shape(execution: Execution) -> Shape:
    return {
        "execution_id": execution.id,
        "decision_id": execution.decision_id,
        "target": execution.target,
        "adapter": execution.adapter,
        "task_type": execution.task_type,
        "attempt": execution.attempt,
        "fallback": execution.fallback,
        "randomised": execution.randomised,
        "status": execution.status.value,
        "started_at": moment(execution.started_at_us),
        "ended_at": moment(execution.ended_at_us),
        "latency_ms": execution.latency_ms,
        "cost_usd": usd(execution.cost_micros),
        "price_version": execution.price_version,
        "usage": asdict(execution.usage),
        "quality": execution.quality,
        "value": execution.value,
        "error_code": execution.error_code,
        "error": execution.error,
        "run_id": execution.run_id,
        "process_id": execution.process_id,
    }


def result_shape(report: Report) -> Shape:
    """What became of a task: the last attempt, and what all of them cost together."""
    last = report.last
    return {
        "decision_id": report.decision.id if report.decision else None,
        "execution_id": last.id if last else None,
        "target": last.target if last else None,
        "status": last.status.value if last else None,
        "value": report.value,
        "latency_ms": last.latency_ms if last else None,
        "cost_usd": usd(report.cost_micros),
        "replayed": report.replayed,
        "error_code": report.error.code if report.error else None,
        "error": str(report.error) if report.error else None,
        **_budget_shape(report.error),
    }


def _budget_shape(error: MahavishnuError | None) -> Shape:
    """Which budget had no room for a task, and where it waits if it does."""
    match error:
        case BudgetExhausted(budget=budget):
            return {"budget": budget, "queued_id": None}
        case TaskQueued(budget=budget, queued_id=queued_id):
            return {"budget": budget, "queued_id": queued_id}
        case _:
            return {"budget": None, "queued_id": None}


def report_shape(report: Report) -> Shape:
    return {**result_shape(report), "attempts": [execution_shape(each) for each in report.executions]}


def outcome_shape(outcome: Outcome) -> Shape:
    return {
        "outcome_id": outcome.id,
        "decision_id": outcome.decision_id,
        "at": moment(outcome.at_us),
        "completed": outcome.completed,
        "correct": outcome.correct,
        "corrected_to": outcome.corrected_to,
        "quality": outcome.quality,
        "note": outcome.note,
    }


def stat_shape(stat: Stat) -> Shape:
    return {
        "target": stat.target,
        "task_type": stat.task_type,
        **_estimate_shape(stat.estimate),
        "speed": stat.speed,
        "score": stat.score,
        "trusted": stat.trusted,
    }


def _estimate_shape(seen: Estimate) -> Shape:
    return {
        "n": seen.samples,
        "effective": seen.effective,
        "successes": seen.successes,
        "rate": seen.rate,
        "wilson_lo": seen.wilson_lo,
        "wilson_hi": seen.wilson_hi,
        "p50_ms": seen.p50_ms,
        "p95_ms": seen.p95_ms,
        "p99_ms": seen.p99_ms,
        "mean_cost_usd": None if seen.mean_cost_micros is None else seen.mean_cost_micros / 1e6,
        "cost_interval_usd": _in_dollars(seen.cost_interval_micros),
        "quality": seen.quality,
        "quality_interval": None if seen.quality is None else list(seen.quality_interval),
        "last_at": moment(seen.last_at_us or None),
    }


def _in_dollars(interval: tuple[float, float] | None) -> list[float] | None:
    return None if interval is None else [end / 1e6 for end in interval]


def target_shape(target: Target) -> Shape:
    return {
        "name": target.name,
        "adapter": target.adapter,
        "run": redacted(target.run),
        "task_types": sorted(target.task_types),
        "capabilities": sorted(target.capabilities),
        "cost_per_run_usd": float(target.cost_model.per_run_usd),
        "cost": _rates(target.cost_model),
        "price_version": target.cost_model.version,
        "deployment": target.deployment,
        "timeout_ms": target.timeout_ms,
        "max_concurrent": target.max_concurrent,
        "max_cost_usd": None if target.max_cost_usd is None else float(target.max_cost_usd),
        "options": without_secrets(target.options),
    }


def _rates(model: CostModel) -> Shape:
    """The rates that are not 0, besides the one per run; over how many runs a month is spread only where it costs."""
    hidden = {"per_run_usd"} if model.monthly_usd else {"per_run_usd", "monthly_runs"}
    return {name: float(rate) for name, rate in asdict(model).items() if rate and name not in hidden}


def standing_shape(standing: Standing) -> Shape:
    return {
        **target_shape(standing.target),
        "enabled": standing.enabled,
        "source": standing.source,
        "health": standing.health.status.value,
        "detail": "; ".join(filter(None, (standing.health.detail, *map(str, standing.asides)))),
        "breaker": standing.breaker.value,
        "put_aside": [aside_shape(row) for row in standing.asides],
    }


def aside_shape(row: AsideRow) -> Shape:
    return {
        "task_type": row.task_type,
        "target": row.target,
        "experiment": row.aside.experiment,
        "reason": row.aside.reason.value,
        "since": moment(row.aside.since_us),
    }


def summed_shape(adapter: str, task_type: str | None, stats: Sequence[Stat]) -> Shape:
    """The evidence on several targets as if they were one."""
    return {
        "adapter": adapter,
        "task_type": task_type,
        "targets": sorted({each.target for each in stats}),
        **_estimate_shape(estimate(merged(each.scorecard for each in stats))),
    }
