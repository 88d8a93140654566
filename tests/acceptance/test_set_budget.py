"""mahavishnu routing set-budget: every period, and everything that a budget can be narrowed down to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize("period", ["hour", "day", "week", "month", "total"])
def test_a_budget_starts_again_after_its_period(cli: Any, period: str):
    made = cli.ok("routing", "set-budget", "b", "--limit", "3", "--period", period)
    assert (made["budget"], made["limit_usd"], made["period"]) == ("b", "3", period)
    assert (made["turns_at"] is None) == (period == "total")
    assert cli.ok("budgets", "list") == [made]


@pytest.mark.parametrize(
    ("narrowed", "field", "kept", "outside"),
    [
        (["--task-type", "say"], "task_type", "say", ["-t", "sing"]),
        (["--target", "shout"], "target", "shout", ["-t", "say", "--target", "whisper"]),
        (["--adapter", "local"], "adapter", "local", None),
        (["--tag", "team=a"], "tags", {"team": "a"}, ["-t", "say", "--tag", "team=b"]),
    ],
    ids=["task type", "target", "adapter", "tag"],
)
def test_what_narrows_a_budget_down_is_refused_without_room_and_nothing_else_is(
    cli: Any, narrowed: list[str], field: str, kept: object, outside: list[str] | None
):
    cli.add("shout", cost_per_run="0.25")
    cli.add("whisper", cost_per_run="0.25")
    Path("more.py").write_text("def hum(text): return text\n")
    assert cli("targets", "add", "hum", "--run", "more:hum", "--task-type", "sing", "--cost-per-run=0.25").code == 0
    made = cli.ok("routing", "set-budget", "b", "--limit", "0", *narrowed)
    assert made[field] == kept
    inside = ["-t", "say", "--target", "shout", "--tag", "team=a"]
    assert "budget b has $0 of $0 left" in cli("execute", "hello", *inside).err
    if outside is not None:
        assert cli("execute", "hello", *outside).code == 0
