"""Failures: the error that a run ends with, built from what became of it."""

from __future__ import annotations

from mahavishnu.engine.running.attempts import described
from mahavishnu.engine.running.run_state import Run
from mahavishnu.engine.spending.spending import turns_at
from mahavishnu.errors import (
    AdapterError,
    BudgetExhausted,
    Cancelled,
    MahavishnuError,
    NothingEligible,
    Refused,
    TaskCancelled,
    TaskFailed,
    TaskQueued,
)
from mahavishnu.model import Balance, Decision, Execution


def nothing_eligible(decision: Decision, waited_ms: int = 0) -> NothingEligible:
    return NothingEligible(
        task_type=decision.task.type,
        why_not={each.target: each.why_not or "" for each in decision.considered},
        decision_id=decision.id,
        waited_ms=waited_ms,
        relaxation=next((each.note for each in decision.considered if not each.eligible and each.note), None),
    )


def failed(decision_id: str, executions: list[Execution], passed_over: list[str], why: str) -> TaskFailed:
    attempts = [*(described(each) for each in executions), *passed_over]
    return TaskFailed(decision_id=decision_id, attempts=attempts, stopped=why)


def failure(run: Run, why: str) -> TaskFailed:
    return failed(run.decision_id, run.executions, run.passed_over, why)


def final(run: Run, error: AdapterError | None, why: str) -> MahavishnuError:
    """The error of a task whose attempts stopped with this one."""
    match error:
        case Refused():
            told = refused(run.decision_id, run.executions[-1].target, error.problem, may_have_run=error.may_have_run)
            told.__cause__ = error
            return told
        case Cancelled():
            return TaskCancelled(decision_id=run.decision_id)
        case _:
            return failure(run, why)


def refused(decision_id: str, target: str, problem: str, *, may_have_run: bool = False) -> Refused:
    return Refused(problem, may_have_run, target=target, decision_id=decision_id)


def exhausted(run: Run, balance: Balance, now_us: int) -> BudgetExhausted:
    return BudgetExhausted(
        budget=balance.budget.name,
        decision_id=run.decision_id,
        why_not=list(run.passed_over),
        until=turns_at(balance, now_us),
    )


def waits(run: Run, balance: Balance, queued_id: str, now_us: int) -> TaskQueued:
    return TaskQueued(
        budget=balance.budget.name,
        decision_id=run.decision_id,
        queued_id=queued_id,
        why_not=list(run.passed_over),
        until=turns_at(balance, now_us),
    )
