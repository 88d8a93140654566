"""Whatever a caller hands in, only errors of this software come out, and the next task is done as if nothing were."""

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mahavishnu.engine.clock import SystemClock
from mahavishnu.errors import InputError, InvalidOutcome, InvalidTarget, InvalidTask, MahavishnuError, UnknownName
from mahavishnu.model import Budget, Outcome, Target, Task
from mahavishnu.storage import open_store
from tests import hostile
from tests.unit.engine.scripted import ScriptedAdapter, fine

GOOD = {
    "task": {"type": "t", "text": "x", "tags": {"team": "search"}},
    "outcome": {"completed": True},
    "budget": {"name": "all", "hard_micros": 10**12},
    "target": {"name": "new", "adapter": "scripted", "run": "good", "task_types": {"t"}},
}
FIELDS = {
    "task": list(Task.__dataclass_fields__),
    "outcome": ["decision_id", "completed", "correct", "corrected_to", "quality", "note"],
    # What cannot be read is the store's to say, and refuses every task.
    "budget": [name for name in Budget.__dataclass_fields__ if name != "unreadable"],
    "target": list(Target.__dataclass_fields__),
    "route": ["task", "policy", "seed"],
    "execute": ["task", "policy", "seed"],
    "execute_many": ["tasks", "concurrency"],
    "cancel": ["decision_id"],
    "status": ["execution_id"],
    "switch_target": ["name", "enabled"],
    "remove_target": ["name"],
    "put_targets": ["targets", "before"],
    "stats": ["task_type", "target"],
}


@asynccontextmanager
async def opened(engine, url):
    store = open_store(url, SystemClock())
    await store.open()
    async with engine(ScriptedAdapter(good=fine, other=fine), store) as (orchestrator, _):
        yield orchestrator, store
    await store.close()


async def ask(orchestrator, store, what, wrong, decision_id):
    """Do one thing with hostile values in it."""
    given = {**GOOD.get(what, {}), **wrong}
    match what:
        case "task":
            task = Task(**given)
            await orchestrator.route(task)
            await orchestrator.execute(task)
        case "outcome":
            given.setdefault("decision_id", decision_id)
            await orchestrator.record_outcome(**given)
        case "budget":
            await store.set_budget(Budget(**given))
        case "target":
            target = Target(**given)
            await orchestrator.add_target(target)
            await orchestrator.remove_target(target.name)
        case "stats":
            orchestrator.stats(**given)
        case "execute_many":
            given = {"tasks": [Task(type="t", text="x"), 5], **given}
            await orchestrator.execute_many(**given)
        case "switch_target":
            await orchestrator.switch_target(**{"name": "other", "enabled": True, **given})
        case "put_targets":
            await orchestrator.put_targets(**{"targets": [], "before": {}, **given})
        case "route" | "execute":
            await getattr(orchestrator, what)(**{"task": Task(type="t", text="x"), **given})
        case _:
            await getattr(orchestrator, what)(**given)


async def good(orchestrator):
    return await orchestrator.execute(Task(type="t", text="x", tags={"team": "search"}))


@pytest.mark.parametrize("url", ["memory:", "sqlite"])
def test_only_errors_of_this_software_come_out_and_the_next_task_is_done(engine, tmp_path, url):
    url = f"sqlite:///{tmp_path}/x.db" if url == "sqlite" else url
    with asyncio.Runner() as runner:
        context = opened(engine, url)
        orchestrator, store = runner.run(context.__aenter__())
        decision_id = runner.run(good(orchestrator)).decision.id

        @settings(deadline=None, max_examples=120)
        @given(what=st.sampled_from(sorted(FIELDS)), data=st.data())
        def tried(what, data):
            wrong = data.draw(hostile.fields(FIELDS[what]))
            # What a caller's own iterator of tasks raises reaches the caller as it is.
            own = (RuntimeError,) if what == "execute_many" else ()
            with suppress(MahavishnuError, *own):
                runner.run(ask(orchestrator, store, what, wrong, decision_id))
            assert runner.run(good(orchestrator)).succeeded

        tried()
        runner.run(context.__aexit__(None, None, None))


@pytest.mark.parametrize(
    ("what", "wrong", "kind"),
    [
        ("outcome", {"completed": False, "note": ValueError("x")}, InvalidOutcome),
        ("outcome", {"decision_id": 5}, InvalidOutcome),
        ("outcome", {"completed": None, "corrected_to": ["a"]}, InvalidOutcome),
        ("outcome", {"quality": float("nan")}, InvalidOutcome),
        ("task", {"tags": ["search"]}, InvalidTask),
        ("task", {"tags": {"a": object()}}, InvalidTask),
        ("route", {"task": 5}, InvalidTask),
        ("route", {"seed": "x"}, InvalidTask),
        ("execute", {"policy": ["adaptive"]}, UnknownName),
        ("execute_many", {"concurrency": -1}, InvalidTask),
        ("execute_many", {"tasks": 5}, InvalidTask),
        ("cancel", {"decision_id": []}, UnknownName),
        ("status", {"execution_id": {}}, UnknownName),
        ("switch_target", {"enabled": "no"}, InputError),
        ("remove_target", {"name": 5}, UnknownName),
        ("put_targets", {"targets": 5}, InvalidTarget),
        ("put_targets", {"targets": [5]}, InvalidTarget),
        ("put_targets", {"before": {"a": 5}}, InvalidTarget),
        ("put_targets", {"before": ["a"]}, InvalidTarget),
    ],
)
async def test_nonsense_is_refused_by_its_own_kind_of_error_before_anything_is_recorded(
    engine, tmp_path, what, wrong, kind
):
    async with opened(engine, f"sqlite:///{tmp_path}/x.db") as (orchestrator, store):
        await store.set_budget(Budget(name="all", hard_micros=10**12, tags={"team": "search"}))
        report = await good(orchestrator)
        with pytest.raises(kind):
            await ask(orchestrator, store, what, wrong, report.decision.id)
        assert await store.outcomes(report.decision.id) == []
        assert (await good(orchestrator)).succeeded


async def test_of_many_the_one_that_is_no_task_fails_alone(engine, tmp_path):
    async with opened(engine, "memory:") as (orchestrator, _):
        tasks = [Task(type="t", text="a"), 5, Task(type="t", text="b")]
        reports = await orchestrator.execute_many(tasks, concurrency=1)
    assert [report.value for report in reports] == ["did a", None, "did b"]
    assert "must be mahavishnu.model.Task" in str(reports[1].error)


async def test_an_outcome_that_cannot_be_meant_is_not_looked_up(engine):
    with pytest.raises(InvalidOutcome, match="field at_us"):
        Outcome(id="O", decision_id="D", at_us=2**63, completed=True)
