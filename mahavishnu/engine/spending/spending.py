"""The purse: what an attempt may cost, which budgets that counts against, and whether they have room."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from mahavishnu.model import (
    Account,
    Balance,
    Budget,
    Estimate,
    Execution,
    Micros,
    OnExhausted,
    Reservation,
    Shortfall,
    Spender,
    Target,
    Task,
)
from mahavishnu.model.money import to_micros, to_usd
from mahavishnu.model.queued import QueueStatus
from mahavishnu.model.unreadable import Unreadable
from mahavishnu.ports import Charge, Clock, Store

log = logging.getLogger("mahavishnu.engine")

LETTING_GO_S = 3.0
"""What a run may take beyond its time limit until it has let go, and is paid for."""


@dataclass(frozen=True, slots=True)
class Price:
    """What the next attempt may come to: `most` is None where nothing bounds it."""

    most: Micros | None
    balances: tuple[Balance, ...]

    @property
    def must_be_known(self) -> bool:
        return any(each.budget.hard_micros is not None for each in self.balances)

    def short(self) -> Balance | None:
        """The first budget that has no room for it, as far as is known here."""
        return next((each for each in self.balances if not fits(each, self.most)), None)


NOT_ASKED = Price(None, ())
"""Where there is no budget nobody asks."""


def fits(balance: Balance, micros: Micros | None) -> bool:
    if balance.budget.unreadable is not None:
        return False
    room = balance.room_micros
    return room is None or (micros is not None and micros <= room)


def worst_case(target: Target, seconds: float) -> Micros | None:
    """The most that a run of this target can cost within so many seconds; None where nothing bounds it.

    >>> from decimal import Decimal
    >>> target = Target(name="a", adapter="local", run="m:f", task_types={"t"}, max_cost_usd=Decimal("0.02"))
    >>> worst_case(target, 10)
    20000
    """
    if target.max_cost_usd is not None:
        return to_micros(target.max_cost_usd)
    return target.cost_model.most(seconds + LETTING_GO_S)


def breaks_max_cost(task: Task, spent_micros: int, target: Target, seen: Estimate, seconds: float) -> str | None:
    """Why another attempt would cost more than the task may, counting what was spent on it; None where it would not.

    By what the target costs as a rule, and by its worst case where nobody knows that yet.
    """
    if task.max_cost_usd is None or not spent_micros:
        return None
    expected = seen.mean_cost_micros
    if expected is None:
        expected = worst_case(target, seconds) or 0
    if spent_micros + expected <= to_micros(task.max_cost_usd):
        return None
    spent, more = to_usd(spent_micros), to_usd(round(expected))
    return f"${spent} was spent and ${more} more would break the task's max_cost_usd {task.max_cost_usd}"


class Purse:
    """Knows every budget as it stood when they were last read; the store alone says whether there is room."""

    def __init__(self, store: Store, clock: Clock, process_id: str, timeout_ms: int) -> None:
        """`timeout_ms` is how long a target may take that does not say."""
        self._store = store
        self._clock = clock
        self._timeout_ms = timeout_ms
        self._process_id = process_id
        self._balances: Sequence[Balance] = ()
        self._lines: frozenset[str] = frozenset()
        self._hard = False
        self._barring = False
        self._unreadable: Sequence[Unreadable] = ()

    @property
    def unreadable(self) -> Sequence[Unreadable]:
        """The budgets, and the tasks that wait for one, that this version could not read when it read them last."""
        return self._unreadable

    async def refresh(self) -> None:
        """Read every budget as it stands now, and which of them somebody waits for."""
        balances = tuple(await self._store.balances(self._clock.now_us()))
        if any(each.budget.on_exhausted is OnExhausted.QUEUE for each in balances):
            waiting = await self._store.queued(QueueStatus.WAITING)
            self._lines = frozenset(each.budget for each in waiting)
            left_out = waiting.unreadable
        else:
            self._lines = frozenset()
            left_out = ()
        self._balances = balances
        self._unreadable = (
            *left_out,
            *(
                Unreadable("budget", each.budget.name, each.budget.unreadable)
                for each in balances
                if each.budget.unreadable is not None
            ),
        )
        hard = [each.budget for each in balances if not _is_soft(each.budget)]
        self._hard = bool(hard)
        self._barring = any(each.of_targets or each.on_exhausted is OnExhausted.DEGRADE for each in hard)

    def may_bar(self, *, unbounded: bool) -> bool:
        """Whether any budget could keep a target out of a choice; `unbounded`: the worst case of some is not known."""
        return self._barring or (unbounded and self._hard)

    @property
    def lines(self) -> Sequence[Balance]:
        """The budgets that somebody waits for, as they stand: where nothing has changed, nobody has come closer."""
        now_us = self._clock.now_us()
        return [_now(each, now_us) for each in self._balances if each.budget.name in self._lines]

    def price(self, task: Task, target: Target, seconds: float) -> Price:
        """What a run may cost, and what that would count against."""
        if not self._balances:
            return NOT_ASKED
        now_us = self._clock.now_us()
        spender = spender_of(task, target)
        covering = tuple(_now(each, now_us) for each in self._balances if each.budget.covers(spender))
        return Price(worst_case(target, seconds), covering)

    def line(self, task: Task, target: Target) -> Balance | None:
        """A budget that others already wait for, and that covers this: who comes later stands behind them."""
        if not self._lines:
            return None
        waited_for = self.price(task, target, 0).balances
        return next((each for each in waited_for if each.budget.name in self._lines), None)

    def bars(self, task: Task, target: Target) -> str | None:
        """Why this target cannot be paid for, where others might; None where it can, or the task is to be told.

        Of budgets that stand against the whole task nothing is said here: the reservation finds out.
        """
        price = self.price(task, target, (target.timeout_ms or self._timeout_ms) / 1000)
        broken = next((each for each in price.balances if each.budget.unreadable is not None), None)
        if broken is not None:
            return no_room(Shortfall(balance=broken)) if broken.budget.of_targets else None
        if price.most is None and price.must_be_known:
            return unknown_worst_case(target, price.balances[0])
        short = price.short()
        if short is None or not (short.budget.of_targets or short.budget.on_exhausted is OnExhausted.DEGRADE):
            return None
        return no_room(Shortfall(balance=short, wanted_micros=price.most or Micros(0)))

    def reservation(self, task: Task, target: Target, start: Execution, price: Price) -> Reservation | None:
        """What is to be set aside for an attempt; None where no budget asks for it."""
        if not price.balances:
            return None
        return Reservation(
            execution_id=start.id,
            process_id=self._process_id,
            at_us=start.started_at_us,
            micros=price.most or Micros(0),
            spender=spender_of(task, target),
            accounts=tuple(Account(budget=each.budget.name, label=each.label) for each in price.balances),
        )

    def charge(self, task: Task, target: Target, ended: Execution, reservation: Reservation | None) -> Charge | None:
        """What is to be written down for an attempt that ended; None where it was free and nothing was set aside."""
        if reservation is None and not ended.cost_micros:
            return None
        if reservation is not None and ended.cost_micros > reservation.micros:
            log.warning(
                "%s cost $%s, more than the $%s set aside for it; set its max_cost_usd",
                target.name,
                to_usd(ended.cost_micros),
                to_usd(reservation.micros),
            )
        return Charge(
            execution_id=ended.id,
            at_us=ended.ended_at_us or ended.started_at_us,
            micros=ended.cost_micros,
            spender=spender_of(task, target),
            reserved=reservation is not None,
        )


def spender_of(task: Task, target: Target) -> Spender:
    return Spender(adapter=target.adapter, target=target.name, task_type=task.type, tags=task.tags)


def _is_soft(budget: Budget) -> bool:
    """Whether it never stands in the way of a run."""
    return budget.hard_micros is None and budget.unreadable is None


def no_room(shortfall: Shortfall) -> str:
    """A shortfall in words, or why a budget lets nothing through that it covers.

    >>> from mahavishnu.model import Budget
    >>> budget = Budget(name="team", hard_micros=Micros(1_000_000))
    >>> balance = Balance(budget=budget, label="total", spent_micros=990_000)
    >>> no_room(Shortfall(balance=balance, wanted_micros=Micros(20_000)))
    'budget team has $0.01 of $1 left, and a run may cost $0.02'
    """
    balance = shortfall.balance
    if balance.budget.unreadable is not None:
        return str(Unreadable("budget", balance.budget.name, balance.budget.unreadable))
    left, hard = to_usd(balance.room_micros or 0), to_usd(balance.budget.hard_micros or 0)
    wanted = to_usd(shortfall.wanted_micros)
    return f"budget {balance.budget.name} has ${left:f} of ${hard:f} left, and a run may cost ${wanted:f}"


def unknown_worst_case(target: Target, balance: Balance) -> str:
    name = balance.budget.name
    return f"nothing bounds what a run costs, and budget {name} may not be exceeded; set max_cost_usd of {target.name}"


def turns_at(balance: Balance, at_us: int) -> str | None:
    """When the budget's next period begins; None where it has but one."""
    _, end_us = balance.budget.bounds_us(at_us)
    return None if end_us is None else datetime.fromtimestamp(end_us / 1e6, UTC).isoformat(timespec="minutes")


def _now(balance: Balance, now_us: int) -> Balance:
    """A balance of a period that is over says nothing of the next, which begins with nothing spent."""
    label = balance.budget.label(now_us)
    return balance if label == balance.label else Balance(budget=balance.budget, label=label)
