"""Nouns that are kept whole, as JSON: tasks, considered targets, targets and scorecards."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, fields
from decimal import Decimal
from typing import Any

from mahavishnu.model import Considered, CostModel, Scorecard, Snapshot, SnapshotKind, Target, Task, day_of
from mahavishnu.model.aside import Aside, AsideReason
from mahavishnu.model.objective import Objective
from mahavishnu.model.plan import Standing
from mahavishnu.stats.evidence import COUNTS
from mahavishnu.storage.sql.experiments.documents import underway_document, underway_of

_RATES = tuple(each.name for each in fields(CostModel) if each.name.endswith("_usd"))
_PLAIN_CARD = tuple(each.name for each in fields(Scorecard) if each.name not in ("target", "task_type", *COUNTS))


def task_json(task: Task) -> str:
    return json.dumps(
        {
            **_demands(task),
            "type": task.type,
            "text": task.text,
            "payload": dict(task.payload),
            "capabilities": sorted(task.capabilities),
            "target": task.target,
            "exclude": sorted(task.exclude),
            "deadline_ms": task.deadline_ms,
            "idempotency_key": task.idempotency_key,
            "repeatable": task.repeatable,
            "tags": dict(task.tags),
        }
    )


def _demands(task: Task) -> dict[str, Any]:
    """What it demands beside its type, where it does: most tasks demand nothing."""
    demands: dict[str, Any] = {
        "max_latency_ms": task.max_latency_ms,
        "max_cost_usd": None if task.max_cost_usd is None else str(task.max_cost_usd),
        "min_success_rate": task.min_success_rate,
        "min_quality": task.min_quality,
        "objective": None if task.objective is None else dict(task.objective.weights),
    }
    return {name: demand for name, demand in demands.items() if demand is not None}


def task_of(text: str) -> Task:
    found = json.loads(text)
    if "max_cost_usd" in found:
        found["max_cost_usd"] = Decimal(found["max_cost_usd"])
    if "objective" in found:
        found["objective"] = Objective(**found["objective"])
    found["capabilities"] = frozenset(found["capabilities"])
    found["exclude"] = frozenset(found["exclude"])
    return Task(**found)


def considered_json(considered: Iterable[Considered]) -> str:
    return json.dumps(
        [
            {
                "target": each.target,
                "eligible": each.eligible,
                "why_not": each.why_not,
                "probability": each.probability,
                "score": each.score,
                "components": dict(each.components),
                "note": each.note,
            }
            for each in considered
        ]
    )


def considered_of(text: str) -> tuple[Considered, ...]:
    return tuple(Considered(**each) for each in json.loads(text))


def target_json(target: Target) -> str:
    return json.dumps(
        {
            "name": target.name,
            "adapter": target.adapter,
            "run": target.run,
            "task_types": sorted(target.task_types),
            "capabilities": sorted(target.capabilities),
            "cost_model": {name: str(getattr(target.cost_model, name)) for name in _RATES},
            "monthly_runs": target.cost_model.monthly_runs,
            "deployment": target.deployment,
            "timeout_ms": target.timeout_ms,
            "max_concurrent": target.max_concurrent,
            "max_cost_usd": None if target.max_cost_usd is None else str(target.max_cost_usd),
            "enabled": target.enabled,
            "place": target.place,
            "options": dict(target.options),
        }
    )


def target_of(text: str) -> Target:
    found: dict[str, Any] = json.loads(text)
    found["task_types"] = frozenset(found["task_types"])
    found["capabilities"] = frozenset(found["capabilities"])
    if found.get("max_cost_usd") is not None:
        found["max_cost_usd"] = Decimal(found["max_cost_usd"])
    rates = {name: Decimal(rate) for name, rate in found["cost_model"].items()}
    found["cost_model"] = CostModel(**rates, monthly_runs=found.pop("monthly_runs"))
    return Target(**found)


def snapshot_json(snapshot: Snapshot) -> str:
    """Everything of a snapshot that has no column of its own."""
    return json.dumps(
        {
            "kind": snapshot.kind.value,
            "day": snapshot.day,
            "cards": [_card(card) for card in snapshot.scorecards.values()],
            "orders": {task_type: list(order) for task_type, order in snapshot.orders.items()},
            "strategies": {task_type: dict(each.weights) for task_type, each in snapshot.strategies.items()},
            "frontiers": {
                task_type: [asdict(each) for each in found] for task_type, found in snapshot.frontiers.items()
            },
            "prices": dict(snapshot.prices),
            "experiments": [underway_document(each) for each in snapshot.experiments],
            "policies": dict(snapshot.policies),
            "put_aside": {
                task_type: {target: asdict(aside) for target, aside in rows.items()}
                for task_type, rows in snapshot.put_aside.items()
            },
            "notes": list(snapshot.notes),
            "restored": snapshot.restored,
        }
    )


def snapshot_of(version: int, cursor: int, published_at_us: int, body: str) -> Snapshot:
    found = json.loads(body)
    if isinstance(found, list):
        found = {"kind": "fold", "day": day_of(published_at_us), "cards": [_completed(each) for each in found]}
    cards = [_card_of(each) for each in found["cards"]]
    return Snapshot(
        version=version,
        kind=SnapshotKind(found["kind"]),
        cursor=cursor,
        day=found["day"],
        published_at_us=published_at_us,
        scorecards={(card.target, card.task_type): card for card in cards},
        orders={task_type: tuple(order) for task_type, order in found.get("orders", {}).items()},
        strategies={task_type: Objective(**weights) for task_type, weights in found.get("strategies", {}).items()},
        frontiers={
            task_type: tuple(Standing(**{**each, "dominated_by": tuple(each["dominated_by"])}) for each in standings)
            for task_type, standings in found.get("frontiers", {}).items()
        },
        prices=found.get("prices", {}),
        experiments=tuple(underway_of(each) for each in found.get("experiments", ())),
        policies=found.get("policies", {}),
        put_aside={
            task_type: {target: _aside_of(aside) for target, aside in rows.items()}
            for task_type, rows in found.get("put_aside", {}).items()
        },
        notes=tuple(found.get("notes", ())),
        restored=found.get("restored"),
    )


def _aside_of(found: dict[str, Any] | str) -> Aside:
    """Earlier versions wrote down the experiment only."""
    if isinstance(found, str):
        return Aside(experiment=found, reason=AsideReason.UNRECORDED)
    return Aside(**{**found, "reason": AsideReason(found["reason"])})


def scorecard_json(card: Scorecard) -> str:
    return json.dumps(_card(card))


def scorecard_of(text: str) -> Scorecard:
    return _card_of(json.loads(text))


def _card(card: Scorecard) -> dict[str, Any]:
    """What is not zero: most cards have never seen most of what can happen."""
    plain = {name: value for name in _PLAIN_CARD if (value := getattr(card, name))}
    # Buckets are pairs, because the keys of a JSON object would come back as text.
    pairs = {name: sorted(found.items()) for name in COUNTS if (found := getattr(card, name))}
    return {"target": card.target, "task_type": card.task_type, **plain, **pairs}


def _card_of(found: dict[str, Any]) -> Scorecard:
    return Scorecard(**{**found, **{name: dict(found[name]) for name in COUNTS if name in found}})


def _completed(card: dict[str, Any]) -> dict[str, Any]:
    """A card from before there were sums of everything: what can be said of the rest is said."""
    others = card["successes"] + card["timed_out"] + card["lost"]
    return {
        **card,
        "failed": max(card["samples"] - others, 0),
        "squares": card["samples"],
        "spent_micros": card["cost_micros"],
    }
