"""routing plan, frontier, hints and set-strategy; and the seed's two calls for the same."""

from __future__ import annotations

from typing import Any

import pytest

from mahavishnu import Task
from mahavishnu.app import open_app
from mahavishnu.compat.cost_optimizer import CostOptimizer
from mahavishnu.errors import InvalidTask, NothingEligible
from mahavishnu.settings import Settings


@pytest.fixture
def known(cli: Any) -> None:
    cli.add("shout", cost_per_run="0.5")
    cli.add("whisper", cost_per_run="0.001")
    for name in ("shout", "whisper"):
        for _ in range(21):
            cli.ok("execute", "hello", "-t", "say", "--target", name)


def test_a_plan_under_a_budget_and_one_that_cannot_be(cli: Any, known: None):
    found = cli.ok("routing", "plan", "--budget", "70/week", "--volume", "say=100")
    assert found["feasible"]
    assert found["cost_usd"] <= 10.0 + 1e-6
    refused = cli("routing", "plan", "--budget", "0.01/day", "--volume", "say=100")
    assert refused.code == 1
    assert "--budget 0.1 instead of 0.01 would do" in refused.out


def test_the_frontier_is_printed_and_drawn(cli: Any, known: None, tmp_path: Any):
    found = cli.ok("routing", "frontier", "-t", "say")
    assert {each["target"] for each in found} == {"shout", "whisper"}
    drawn = tmp_path / "frontier.svg"
    shown = cli("routing", "frontier", "-t", "say", "--svg", str(drawn))
    assert "= whisper" in shown.out
    assert drawn.read_text().count("<circle") == 2
    cli.add("picky", task_type="sing")
    assert cli("routing", "frontier", "-t", "sing").out == "No target has been run for task type sing yet.\n"


def test_a_strategy_is_set_shown_followed_and_undone(cli: Any, known: None):
    assert cli.ok("routing", "set-strategy", "say", "batch")["objective"] == "cost"
    assert cli.ok("routing", "strategies") == [
        {
            "task_type": "say",
            "objective": "cost",
            "weights": {"success": 0.3, "cost": 0.7, "latency": 0.0, "quality": 0.0},
        }
    ]
    assert "for cost" in cli.ok("route", "hello", "-t", "say")["reason"]
    assert cli.ok("routing", "set-strategy", "say", "--undo")["objective"] is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["set-strategy", "say"], "give an objective or --weights"),
        (["set-strategy", "say", "speed"], '"speed" is none of success, cost'),
        (["set-strategy", "say", "--weights", "success=-1"], "not a number of 0 or more"),
        (["plan", "--budget", "25"], "must be dollars and a period"),
        (["plan", "--volume", "say=many"], "say must be a number"),
        (["plan", "--min-success-rate", "say=2"], "between 0 and 1"),
    ],
)
def test_what_cannot_be_meant_is_refused(cli: Any, arguments: list[str], words: str):
    refused = cli("routing", *arguments)
    assert refused.code == 2
    assert words in refused.err


def test_hints_say_so_where_there_are_none(cli: Any, known: None):
    assert cli.ok("routing", "hints") == []


async def test_the_seeds_calls_choose_under_constraints_and_set_strategies(tmp_path: Any):
    target = {"run": "builtins:str", "task_types": ["t"]}
    settings = Settings.model_validate(
        {"store": {"url": f"sqlite:///{tmp_path}/s.db"}, "targets": {"a": {**target, "task_types": frozenset({"t"})}}}
    )
    async with open_app(settings) as app:
        optimizer = CostOptimizer(app)
        task = Task(type="t", text="x")
        found = await optimizer.get_optimal_adapter(task, {"max_cost": "0.01", "min_quality": 0.5})
        assert (found.adapter, found.alternatives) == ("a", [])
        assert found.reasoning == "Recommended a: no evidence yet; best expected of 1"
        with pytest.raises(NothingEligible):
            await optimizer.get_optimal_adapter(task, {"excluded_agents": ["a"]})
        with pytest.raises(InvalidTask, match="max_price"):
            await optimizer.get_optimal_adapter(task, {"max_price": 1})
        assert await optimizer.set_strategy("t", "critical") == 1
