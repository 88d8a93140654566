"""The log of decisions: one line for each, with the figures that it rests on."""

import logging
from decimal import Decimal

import pytest

from mahavishnu.engine.routing.choice import log_decision
from mahavishnu.errors import NothingEligible
from mahavishnu.model import Result
from tests.unit.engine.scripted import ScriptedAdapter, fine, task


async def paid(task, call):
    return Result(value="done", cost_usd=Decimal("0.002"))


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, "mahavishnu.decisions")
    return lambda: [record.getMessage() for record in caplog.records if record.name == "mahavishnu.decisions"]


async def test_each_decision_is_one_line_of_the_log_with_success_rate_cost_and_latency(engine, lines):
    async with engine(ScriptedAdapter(a=paid, b=fine)) as (orchestrator, _):
        first = await orchestrator.execute(task())
        second = await orchestrator.execute(task(), policy="statistical")
        third = await orchestrator.route(task(), policy="statistical")
        decisions = (first.decision, second.decision, third)
        assert lines() == [f"{decision.reason} (decision {decision.id})" for decision in decisions]
        assert lines()[0].startswith("Chose a: first in the fixed order; no evidence yet (decision ")
        assert lines()[2].startswith("Chose a: 100 % success (34–100, n=2), $0.002, p95 ")


async def test_a_task_that_nothing_can_run_is_a_line_too_and_the_task_itself_is_in_none(engine, lines):
    async with engine(ScriptedAdapter(a=fine)) as (orchestrator, _):
        with pytest.raises(NothingEligible):
            await orchestrator.execute(task(text="a word of mine", exclude={"a"}))
        (line,) = lines()
        assert "a: excluded by the task" in line
        assert "a word of mine" not in line


async def test_a_log_that_nothing_reads_costs_no_reason(engine, monkeypatch):
    monkeypatch.setattr("mahavishnu.engine.routing.choice._reason", lambda *_: pytest.fail("the reason was worked out"))
    logging.getLogger("mahavishnu.decisions").setLevel(logging.NOTSET)
    async with engine(ScriptedAdapter(a=fine)) as (orchestrator, _):
        log_decision(orchestrator._chooser.choose(task(), orchestrator._clock.new_id()).decision)
