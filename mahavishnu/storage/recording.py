"""Writing facts: each kind into its table, outcomes with the revision that they make."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, exists, select

from mahavishnu.errors import UnknownName
from mahavishnu.model import Decision, Execution, Outcome
from mahavishnu.ports import Fact, Settlement
from mahavishnu.storage.keys import settle_key
from mahavishnu.storage.revising import revise, still_running
from mahavishnu.storage.rows import (
    announcement_row,
    decision_of,
    decision_row,
    end_row,
    ended_of,
    escaped,
    outcome_row,
    revision_of,
    start_row,
)
from mahavishnu.storage.tables import announcements, decisions, executions, outcomes, starts
from mahavishnu.storage.transaction import Transaction

_DECISION = select(decisions).where(decisions.c.id == bindparam("id_"))
_ENDED = select(executions).where(executions.c.decision_id == bindparam("id_")).order_by(executions.c.position)
_EARLIER = select(outcomes).where(outcomes.c.decision_id == bindparam("id_"))
_RUNNING = (
    select(starts.c.id)
    .where(starts.c.decision_id == bindparam("id_"), ~exists().where(executions.c.id == starts.c.id))
    .limit(1)
)


def unknown_decision(decision_id: str) -> UnknownName:
    return UnknownName(kind="decision", name=decision_id, see="mahavishnu decisions")


def record_facts(transaction: Transaction, facts: Sequence[Fact], settle: Settlement | None) -> None:
    for fact in facts:
        match fact:
            case Decision():
                transaction.add(decisions, decision_row(transaction.position(), fact))
            case Execution():
                _add_execution(transaction, fact)
            case Outcome():
                _add_outcome(transaction, fact)
    if settle is not None:
        settle_key(transaction, settle)


def _add_execution(transaction: Transaction, execution: Execution) -> None:
    position = transaction.position()
    if execution.status.ended:
        transaction.add(executions, end_row(position, execution))
        return
    transaction.add(starts, start_row(position, execution))
    if execution.run_id is not None:
        transaction.add(announcements, announcement_row(position, execution.id, execution.run_id))


def _add_outcome(transaction: Transaction, outcome: Outcome) -> None:
    position = transaction.position()
    about = {"id_": escaped(outcome.decision_id)}
    found = transaction.find(_DECISION, about)
    if not found:
        raise unknown_decision(outcome.decision_id)
    earlier = transaction.find(_EARLIER, about)
    if any(row.id == outcome.id for row in earlier):
        return
    if transaction.find(_RUNNING, about):
        raise still_running(outcome)
    revision = revise(
        outcome,
        decision_of(found[0]),
        [ended_of(row, None) for row in transaction.find(_ENDED, about)],
        [change for row in earlier if (change := revision_of(row)) is not None],
    )
    transaction.add(outcomes, outcome_row(position, outcome, revision))
