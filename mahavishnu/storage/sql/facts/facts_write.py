"""Writing facts: each kind into its table, outcomes with the revision that they make."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, exists, select

from mahavishnu.errors import UnknownName
from mahavishnu.model import Decision, Execution, Outcome, day_of
from mahavishnu.model.identity import made_at_us
from mahavishnu.ports import Fact, Settlement
from mahavishnu.storage.sql.connection.tables import announcements, assignments, decisions, executions, outcomes, starts
from mahavishnu.storage.sql.connection.transaction import Transaction
from mahavishnu.storage.sql.coordination.idempotency import settle_key
from mahavishnu.storage.sql.facts.fact_rows import (
    announcement_row,
    assignment_row,
    decision_of,
    decision_row,
    end_row,
    ended_of,
    escaped,
    outcome_row,
    revision_of,
    start_row,
)
from mahavishnu.storage.sql.facts.revisions import Past, concerned, revise, still_running
from mahavishnu.storage.sql.lake_manifest import Part, parts_in

_DECISION = select(decisions).where(decisions.c.id == bindparam("id_"))
_ENDED = select(executions).where(executions.c.decision_id == bindparam("id_")).order_by(executions.c.position)
_EARLIER = select(outcomes).where(outcomes.c.decision_id == bindparam("id_"))
_RUNNING = (
    select(starts.c.id)
    .where(starts.c.decision_id == bindparam("id_"), ~exists().where(executions.c.id == starts.c.id))
    .limit(1)
)


def begun_before(fact: Fact, at_us: int) -> bool:
    """Whether a fact is about something that began before a time, as far as can be seen from itself."""
    match fact:
        case Decision():
            return fact.at_us < at_us
        case Execution():
            return fact.started_at_us < at_us
        case Outcome():
            made_us = made_at_us(fact.decision_id)
            return made_us is None or made_us < at_us


def day_begun(fact: Fact) -> int | None:
    """The day that a decision or an execution belongs to; an outcome may be about any."""
    match fact:
        case Decision():
            return day_of(fact.at_us)
        case Execution():
            return day_of(fact.started_at_us)
        case Outcome():
            return None


def unknown_decision(decision_id: str) -> UnknownName:
    return UnknownName(kind="decision", name=decision_id, see="mahavishnu decisions")


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What the lake knows of some facts: which of them it has, and what it has that outcomes among them are about."""

    known: frozenset[str]
    pasts: Mapping[str, Past]


NOWHERE = Elsewhere(frozenset(), {})

Search = Callable[[Sequence[Part], Sequence[Fact]], Elsewhere]
"""Asks the lake, made of these parts, about facts."""


def record_facts(
    transaction: Transaction,
    facts: Sequence[Fact],
    settle: Settlement | None,
    search_for: Callable[[Sequence[Fact]], Search | None],
) -> int:
    """Write them all; returns the position of the last. `search_for` is None for what cannot be in the lake already.

    The lake is asked from within the transaction: nothing moves there meanwhile, and what was handed over is written
    whatever becomes of whoever did so.
    """
    search = search_for(facts)
    parts = parts_in(transaction) if search is not None else ()
    elsewhere = search(parts, facts) if search is not None and parts else NOWHERE
    for fact in facts:
        if fact.id in elsewhere.known:
            continue
        match fact:
            case Decision():
                _add_decision(transaction, fact)
            case Execution():
                _add_execution(transaction, fact)
            case Outcome():
                _add_outcome(transaction, fact, elsewhere.pasts.get(fact.decision_id))
    if settle is not None:
        settle_key(transaction, settle)
    return transaction.last_position


def _add_decision(transaction: Transaction, decision: Decision) -> None:
    transaction.add(decisions, decision_row(transaction.position(), decision))
    if not decision.assignments:
        return
    transaction.expect(len(decision.assignments))
    for each in decision.assignments:
        transaction.add(assignments, assignment_row(transaction.position(), decision, each))


def _add_execution(transaction: Transaction, execution: Execution) -> None:
    position = transaction.position()
    if execution.status.ended:
        transaction.add(executions, end_row(position, execution))
        return
    transaction.add(starts, start_row(position, execution))
    if execution.run_id is not None:
        transaction.add(announcements, announcement_row(position, execution.id, execution.run_id))


def _add_outcome(transaction: Transaction, outcome: Outcome, past: Past | None) -> None:
    position = transaction.position()
    about = {"id_": escaped(outcome.decision_id)}
    found = transaction.find(_DECISION, about)
    past = past or Past()
    decision = decision_of(found[0]) if found else past.decision
    if decision is None:
        raise unknown_decision(outcome.decision_id)
    # By their ids, because a day on its way into the lake is there and here for a moment.
    earlier = {each.id: change for each, change in past.outcomes}
    earlier |= {row.id: revision_of(row) for row in transaction.find(_EARLIER, about)}
    if outcome.id in earlier:
        return
    if transaction.find(_RUNNING, about):
        raise still_running(outcome)
    ends = {each.id: each for each in past.ended}
    ends |= {row.id: ended_of(row, None) for row in transaction.find(_ENDED, about)}
    ended = list(ends.values())
    revision = revise(outcome, decision, ended, [change for change in earlier.values() if change is not None])
    execution = concerned(ended)
    of_us = decision.at_us if execution is None else execution.started_at_us
    transaction.add(outcomes, outcome_row(position, outcome, revision, of_us))
