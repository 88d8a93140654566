"""Four real engines side by side: a hundred tasks over all of them at once, also when one of them is killed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from mahavishnu.app import App, open_app
from mahavishnu.engine.orchestrator import Progress
from mahavishnu.engine.routing.breaker import BreakerState
from mahavishnu.errors import NothingEligible, TaskFailed
from mahavishnu.model import CostModel, Report, Status, Task
from mahavishnu.ports import ExecutionQuery
from mahavishnu.settings import Settings

QUESTIONS = ("What is a target?", "What opens a breaker?", "How are executions recorded?")

TARGETS: dict[str, dict[str, Any]] = {
    "shouter": {"adapter": "agno", "run": "agents/shout", "task_types": "shout-it", "deployment": "cloud"},
    "documents": {
        "adapter": "llamaindex",
        "run": "workflows/ask-docs",
        "task_types": "look-up",
        "deployment": "cloud",
        "options": {"quality": "retrieval"},
    },
    "model": {
        "adapter": "openai",
        "run": "echo",
        "task_types": ["repeat", "answer"],
        "cost": {"per_input_token_usd": 0.001, "per_output_token_usd": 0.002},
    },
    "flow": {
        "adapter": "prefect",
        "run": "count-words/sandbox",
        "task_types": "count-it",
        "deployment": "cloud",
        # Each run is a process that first imports all of Prefect: with more of them at once, all are late.
        "max_concurrent": 2,
        "timeout_ms": 120_000,
    },
}

TAKES = {"shout-it": "shouter", "look-up": "documents", "repeat": "model", "count-it": "flow"}

UNITS: dict[str, Callable[[Any], float]] = {
    "shouter": lambda usage: min(usage.agent_seconds, usage.input_tokens, usage.output_tokens),
    "documents": lambda usage: usage.queries,
    "model": lambda usage: min(usage.input_tokens, usage.output_tokens),
    "flow": lambda usage: usage.seconds,
}
"""What each one must have used some of, for it is what its engine charges by."""


def settings_with(engines: Any, folder: Path, targets: dict[str, dict[str, Any]], **tables: Any) -> Settings:
    settings: Settings = engines.settings(store={"url": f"sqlite:///{folder / 'truth.db'}"}, targets=targets, **tables)
    return settings


def text_of(number: int) -> str:
    return f"task number {number}"


def mixed(flows: int, **others: int) -> list[Task]:
    """Tasks of all types, in turns, none of them asking for a target by name."""
    left = Counter({"count-it": flows, **{name.replace("_", "-"): count for name, count in others.items()}})
    tasks: list[Task] = []
    while left.total():
        for kind in sorted(name for name, count in left.items() if count):
            left[kind] -= 1
            number = len(tasks)
            text = QUESTIONS[number % len(QUESTIONS)] if kind == "look-up" else text_of(number)
            tasks.append(Task(type=kind, text=text, deadline_ms=300_000))
    return tasks


async def answers_of(app: App) -> dict[str, str]:
    """What the documents say when they are asked one question at a time."""
    alone = {
        question: (await app.orchestrator.execute(Task(type="look-up", text=question))).value for question in QUESTIONS
    }
    assert len(set(alone.values())) > 1
    return alone


def right(task: Task, answers: dict[str, str]) -> Any:
    match task.type:
        case "shout-it":
            return task.text.upper()
        case "look-up":
            return answers[task.text]
        case "count-it":
            return {"words": 3, "longest": sorted(task.text.split(), key=lambda word: (-len(word), word))}
        case _:
            return task.text


def breaker(app: App, target: str) -> BreakerState:
    return next(each.breaker for each in app.orchestrator.standings() if each.target.name == target)


# -- all of them up ----------------------------------------------------------------------------------------------------


async def test_a_hundred_tasks_over_four_engines_at_once_are_done_right_and_each_is_billed_where_it_ran(
    engines, tmp_path
):
    tasks = mixed(flows=6, shout_it=30, look_up=34, repeat=30)
    assert len(tasks) == 100
    async with open_app(settings_with(engines, tmp_path, TARGETS)) as app:
        answers = await answers_of(app)
        reports = await app.orchestrator.execute_many(tasks)
        recorded = await app.store.executions(ExecutionQuery(last=None))
        targets = {each.target.name: each.target for each in app.orchestrator.standings()}
        stats = {(each.target, each.task_type): each.scorecard for each in app.orchestrator.stats()}

    assert [report.task for report in reports] == tasks
    for report in reports:
        assert report.error is None
        assert report.value == right(report.task, answers)
        *before, execution = report.executions
        # A Prefect server on SQLite is busy now and then, says so with a 503, and is asked again.
        assert {(each.target, each.error_code) for each in before} <= {("flow", "transient")}
        target = targets[TAKES[report.task.type]]
        assert (execution.target, execution.adapter) == (target.name, target.adapter)
        assert execution.run_id
        assert UNITS[target.name](execution.usage) > 0
        assert execution.cost_micros == target.cost_model.cost(execution.usage) > 0
        assert execution.price_version == target.cost_model.version != CostModel().version
        assert (execution.quality is not None) == (target.name == "documents")

    of_tasks = {each.id: each for each in recorded if each.decision_id in {r.decision.id for r in reports}}
    assert of_tasks == {each.id: each for report in reports for each in report.executions}
    assert len({report.last.run_id for report in reports}) == 100, "every run has an id of its own"
    counted = Counter((each.target, each.task_type) for each in recorded)
    assert {pair: card.samples for pair, card in stats.items()} == counted


# -- one of them killed in the middle ----------------------------------------------------------------------------------


class Killer:
    """Kills an engine once so many runs on a target are over, while others of it go on; watches its breakers."""

    def __init__(self, app: App, engine: Any, target: str, after: int) -> None:
        self._app = app
        self._engine = engine
        self._target = target
        self._left = after
        self._killing: asyncio.Task[None] | None = None
        self.opened: set[str] = set()

    def __call__(self, progress: Progress) -> None:
        self._left -= progress.report.last is not None and progress.report.last.target == self._target
        if self._left <= 0 and self._killing is None:
            self._killing = asyncio.create_task(asyncio.to_thread(self._engine.kill))
        self.opened |= {
            each.target.name for each in self._app.orchestrator.standings() if each.breaker is BreakerState.OPEN
        }

    async def over(self) -> None:
        assert self._killing is not None, "nothing was killed"
        await self._killing


SLOW = {"adapter": "agno", "run": "agents/slow", "task_types": "answer", "max_concurrent": 4}


async def test_with_one_engine_killed_every_task_ends_elsewhere_or_says_why_and_it_is_used_again_when_it_is_back(
    engines, tmp_path
):
    tasks = mixed(flows=4, shout_it=30, look_up=30, answer=36)
    # Whoever shouts alone is waited for until the deadline.
    tasks = [replace(task, deadline_ms=20_000) if task.type == "shout-it" else task for task in tasks]
    settings = settings_with(
        engines,
        tmp_path,
        # In this order, so that answers are first sought where they will not be found.
        {"slow-agent": SLOW, **TARGETS},
        routing={"policy": "preference"},
        breaker={"consecutive_failures": 3, "open_ms": 1_000, "open_max_ms": 2_000},
    )
    async with open_app(settings) as app:
        answers = await answers_of(app)
        killer = Killer(app, engines["agno"], "slow-agent", after=4)
        try:
            reports = await app.orchestrator.execute_many(tasks, progress=killer)
            await killer.over()
            assert killer.opened == {"slow-agent", "shouter"}, "theirs, and nobody else's"
        finally:
            await asyncio.to_thread(engines["agno"].start)

        by_type = dict(grouped(reports))
        for report in by_type["look-up"] + by_type["count-it"]:
            assert report.error is None
            assert report.value == right(report.task, answers)
        check_answers(by_type["answer"])
        check_shouts(by_type["shout-it"])

        for target, kind in (("slow-agent", "answer"), ("shouter", "shout-it")):
            await recovered(app, Task(type=kind, text="are you there", target=target, deadline_ms=30_000))
            assert breaker(app, target) is BreakerState.CLOSED
        report = await app.orchestrator.execute(Task(type="answer", text="once more"))
        assert (report.last.target, report.value) == ("slow-agent", "Simulated answer to: once more")


def grouped(reports: list[Report]) -> Iterator[tuple[str, list[Report]]]:
    for kind in {each.task.type for each in reports}:
        yield kind, [each for each in reports if each.task.type == kind]


def check_answers(reports: list[Report]) -> None:
    """The slow agent gave the first, the model the others, some of them after the agent had died under them."""
    for report in reports:
        assert report.error is None
        *before, last = report.executions
        simulated = {"slow-agent": f"Simulated answer to: {report.task.text}", "model": report.task.text}
        assert report.value == simulated[last.target]
        assert {(each.target, each.status) for each in before} <= {("slow-agent", Status.FAILED)}
        assert last.fallback == (last.target == "model" and report.decision.selected == "slow-agent")
    ended_on = Counter(each.last.target for each in reports)
    assert min(ended_on["slow-agent"], ended_on["model"]) >= 4
    assert any(len(each.executions) > 1 for each in reports), "nobody was in the middle of it"


def check_shouts(reports: list[Report]) -> None:
    """Nobody else shouts: those that came too late say so, in one sentence."""
    done = [each for each in reports if each.error is None]
    assert all(each.value == each.task.text.upper() for each in done)
    undone = [each for each in reports if each.error is not None]
    assert done
    assert undone
    for report in undone:
        assert isinstance(report.error, TaskFailed | NothingEligible)
        sentence = str(report.error)
        assert "shouter" in sentence
        assert "\n" not in sentence
        assert sentence.endswith(".")


async def recovered(app: App, task: Task) -> None:
    """What is found out by itself within a quarter of a minute is asked for here."""
    report = None
    async with asyncio.timeout(60):
        while report is None:
            await app.orchestrator.check_health()
            with suppress(NothingEligible):
                report = await app.orchestrator.execute(task)
    assert report.last.target == task.target
