"""costs: what was spent, by whatever it is to be looked at; what a task may demand; the seeds' keys."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from decimal import Decimal
from typing import Any

import pytest


def today() -> dt.date:
    return dt.datetime.now(dt.UTC).date()


@pytest.fixture
def spent(cli: Any) -> None:
    """Ten runs of a tenth of a cent and a bit, which floats would not add up; and a dear one, of another type."""
    cli.add("shout", cost_per_run="0.001001")
    cli.add("whisper", task_type="hush", cost_per_run="2")
    for place in range(10):
        cli.ok("execute", "hello", "-t", "say", "--tag", f"team={'search' if place % 2 else 'ads'}")
    cli.ok("execute", "HELLO", "-t", "hush")


# -- costs -------------------------------------------------------------------------------------------------------------


def test_costs_are_exact_and_the_dearest_comes_first(cli: Any, spent: None):
    found = cli.ok("costs", "--by", "target,task-type")
    assert found["costs"] == [
        {"target": "whisper", "task_type": "hush", "executions": 1, "cost_usd": "2"},
        {"target": "shout", "task_type": "say", "executions": 10, "cost_usd": "0.01001"},
    ]
    assert found["total"] == {"executions": 11, "cost_usd": "2.01001"}
    assert found["by"] == ["target", "task_type"]
    assert cli("costs").out.splitlines()[-1] == "In all: 11 executions, $2.01001."


def test_costs_by_day_adapter_and_tag(cli: Any, spent: None):
    by_tag = {each["tag:team"]: each["cost_usd"] for each in cli.ok("costs", "--by", "tag:team")["costs"]}
    assert (by_tag["search"], by_tag["ads"]) == ("0.005005", "0.005005")
    assert sum(map(Decimal, by_tag.values())) == Decimal("2.01001")
    (whole,) = cli.ok("costs", "--by", "day,adapter", "--window", "1d")["costs"]
    assert (whole["day"], whole["adapter"], whole["cost_usd"]) == (str(today()), "local", "2.01001")


def test_costs_go_into_a_spreadsheet(cli: Any, spent: None):
    rows = list(csv.DictReader(io.StringIO(cli("costs", "--csv", "--by", "task-type").out)))
    assert rows == [
        {"task_type": "hush", "executions": "1", "cost_usd": "2"},
        {"task_type": "say", "executions": "10", "cost_usd": "0.01001"},
    ]


def test_a_second_costs_what_the_usage_says_it_was(cli: Any):
    cli.add("shout", "broken", cost="per_second_usd=1000")
    for target, status in (("shout", "succeeded"), ("broken", "failed")):
        (attempt,) = cli("execute", "hello", "-t", "say", "--target", target, "--json").json["attempts"]
        assert (attempt["status"], attempt["usage"]["seconds"] > 0) == (status, True)
        assert attempt["cost_usd"] == pytest.approx(attempt["usage"]["seconds"] * 1000, abs=1e-6)


def test_before_anything_was_spent_it_says_so(cli: Any):
    assert cli("costs").out == "Nothing was spent in that time.\n"
    assert cli.ok("costs")["total"] == {"executions": 0, "cost_usd": "0"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--by", "targte"], 'knows no "targte"; did you mean "target"?'),
        (["--by", ""], 'knows no ""; take of target, adapter, task_type, day, tag:NAME'),
        (["--by", "tag:"], 'knows no "tag:"'),
        (["--by", "day,day"], "names one twice: day,day"),
        (["--window", "a month"], "must be a number with s, m, h or d"),
        (["--csv", "--json"], "exclude each other; give one"),
    ],
)
def test_costs_that_cannot_be_meant_exit_2(cli: Any, arguments: list[str], sentence: str):
    ended = cli("costs", *arguments)
    assert ended.code == 2
    assert sentence in ended.sentence


# -- what a task may demand --------------------------------------------------------------------------------------------


def test_the_demands_of_a_task_are_kept_with_its_decision(cli: Any):
    cli.add("shout")
    made = cli.ok("route", "x", "-t", "say", "--max-cost", "0.05", "--min-success-rate", "0.9", "--min-quality", "0.5",
                  "--max-latency-ms", "500", "--objective", "interactive")  # fmt: skip
    task = made["task"]
    assert (task["max_cost_usd"], task["min_success_rate"], task["min_quality"]) == ("0.05", 0.9, 0.5)
    assert (task["max_latency_ms"], task["objective"]) == (500, "latency")
    assert cli.ok("decisions")[0]["task"] == task
    weighed = cli.ok("execute", "x", "-t", "say", "--objective", "success=3, cost=1")
    (decision,) = cli.ok("decisions", "--last", "1")
    assert (decision["decision_id"], decision["task"]["objective"]) == (weighed["decision_id"], "success=3,cost=1")


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--max-cost", "-1"], 'Invalid value for "--max-cost": is negative: -1'),
        (["--max-cost", "cheap"], "is not an amount of dollars: cheap"),
        (["--min-success-rate", "90"], "The task's min_success_rate must lie between 0 and 1, not 90.0."),
        (["--min-quality", "nan"], "The task's min_quality must lie between 0 and 1"),
        (["--objective", "speed"], 'objective "speed" is none of success, cost, latency, quality, balanced'),
        (["--objective", "speed=1"], 'objective weighs "speed"; it can weigh cost, latency, quality, success'),
        (["--objective", "cost=much"], "cost must be given a number, such as cost=3, not much"),
        (["--objective", "cost=0"], "has no weight above 0"),
    ],
)
@pytest.mark.parametrize("command", ["route", "execute"])
def test_a_demand_that_cannot_be_meant_exits_2(cli: Any, command: str, flags: list[str], sentence: str):
    cli.add("shout")
    ended = cli(command, "x", "-t", "say", *flags)
    assert ended.code == 2
    assert sentence in ended.sentence
    assert cli.ok("decisions") == []


def test_the_lines_of_a_file_may_demand_the_same(cli: Any, folder: Any):
    cli.add("shout")
    line = {"type": "say", "text": "a", "max_cost_usd": 0.1, "min_quality": 0.5, "objective": {"success": 3, "cost": 1}}
    (folder / "t.jsonl").write_text(json.dumps(line))
    assert cli("run", "t.jsonl").code == 0
    (decision,) = cli.ok("decisions")
    task = decision["task"]
    assert (task["max_cost_usd"], task["min_quality"], task["objective"]) == ("0.1", 0.5, "success=3,cost=1")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ({"max_cost_usd": "-1"}, '"max_cost_usd" is negative: -1'),
        ({"max_cost_usd": True}, '"max_cost_usd" is not an amount of dollars: True'),
        ({"min_success_rate": 2}, "min_success_rate must lie between 0 and 1"),
        ({"objective": "speed"}, '"speed" is none of success'),
        ({"objective": 5}, '"objective" must be'),
        ({"max_cost": 1}, 'has the unknown key "max_cost" (did you mean "max_cost_usd"?)'),
    ],
)
def test_a_line_that_demands_what_cannot_be_meant_is_named(cli: Any, folder: Any, line: Any, sentence: str):
    (folder / "t.jsonl").write_text(json.dumps({"type": "say", "text": "a", **line}))
    ended = cli("run", "t.jsonl")
    assert ended.code == 2
    assert "line 1: " in ended.sentence
    assert sentence in ended.sentence


def test_each_step_of_a_workflow_may_have_demands_of_its_own(cli: Any, folder: Any):
    cli.add("shout")
    (folder / "w.toml").write_text(
        '[workflow]\nname = "w"\n[steps.a]\ntype = "say"\ntext = "x"\nobjective = "batch"\nmax_cost_usd = 0.02\n'
        '[steps.b]\ntype = "say"\nneeds = ["a"]\ntext = "y"\nobjective = { success = 3, latency = 1 }\n'
    )
    assert cli("workflow", "run", "w.toml").code == 0
    asked = {each["task"]["text"]: each["task"] for each in cli.ok("decisions")}
    assert (asked["x"]["objective"], asked["x"]["max_cost_usd"]) == ("cost", "0.02")
    assert asked["y"]["objective"] == "success=3,latency=1"


# -- the seeds' keys ---------------------------------------------------------------------------------------------------


def test_the_seeds_keys_of_costs_are_read_from_the_ledger(cli: Any, spent: None):
    day = today()
    year, week, _ = day.isocalendar()
    daily = cli.ok("store", "get", f"adapter:local:cost:daily:{day}")
    assert (daily["since"], daily["until"]) == (str(day), str(day + dt.timedelta(days=1)))
    assert (daily["adapter"], daily["executions"], daily["total_cost_usd"]) == ("local", 11, "2.01001")
    assert daily["by_task_type"] == {"hush": "2", "say": "0.01001"}
    weekly = cli.ok("store", "get", f"adapter:local:cost:weekly:{year}-W{week:02}")
    monthly = cli.ok("store", "get", f"cost:total:monthly:{day.year}:{day.month:02}")
    assert weekly["total_cost_usd"] == monthly["total_cost_usd"] == "2.01001"
    assert (weekly["adapter"], monthly["adapter"]) == ("local", None)


@pytest.mark.parametrize(
    "key", ["adapter:far:cost:daily:2020-02-29", "adapter:local:cost:weekly:2020-W53", "cost:total:monthly:2020:1"]
)
def test_a_time_in_which_nothing_was_spent_is_no_record(cli: Any, key: str):
    ended = cli("store", "get", key)
    assert (ended.code, ended.sentence) == (2, f'There is no record "{key}"; mahavishnu costs shows what there is.')


@pytest.mark.parametrize(
    "key", ["adapter:a:cost:daily:2026-02-30", "adapter:a:cost:weekly:2026-W54", "adapter:a:cost:weekly:7",
            "cost:total:monthly:2026:13"]
)  # fmt: skip
def test_a_time_that_there_never_was_is_no_key(cli: Any, key: str):
    ended = cli("store", "get", key)
    assert ended.code == 2
    assert "adapter:{adapter}:cost:weekly:{year}-W{week}" in ended.sentence
