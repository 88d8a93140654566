"""What an engine does in the background: each part dies for itself, comes back, and says so."""

import asyncio
from decimal import Decimal

import pytest

from mahavishnu.engine import supervision, upkeep
from mahavishnu.errors import Crashed, NothingEligible, StoreUnavailable
from mahavishnu.model import CostModel, HealthStatus, Status
from tests.unit.engine.scripted import ScriptedAdapter, announce_and_hang, fine, stored, task

PARTS = {
    "catching up": ("_collector", "catch_up"),
    "evidence": ("_book", "refresh"),
    "targets": ("_roster", "refresh"),
    "money": ("_purse", "refresh"),
    "reaping": ("_store", "reap"),
    "health checks": ("_roster", "recheck"),
    "queue": ("_queue", "worth_a_look"),
}


class OddFailure(BaseException):
    """No Exception."""


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(supervision, "PATIENCE_S", 0.3)
    monkeypatch.setattr(upkeep, "REAP_EVERY_S", 0.05)


async def until(holds):
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.01)


def report_of(orchestrator, name):
    return next(report for report in orchestrator.loops() if report.name == name)


def ill(orchestrator):
    return {report.name for report in orchestrator.loops() if report.stale}


async def test_every_part_is_reported_by_its_name(engine):
    async with engine(ScriptedAdapter(a=fine)) as (orchestrator, _):
        assert [report.name for report in orchestrator.loops()] == list(PARTS)
        assert orchestrator.ready


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("failure", [SystemExit(1), OddFailure("odd")], ids=repr)
async def test_a_part_that_fails_falls_out_of_readiness_alone_and_comes_back(engine, monkeypatch, part, failure):
    async with engine(ScriptedAdapter(a=fine)) as (orchestrator, _):
        holder, method = PARTS[part]
        whose = getattr(orchestrator, holder)

        def fail(*_):
            raise failure

        monkeypatch.setattr(whose, method, fail)
        await until(lambda: part in ill(orchestrator))
        assert not orchestrator.ready
        assert any(reason.startswith(f"{part} has not") for reason in orchestrator.ready.reasons)
        assert type(failure).__name__ in report_of(orchestrator, part).last_failure
        # Reaping may not come before what the dead had finished is written, so it waits for that.
        assert ill(orchestrator) <= {part, "reaping"} if part == "catching up" else ill(orchestrator) == {part}
        assert (await orchestrator.execute(task())).value == "did x"
        monkeypatch.undo()
        await until(lambda: orchestrator.ready)
        assert report_of(orchestrator, part).failures > 0


async def test_a_store_that_is_away_makes_what_hangs_on_it_stale_and_no_failure(engine, monkeypatch):
    async def away():
        return False

    async with engine(ScriptedAdapter(a=fine)) as (orchestrator, _):
        monkeypatch.setattr(orchestrator._collector, "catch_up", away)
        await until(lambda: {"evidence", "targets", "money", "reaping"} <= ill(orchestrator))
        assert all(reason.endswith("s: the store is away") for reason in orchestrator.ready.reasons)
        assert report_of(orchestrator, "evidence").failures == 0
        monkeypatch.undo()
        await until(lambda: orchestrator.ready)


async def test_a_queue_that_could_not_be_drained_is_looked_at_again(engine, monkeypatch):
    async with engine(ScriptedAdapter(a=fine)) as (orchestrator, _):
        drains = []

        async def drain():
            drains.append(len(drains))
            if len(drains) < 3:
                raise StoreUnavailable(url="memory:", problem="it is away")

        line = object()
        monkeypatch.setattr(orchestrator._upkeep, "_drain", drain)
        monkeypatch.setattr(type(orchestrator._purse), "lines", [line])
        await until(lambda: len(drains) == 3)
        await until(lambda: report_of(orchestrator, "queue").failures == 2)


# -- adapters that raise -----------------------------------------------------------------------------------------------

RAISED = [ValueError("no"), SystemExit(2), KeyboardInterrupt(), asyncio.CancelledError(), OddFailure("odd")]


