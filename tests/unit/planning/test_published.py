"""What planning publishes comes back from a snapshot's document as it was, and old documents still read."""

import json

from mahavishnu.model import Snapshot
from mahavishnu.model.objective import objective_of
from mahavishnu.model.plan import Standing
from mahavishnu.storage.sql.facts.documents import snapshot_json, snapshot_of

FULL = Snapshot(
    version=7,
    strategies={"etl": objective_of("interactive"), "rag": objective_of({"success": 3, "cost": 1})},
    frontiers={
        "etl": (
            Standing(
                target="a",
                samples=10.5,
                success=0.9,
                cost_micros=0.0,
                latency_ms=None,
                quality=None,
                dominated_by=(),
                probability=0.8,
            ),
            Standing(
                target="b",
                samples=10.5,
                success=0.8,
                cost_micros=3.5,
                latency_ms=7.25,
                quality=0.5,
                dominated_by=("a",),
                probability=0.2,
            ),
        )
    },
    prices={"etl": 3.6, "rag": 0.0},
)


def test_strategies_frontiers_and_prices_come_back_as_they_were():
    back = snapshot_of(7, 0, 0, snapshot_json(FULL))
    assert back == FULL
    assert [each.on_frontier for each in back.frontiers["etl"]] == [True, False]


def test_a_snapshot_from_before_there_were_any_has_none():
    old = json.loads(snapshot_json(FULL))
    for name in ("strategies", "frontiers", "prices"):
        del old[name]
    back = snapshot_of(7, 0, 0, json.dumps(old))
    assert (back.strategies, back.frontiers, back.prices) == ({}, {}, {})
