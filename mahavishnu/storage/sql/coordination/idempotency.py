"""Idempotency keys: who holds one, who may take it over, when it answers for ever."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, Connection, Row, bindparam, delete, exists, insert, select, update

from mahavishnu.errors import KeyReused
from mahavishnu.model import Status
from mahavishnu.ports import Claim, Settlement
from mahavishnu.storage.sql.connection.tables import executions, keys, processes
from mahavishnu.storage.sql.connection.transaction import Transaction
from mahavishnu.storage.sql.coordination.presence import Census, take_over
from mahavishnu.storage.sql.facts.fact_rows import escaped

_KEY: BindParameter[str] = bindparam("key_")
_DECISION: BindParameter[str] = bindparam("decision")
_HELD = (
    select(
        keys,
        exists()
        .where(executions.c.decision_id == keys.c.decision_id, executions.c.status == Status.SUCCEEDED.value)
        .label("done"),
        processes,
    )
    .select_from(keys.outerjoin(processes, processes.c.id == keys.c.process_id))
    .where(keys.c.key == _KEY)
)
_OURS = (keys.c.key == _KEY, keys.c.decision_id == _DECISION)
_FREE = delete(keys).where(*_OURS, keys.c.succeeded == 0)
_SUCCEED = update(keys).where(*_OURS).values(succeeded=1)
_FORGET = delete(keys).where(keys.c.key == _KEY)
_TAKE = insert(keys)


@dataclass(frozen=True, slots=True)
class Holding:
    """Whose a key is: of a run that succeeded, or of one that is on its way in a process that lives."""

    decision_id: str
    fingerprint: str
    over: bool


def answer(key: str, fingerprint: str, decision_id: str, holding: Holding) -> Claim:
    """What a claimant of a key that somebody holds is told. Raises `KeyReused` where it is another task's."""
    if holding.fingerprint != fingerprint:
        raise KeyReused(key=key, decision_id=holding.decision_id)
    # Our own claim again is still ours: a transaction is repeated where the answer to its commit was lost.
    mine = holding.decision_id == decision_id and not holding.over
    return Claim(decision_id=holding.decision_id, mine=mine, over=holding.over)


def claim_key(
    transaction: Transaction, key: str, fingerprint: str, decision_id: str, process_id: str, census: Census
) -> Claim:
    about = {"key_": escaped(key)}
    rows = transaction.find(_HELD, about)
    holding = _holding(rows, census)
    if holding is not None:
        return answer(key, fingerprint, decision_id, holding)
    for row in rows:
        take_over(transaction, _owner(row))
    transaction.change(_FORGET, about)
    transaction.change(
        _TAKE,
        {
            "key": escaped(key),
            "fingerprint": fingerprint,
            "decision_id": decision_id,
            "process_id": process_id,
            "succeeded": 0,
        },
    )
    return Claim(decision_id=decision_id, mine=True, over=False)


def settle_key(transaction: Transaction, settle: Settlement) -> None:
    """A run that lost its key to another in the meantime has nothing to settle."""
    statement = _SUCCEED if settle.succeeded else _FREE
    transaction.change(statement, {"key_": escaped(settle.key), "decision": settle.decision_id})


def holder_of(key: str, census: Census) -> Callable[[Connection], Claim | None]:
    def query(connection: Connection) -> Claim | None:
        holding = _holding(connection.execute(_HELD, {"key_": escaped(key)}).all(), census)
        return None if holding is None else Claim(decision_id=holding.decision_id, mine=False, over=holding.over)

    return query


def _holding(found: Sequence[Row[Any]], census: Census) -> Holding | None:
    if not found:
        return None
    _key, fingerprint, decision_id, _process_id, succeeded, done, *_ = found[0]
    over = bool(succeeded or done)
    if not over and census.is_gone(_owner(found[0])):
        return None
    return Holding(decision_id=decision_id, fingerprint=fingerprint, over=over)


def _owner(row: Row[Any]) -> Sequence[Any]:
    """The process that holds the key; all None where it was given up."""
    return row[-len(processes.c) :]