class Moody(ScriptedAdapter):
    """Raises in the methods that are named, for as long as they are."""

    def __init__(self, failure, **behaviours):
        super().__init__(**behaviours)
        self.failure = failure
        self.failing = set()

    def _mood(self, method):
        if method in self.failing:
            raise self.failure

    def targets(self):
        self._mood("targets")
        return super().targets()

    def supports(self, capability):
        self._mood("supports")
        return super().supports(capability)

    @property
    def prices(self):
        self._mood("prices")
        return {"local": CostModel(per_run_usd=Decimal("0.01"))}

    async def health(self, target):
        self._mood("health")
        return await super().health(target)

    async def status(self, run):
        self._mood("status")
        return await super().status(run)

    async def cancel(self, run):
        self._mood("cancel")
        return await super().cancel(run)


@pytest.mark.parametrize("failure", RAISED, ids=repr)
@pytest.mark.parametrize("method", ["targets", "prices", "health"])
async def test_targets_of_an_adapter_that_raises_stand_aside_and_come_back(engine, method, failure):
    adapter = Moody(failure, a=fine)
    async with engine(adapter) as (orchestrator, _):
        assert (await orchestrator.execute(task())).value == "did x"
        adapter.failing.add(method)
        await orchestrator.check_health()
        await until(lambda: not orchestrator.standings()[0].health.can_run)
        with pytest.raises(NothingEligible) as refusal:
            await orchestrator.execute(task())
        assert type(failure).__name__.removesuffix("Error") in refusal.value.why_not["a"] or "cancelled" in str(
            refusal.value.why_not
        )
        adapter.failing.clear()
        await orchestrator.check_health()
        await until(lambda: orchestrator.standings()[0].health.can_run)
        assert (await orchestrator.execute(task())).executions[0].cost_micros == 10_000


async def test_an_adapter_that_does_not_say_what_it_supports_supports_nothing(engine):
    adapter = Moody(SystemExit(1), a=fine)
    async with engine(adapter) as (orchestrator, _):
        wanted = task(capabilities={"can_cancel_workflows"})
        assert await orchestrator.execute(wanted)
        adapter.failing.add("supports")
        with pytest.raises(NothingEligible):
            await orchestrator.execute(wanted)
        await until(lambda: "SystemExit" in (report_of(orchestrator, "targets").last_failure or ""))
        adapter.failing.clear()
        assert await orchestrator.execute(wanted)


async def test_an_adapter_whose_targets_raise_from_the_start_is_heard_of_once_it_works(engine):
    adapter = Moody(SystemExit(1), a=fine)
    adapter.failing.add("targets")
    async with engine(adapter) as (orchestrator, _):
        assert orchestrator.standings() == []
        assert "does not say which targets it has" in report_of(orchestrator, "targets").last_failure
        adapter.failing.clear()
        await until(orchestrator.standings)
        assert await orchestrator.execute(task())


@pytest.mark.parametrize("failure", RAISED, ids=repr)
async def test_an_adapter_that_cannot_be_asked_after_a_run_raises_an_adapter_error(engine, failure):
    adapter = Moody(failure, a=announce_and_hang)
    async with engine(adapter) as (orchestrator, store):
        running = asyncio.create_task(orchestrator.perform(task()))
        async with asyncio.timeout(20):
            while not (found := await stored(store)) or found[0].run_id is None:
                await asyncio.sleep(0.01)
        adapter.failing |= {"status", "cancel"}
        with pytest.raises(Crashed, match="could not be asked"):
            await orchestrator.status(found[0].id)
        with pytest.raises(Crashed, match="could not be asked"):
            await orchestrator._elsewhere.cancel(found[0].decision_id)
        assert await orchestrator.cancel(found[0].decision_id)
        assert (await running).last.status is Status.CANCELLED


async def test_a_health_check_that_answers_with_something_else_is_no_health(engine):
    adapter = ScriptedAdapter(a=fine)
    adapter.healths["a"] = "fine, thanks"
    async with engine(adapter) as (orchestrator, _):
        await orchestrator.check_health()
        health = orchestrator.standings()[0].health
        assert health.status is HealthStatus.UNREACHABLE
        assert "answered with str" in health.detail
