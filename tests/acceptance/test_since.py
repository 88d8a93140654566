"""--since and --until: one parser, alike for decisions, executions, costs and alerts."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from mahavishnu.engine.clock import SystemClock
from mahavishnu.model.alert import Alert, AlertKind, Condition, Severity, Watch
from mahavishnu.storage import open_store


@pytest.fixture
def two(cli: Any) -> list[str]:
    """The ids of two decisions, the older one first."""
    cli.add("shout", cost_per_run="1")
    return [cli.ok("execute", text, "-t", "say")["decision_id"] for text in ("one", "two")]


def test_what_happened_is_listed_from_a_moment_on_and_before_another(cli: Any, two: list[str]):
    newer, older = cli.ok("decisions")
    started = [row["started_at"] for row in cli.ok("executions")]

    def ids(command: str, *flags: str) -> list[str]:
        return [row["decision_id"] for row in cli.ok(command, *flags)]

    assert ids("decisions", "--since", newer["at"]) == two[1:]
    assert ids("decisions", "--until", newer["at"]) == two[:1]
    assert ids("decisions", "--since", older["at"], "--until", newer["at"]) == two[:1]
    assert ids("decisions", "--since", "1h") == two[::-1]
    assert ids("decisions", "--until", "1h") == []
    assert ids("executions", "--since", started[0]) == two[1:]
    assert ids("executions", "--until", started[0]) == two[:1]
    assert cli("decisions", "--until", "2d").out == "No decision in that time.\n"
    assert cli("executions", "--until", "2d").out == "No execution in that time.\n"


def test_costs_are_those_of_that_time_and_a_window_is_another_way_to_say_it(cli: Any, two: list[str]):
    started = cli.ok("executions")[0]["started_at"]
    spent = cli.ok("costs", "--since", "1h")
    assert (spent["total"]["cost_usd"], spent["until"]) == ("2", None)
    assert cli.ok("costs", "--until", started)["total"] == {"executions": 1, "cost_usd": "1"}
    assert cli.ok("costs", "--since", "2020-01-01", "--until", "2020-01-02")["costs"] == []
    both = cli("costs", "--window", "7d", "--since", "2h")
    assert both.code == 2
    assert "exclude each other" in both.sentence


def test_alerts_are_those_that_opened_in_that_time(cli: Any, folder: Path):
    cli.ok("alerts", "list")

    async def add() -> None:
        store = open_store(f"sqlite:///{folder}/mahavishnu.db", SystemClock())
        await store.open()
        alerts = [
            Alert(id=f"01KB2Q7YV0S3J4N5P6R7T8V9W{n}", condition=Condition(kind=AlertKind.SCHEDULE, about=str(n)),
                  severity=Severity.WARNING, summary="late", opened_at_us=n * 86_400_000_000)
            for n in (1, 2)
        ]  # fmt: skip
        assert await store.keep_watch(Watch(), Watch(revision=1), alerts)
        await store.close()

    asyncio.run(add())
    assert [row["opened_at"][:10] for row in cli.ok("alerts", "list")] == ["1970-01-03", "1970-01-02"]
    assert [row["opened_at"][:10] for row in cli.ok("alerts", "list", "--since", "1970-01-03")] == ["1970-01-03"]
    assert [row["opened_at"][:10] for row in cli.ok("alerts", "list", "--until", "1970-01-03")] == ["1970-01-02"]
    assert cli("alerts", "list", "--since", "1h").out == "No such alert opened in that time.\n"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--since", "yesterday"), "must be a time such as 2026-11-27T05:00Z, or a span such as 2h or 7d"),
        (("--until", "0h"), "must be a number with s, m, h or d"),
        (("--since", "1h", "--until", "2h"), "must be later than --since"),
    ],
)
def test_what_is_no_time_is_refused_alike(cli: Any, flags: tuple[str, ...], words: str):
    for command in (("decisions",), ("executions",), ("costs",), ("alerts", "list")):
        ended = cli(*command, *flags)
        assert ended.code == 2
        assert words in ended.sentence
