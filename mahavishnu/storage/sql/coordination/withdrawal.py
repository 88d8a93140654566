"""Withdrawing starts whose fate is unknown: asked for, answered with an error, and perhaps durable all the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import bindparam, exists, select

from mahavishnu.model import Execution, Status
from mahavishnu.ports import Settlement
from mahavishnu.storage.sql.connection.tables import executions, starts
from mahavishnu.storage.sql.connection.transaction import Transaction
from mahavishnu.storage.sql.coordination.idempotency import settle_key
from mahavishnu.storage.sql.facts.fact_rows import end_row
from mahavishnu.storage.sql.money.accounts import held, let_go
from mahavishnu.storage.sql.money.entries import WITHDRAWN

_RUNNING = select(starts.c.id).where(starts.c.id == bindparam("id_"), ~exists().where(executions.c.id == starts.c.id))


def withdrawn(start: Execution, at_us: int) -> Execution:
    """The end of an attempt that was never made."""
    return replace(
        start,
        status=Status.CANCELLED,
        ended_at_us=max(at_us, start.started_at_us),
        latency_us=0,
        error_code="cancelled",
        error="it was not begun: the store had not confirmed its start in time",
    )


def withdraw(transaction: Transaction, begun: Sequence[Execution], settle: Settlement | None, at_us: int) -> int:
    """End those that are there as cancelled and give back what was set aside for them; the others never were.

    Whatever transaction was to begin them is over by now: it holds the counter's row until it commits.
    """
    for start in begun:
        if transaction.find(_RUNNING, {"id_": start.id}):
            transaction.add(executions, end_row(transaction.position(), withdrawn(start, at_us)))
        reservation = held(transaction, start.id)
        if reservation is not None:
            let_go(transaction, reservation, at_us, note=WITHDRAWN)
    if settle is not None:
        settle_key(transaction, settle)
    return transaction.last_position
