"""mahavishnu experiments: what is started, watched and reported; every figure of a report can be worked out again."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest

from mahavishnu.app import make_store
from mahavishnu.model import Status
from mahavishnu.model.experiment import Assignment
from mahavishnu.model.identity import ulid
from mahavishnu.ports import Fact
from mahavishnu.settings import load_settings
from tests.history import decision_of, executions

AGO_US = 3_600_000_000
"""So long ago it was what is heard of: every first attempt of then is over."""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: Any, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db"
    fresh: Callable[[], str] = request.getfixturevalue("postgres")
    return fresh()


def heard(name: str, count: int, seed: int, treated_rate: float, *, users: int = 0) -> Iterator[Fact]:
    """Decisions of an experiment and what came of them: some by fallback, cancelled, tried again or chosen by hand."""
    draws = Random(seed)
    began_us = time.time_ns() // 1000 - AGO_US
    arms = [draws.random() < 0.3 for _ in range(users)]
    for number, run in enumerate(executions(count, 20_000, 1, seed=seed, targets=("shout", "whisper"))):
        user = draws.randrange(users) if users else None
        treated = arms[user] if user is not None else draws.random() < 0.3
        by_hand = draws.random() < 0.02
        status = Status.SUCCEEDED if draws.random() < (treated_rate if treated else 0.9) else Status.FAILED
        at_us = began_us + number * 1000
        ended = replace(
            run,
            task_type="say",
            fallback=False,
            status=Status.CANCELLED if draws.random() < 0.02 else status,
            started_at_us=at_us,
            ended_at_us=at_us + 500,
        )
        assignment = Assignment(
            experiment=name,
            unit=None if user is None else f"user-{user}",
            treated=treated,
            probability=None if by_hand else 0.3,
        )
        yield replace(decision_of(ended), assignments=(assignment,))
        yield ended
        if status is Status.FAILED:
            again = ulid(at_us // 1000, draws.getrandbits(80))
            yield replace(ended, id=again, attempt=2, fallback=draws.random() < 0.5, status=Status.SUCCEEDED)


def record(url: str, facts: Iterator[Fact]) -> None:
    async def write() -> None:
        store = make_store(load_settings(None, {}, {"store": {"url": url}}))
        await store.open()
        try:
            await store.record(list(facts))
        finally:
            await store.close()

    asyncio.run(write())


def asked(url: str, query: str) -> dict[str, dict[str, Any]]:
    """What the database itself says, by arm."""
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        try:
            cursor = connection.execute(query)
            names = [each[0] for each in cursor.description]
            rows = cursor.fetchall()
        finally:
            connection.close()
    else:
        with psycopg.connect(url) as database:
            found = database.execute(query.encode())
            names, rows = [each.name for each in found.description or ()], found.fetchall()
    return {row[0]: dict(zip(names[1:], map(_plain, row[1:]), strict=True)) for row in rows}


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, int) else float(value)


@pytest.fixture
def targets(cli: Any, url: str) -> str:
    for name in ("shout", "whisper"):
        added = cli("targets", "add", name, "--run", f"functions:{name}", "--task-type", "say", "--store", url)
        assert added.code == 0, added.err
    return url


def started(cli: Any, url: str, *options: str) -> Any:
    return cli.ok(
        "experiments", "start", "e", "-t", "say", "--swap", "shout=whisper", "--share", "0.3", "--store", url, *options
    )


@pytest.mark.parametrize("users", [0, 400])
def test_every_figure_of_a_report_comes_out_of_its_query(cli: Any, targets: str, users: int):
    started(cli, targets, "--guardrail", "latency:0.2:2000", "--guardrail", "cost:0.1", "--guardrail", "quality:0.05")
    record(targets, heard("e", 900, seed=users, treated_rate=0.9, users=users))
    assert cli.ok("experiments", "check", "--store", targets)["outcomes"] > 300
    found = cli.ok("experiments", "report", "e", "--recompute", "--store", targets)
    assert found["equal"] is True
    again = asked(targets, found["query"])
    for arm in ("treatment", "control"):
        figures = found["reading"][arm]
        assert figures["outcomes"] > 50
        assert None not in figures.values()
        assert again[arm] == pytest.approx(figures, rel=1e-9)
    assert (found["reading"]["repeated"] > 0) is (users > 0)


def test_a_harmful_treatment_is_rolled_back_and_the_report_says_why(cli: Any, targets: str, tmp_path: Path):
    started(cli, targets, "--owner", "team <search>", "--hypothesis", "<b>whisper</b> is | as good")
    record(targets, heard("e", 1_500, seed=1, treated_rate=0.6))
    assert [each["name"] for each in cli.ok("routing", "ab-test", "check", "--store", targets)["ended"]] == ["e"]
    shown = cli.ok("experiments", "status", "e", "--store", targets)
    assert shown["status"] == "rolled_back"
    assert shown["reading"]["worse"] >= shown["reading"]["needed"] == 20
    html, markdown = tmp_path / "e.html", tmp_path / "e.md"
    done = cli("experiments", "report", "e", "--html", html, "--md", markdown, "--recompute", "--store", targets)
    assert (done.code, done.out) == (0, "Recomputed from the facts: every number is equal to the last bit.\n")
    assert "Experiment e: rolled back" in html.read_text(encoding="utf-8")
    assert "<b>" not in html.read_text(encoding="utf-8")
    assert "success got worse" in markdown.read_text(encoding="utf-8")
    told = cli("experiments", "report", "e", "--store", targets).out
    assert "It was rolled back" in told
    assert "Owner: team <search>." in told
    assert (
        asked(targets, cli.ok("experiments", "report", "e", "--store", targets)["query"])["treatment"]["outcomes"]
        >= 100
    )
    looked = cli.ok("experiments", "compare", "e", "--store", targets)
    assert looked["treated"] == shown["reading"]["treatment"]["outcomes"]
    assert looked["success"]["hi"] < 0
    assert "valid once" in cli("experiments", "compare", "e", "--store", targets).out


def test_facts_that_were_changed_are_noticed(cli: Any, folder: Path):
    cli.add("shout", "whisper")
    url = f"sqlite:///{folder}/mahavishnu.db"
    started(cli, url)
    record(url, heard("e", 200, seed=3, treated_rate=0.9))
    cli.ok("experiments", "check")
    with sqlite3.connect(folder / "mahavishnu.db") as connection:
        connection.execute("UPDATE executions SET status = 'failed' WHERE attempt = 1")
    connection.close()
    done = cli("experiments", "report", "e", "--recompute")
    assert done.code == 1
    assert "NOT equal" in done.out


def test_an_experiment_is_drafted_started_paused_resumed_and_stopped(cli: Any):
    cli.add("shout", "whisper")
    drafted = cli.ok("experiments", "start", "e", "--swap", "shout=whisper", "-t", "say", "--draft")
    assert (drafted["status"], drafted["prospect"]["requests_a_day"]) == ("draft", None)
    assert cli("experiments", "report", "e").out.startswith("Experiment e: draft\n")
    nowhere = cli("experiments", "report", "e", "--html", "no/where.html")
    assert (nowhere.code, "no/where.html cannot be written" in nowhere.sentence) == (2, True)
    again = cli("experiments", "start", "e", "--swap", "shout=whisper")
    assert again.code == 2
    assert "a name is never used again" in again.sentence
    for _ in range(3):
        cli.ok("execute", "hello", "-t", "say")
    begun = cli("experiments", "start", "e")
    assert begun.out.endswith("Experiment e is running.\n")
    assert "checked continuously" in begun.out
    assert "requests a day." in begun.out
    decided = cli.ok("route", "hello", "-t", "say")
    assert [each["experiment"] for each in decided["experiments"]] == ["e"]
    assert cli.ok("routing", "ab-test", "pause", "e")["status"] == "paused"
    assert [each["status"] for each in cli.ok("experiments", "list")] == ["paused"]
    assert cli.ok("experiments", "resume", "e")["status"] == "running"
    assert cli.ok("experiments", "stop", "e", "--note", "enough")["note"] == "enough"
    assert cli.ok("experiments", "list") == []
    assert cli("experiments", "list").out.startswith("No experiment is running")
    assert [each["name"] for each in cli.ok("experiments", "list", "--all")] == ["e"]
    refused = cli("experiments", "resume", "e")
    assert refused.code == 2
    assert "is completed and cannot become running" in refused.sentence


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["start", "x"], 'There is no experiment "x"'),
        (["start", "x", "--draft"], "say what the treatment changes"),
        (["start", "x", "--swap", "shout"], "must look like a=b"),
        (["start", "x", "--swap", "shout=whispr"], 'There is no target "whispr"; did you mean "whisper"'),
        (["start", "x", "--policy", "statistcal"], 'There is no policy "statistcal"; did you mean "statistical"'),
        (["start", "x", "--policy", "adaptive", "--share", "1.5"], "a share must lie above 0 and below 1, not 1.5"),
        (["start", "x", "--policy", "adaptive", "--ramp", "1d=.5,1h=.2"], "one after the other"),
        (["start", "x", "--policy", "adaptive", "--detect", "2"], "below the baseline"),
        (["status", "x"], 'There is no experiment "x"'),
        (["compare", "x"], 'There is no experiment "x"'),
        (["power", "--detect", "2"], "detect above 0 and below the baseline"),
        (["power", "--a-day", "0"], "must be above 0"),
        (["simulate", "--share", "1"], "the share must lie above 0 and below 1"),
        (["simulate", "--seed", "-1"], "must lie between 0"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_takes_no_name(cli: Any, arguments: list[str], words: str):
    cli.add("shout", "whisper")
    refused = cli("experiments", *arguments)
    assert refused.code == 2
    assert words in refused.sentence
    assert cli.ok("experiments", "list", "--all") == []


def test_power_says_how_many_requests_and_how_long(cli: Any):
    found = cli.ok("experiments", "power", "--baseline", ".9", "--detect", ".05", "--share", ".1", "--a-day", "1000")
    assert found["planned"] == {"treated": 432, "requests": 4317, "days": 4.317}
    assert found["watched"]["treated"] == 278
    times = cli.ok("experiments", "power", "--latency", "--sigma", "1", "--factor", "1.2", "--share", ".1")
    assert times["planned"] == {"treated": 263, "requests": 2624, "days": None}
    told = cli("experiments", "power", "--latency", "--a-day", "1000").out
    assert told.startswith("One look at 2,624 requests (263 treated, 2.6 days at 1,000 a day)")
    cli.add("shout")
    cli.ok("execute", "hello", "-t", "say")
    assert cli.ok("experiments", "power", "-t", "say", "--baseline", ".9")["requests_a_day"] >= 1


def test_simulate_says_how_often_it_would_be_rolled_back(cli: Any):
    options = ("--candidates", 400, "--runs", 20, "--seed", 1)
    found = cli.ok("experiments", "simulate", "--effect", "-0.3", *options)
    assert (found["rolled_back"], found["seed"]) == (20, 1)
    assert found["median"] < 200
    told = cli("experiments", "simulate", "--effect", "0", *options)
    assert told.out.startswith("Rolled back without cause: ")
    assert told.err == ""
