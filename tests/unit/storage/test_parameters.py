"""Values reach the database beside the statements and never inside them, whatever a caller writes."""

import re
import sqlite3
from decimal import Decimal

import pytest

from mahavishnu.app import open_app
from mahavishnu.errors import TaskFailed
from mahavishnu.model import Budget, Micros, Target, Task
from mahavishnu.ports import ExecutionQuery
from mahavishnu.settings import load_settings

MARK = "zqx"
"""In every name and text of this test, and in no statement of ours."""

HOSTILE = f"{MARK}'); DROP TABLE executions; --"


@pytest.fixture
def statements(monkeypatch):
    """The text of every statement that sqlite3 is given."""
    seen = []

    class Cursor(sqlite3.Cursor):
        def execute(self, statement, *values):
            seen.append(statement)
            return super().execute(statement, *values)

        def executemany(self, statement, *values):
            seen.append(statement)
            return super().executemany(statement, *values)

    class Connection(sqlite3.Connection):
        def cursor(self, factory=Cursor):
            return super().cursor(factory)

    plain = sqlite3.dbapi2.connect
    monkeypatch.setattr(
        sqlite3.dbapi2, "connect", lambda *given, **options: plain(*given, factory=Connection, **options)
    )
    return seen


def fails(text):
    raise ValueError(text)


def asked(**fields):
    return Task(type=f"{MARK}-type", text=HOSTILE, tags={MARK: HOSTILE}, **fields)


async def test_no_statement_has_a_value_in_its_text_and_lists_are_bound_too(tmp_path, statements):
    tables = {"store": {"url": f"sqlite:///{tmp_path}/store.db"}}
    async with open_app(load_settings(None, {}, tables)) as app:
        names = {f"{MARK}-good": "builtins:str", f"{MARK}-bad": f"{__name__}:fails"}
        for name, run in names.items():
            await app.orchestrator.add_target(Target(name=name, adapter="local", run=run, task_types={f"{MARK}-type"}))
        limit = Budget(name=f"{MARK}-budget", hard_micros=Micros(10**9), task_type=f"{MARK}-type")
        await app.store.set_budget(limit)
        report = await app.orchestrator.execute(asked(target=f"{MARK}-good"))
        with pytest.raises(TaskFailed):
            await app.orchestrator.execute(asked(target=f"{MARK}-bad"))
        await app.orchestrator.execute(
            asked(target=f"{MARK}-good", idempotency_key=f"{MARK}-key", max_cost_usd=Decimal(1))
        )
        await app.orchestrator.record_outcome(report.decision.id, completed=True, note=HOSTILE)

        for query in ({"target": f"{MARK}-good"}, {"task_type": f"{MARK}-type"}, {"decision_id": report.decision.id}):
            assert await app.store.executions(ExecutionQuery(last=None, **query))
        assert [balance.budget for balance in await app.store.balances(0)] == [limit]
        kept = await app.store.decision(report.decision.id)
        (outcome,) = await app.store.outcomes(report.decision.id)
        assert (kept.task.text, kept.task.tags, outcome.note) == (HOSTILE, {MARK: HOSTILE}, HOSTILE)
        (failed,) = await app.store.executions(ExecutionQuery(target=f"{MARK}-bad"))
        assert failed.error == f"ValueError: {HOSTILE}"

    assert len(statements) > 100
    assert [statement for statement in statements if MARK in statement] == []
    assert [statement for statement in statements if report.decision.id in statement] == []
    # The other lists are of words of our own, such as 'succeeded' and 'failed'.
    assert any(re.search(r" IN \(\?(, \?)*\)", statement) for statement in statements)
