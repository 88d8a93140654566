"""Budget: how much may be spent on what in which time; and the entries that say what was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from mahavishnu.errors import InvalidBudget
from mahavishnu.model.money import NOTHING, Micros
from mahavishnu.model.task import word
from mahavishnu.model.values import ANYWAY, member, settle, shown, text, texts, whole

UNREADABLE = "unreadable"
"""The label of the account of a budget that this version cannot read: nothing can be set aside in it."""


class Period(StrEnum):
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    TOTAL = "total"


class OnExhausted(StrEnum):
    """What becomes of a task that a budget has no room for: refused, kept for later, or run where it still fits."""

    REJECT = "reject"
    QUEUE = "queue"
    DEGRADE = "degrade"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spender:
    """Who spends: one attempt, by everything that a budget can ask about."""

    adapter: str
    target: str
    task_type: str
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """`hard_micros` is never exceeded; at `soft_micros` somebody is told. What is not narrowed down covers everything.

    Periods turn at midnight (Mondays, the first of the month) of `zone`. In a queue a task waits `max_age_s` at most.
    `unreadable` says why this version cannot read it, None where it can. Such a budget refuses what it covers, as far
    as that could be read, and everything where it could not.
    """

    name: str
    hard_micros: Micros | None = None
    soft_micros: Micros | None = None
    period: Period = Period.TOTAL
    zone: str = "UTC"
    adapter: str | None = None
    target: str | None = None
    task_type: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    on_exhausted: OnExhausted = OnExhausted.REJECT
    max_age_s: int = 86_400
    unreadable: str | None = None

    def __post_init__(self) -> None:
        if self.unreadable is not None:
            settle(self, _UNREADABLE_CHECKS, self._wrong)
            return
        settle(self, _CHECKS, self._wrong)
        if self.hard_micros is None and self.soft_micros is None:
            raise self._invalid("it has no limit; give --limit, --soft, or both")
        if self.hard_micros is not None and (self.soft_micros or 0) > self.hard_micros:
            raise self._invalid("its soft limit lies above its limit; nobody would ever be told")
        try:
            ZoneInfo(self.zone)
        except (KeyError, ValueError, OSError):
            problem = f'there is no time zone "{self.zone:.80}"; give one such as Europe/Vienna'
            raise self._invalid(problem) from None

    def _wrong(self, field: str, problem: str) -> InvalidBudget:
        return self._invalid(f"its {field} {problem}")

    def _invalid(self, problem: str) -> InvalidBudget:
        carried = self.name if type(self.name) is str else shown(self.name)
        return InvalidBudget(budget=f"{carried:.100}", problem=problem)

    def covers(self, spender: Spender) -> bool:
        return (
            self.adapter in (None, spender.adapter)
            and self.target in (None, spender.target)
            and self.task_type in (None, spender.task_type)
            and all(spender.tags.get(key) == value for key, value in self.tags.items())
        )

    @property
    def of_targets(self) -> bool:
        """Whether another target might not be covered by it."""
        return self.adapter is not None or self.target is not None

    def counts_as(self, other: Budget) -> bool:
        """Whether both count the same spending in the same periods; what they do about it may differ."""
        return self.unreadable is None and self._counted == other._counted

    @property
    def _counted(self) -> tuple[object, ...]:
        return self.period, self.zone, self.adapter, self.target, self.task_type, dict(self.tags)

    def label(self, at_us: int) -> str:
        """The name of the period that a time lies in; labels of one budget sort by time.

        >>> Budget(name="b", hard_micros=1, period=Period.WEEK).label(1_767_225_600_000_000)  # 2026-01-01
        '2026-W01'
        >>> Budget(name="b", hard_micros=1, period=Period.DAY, zone="Asia/Tokyo").label(1_767_196_800_000_000)
        '2026-01-01'
        """
        if self.unreadable is not None:
            return UNREADABLE
        local = datetime.fromtimestamp(at_us / 1e6, UTC).astimezone(ZoneInfo(self.zone))
        match self.period:
            case Period.HOUR:
                # By UTC: an hour that comes twice when clocks go back is two hours.
                return datetime.fromtimestamp(at_us // 3_600_000_000 * 3600, UTC).strftime("%Y-%m-%dT%HZ")
            case Period.DAY:
                return local.date().isoformat()
            case Period.WEEK:
                year, week, _ = local.isocalendar()
                return f"{year}-W{week:02}"
            case Period.MONTH:
                return local.strftime("%Y-%m")
            case Period.TOTAL:
                return "total"

    def bounds_us(self, at_us: int) -> tuple[int, int | None]:
        """When the period that a time lies in began, and when the next begins; None for one that never ends."""
        if self.period is Period.TOTAL:
            return 0, None
        if self.period is Period.HOUR:
            start = at_us // 3_600_000_000 * 3_600_000_000
            return start, start + 3_600_000_000
        zone = ZoneInfo(self.zone)
        day = datetime.fromtimestamp(at_us / 1e6, UTC).astimezone(zone).date()
        if self.period is Period.WEEK:
            day -= timedelta(days=day.weekday())
        elif self.period is Period.MONTH:
            day = day.replace(day=1)
        following = _following(day, self.period)
        return _midnight_us(day, zone), _midnight_us(following, zone)


LONGEST_S = 100 * 366 * 86_400
"""A century: the time by which a queued task is given up must be one that a database holds."""

_UNREADABLE_CHECKS = (
    ("name", ANYWAY, text),
    ("adapter", None, text),
    ("target", None, text),
    ("task_type", None, text),
    ("tags", ANYWAY, texts),
    ("unreadable", None, text),
)
"""Of a budget that cannot be read only what it covers is asked for, and its row may have any name."""

_CHECKS = (
    ("name", ANYWAY, word),
    ("hard_micros", None, whole()),
    ("soft_micros", None, whole()),
    ("period", Period.TOTAL, member(Period)),
    ("zone", "UTC", text),
    ("adapter", None, text),
    ("target", None, text),
    ("task_type", None, text),
    ("tags", ANYWAY, texts),
    ("on_exhausted", OnExhausted.REJECT, member(OnExhausted)),
    ("max_age_s", 86_400, whole(1, LONGEST_S)),
)


def _following(day: date, period: Period) -> date:
    if period is Period.MONTH:
        return (day.replace(day=28) + timedelta(days=4)).replace(day=1)
    return day + timedelta(days=7 if period is Period.WEEK else 1)


def _midnight_us(day: date, zone: ZoneInfo) -> int:
    return round(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One period of one budget: what is reserved and spent counts against it."""

    budget: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """The most that an attempt may come to cost, set aside before it begins. Its id is that of the execution.

    Its accounts are those that the store found it to count against when it was made, or when a budget changed since.
    """

    execution_id: str
    process_id: str
    at_us: int
    micros: Micros
    spender: Spender
    accounts: tuple[Account, ...] = ()


class EntryKind(StrEnum):
    """`RESERVE` and `RELEASE` of one execution add up to nothing; `CHARGE` and `CORRECT` to what it cost.

    `CARRY` belongs to no execution: a budget that was made or changed takes over what had been spent until then.
    """

    RESERVE = "reserve"
    RELEASE = "release"
    CHARGE = "charge"
    CORRECT = "correct"
    CARRY = "carry"


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One line of the ledger: never changed, never taken back; what was wrong is put right by another line.

    `of_us` is the time by which it counts: when that began which it is about, however late the line was written.
    """

    id: str
    kind: EntryKind
    execution_id: str
    at_us: int
    of_us: int
    micros: int
    spender: Spender
    accounts: tuple[Account, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """How a budget stands in one period."""

    budget: Budget
    label: str
    spent_micros: int = 0
    reserved_micros: int = 0

    @property
    def room_micros(self) -> int | None:
        """What can still be reserved; None where nothing bounds it."""
        if self.budget.unreadable is not None:
            return 0
        hard = self.budget.hard_micros
        return None if hard is None else max(hard - self.spent_micros - self.reserved_micros, 0)

    @property
    def overdrawn_micros(self) -> int:
        """What was spent beyond the limit: by an upward late bill, by a limit that was lowered, or by a run that was
        given up and ended after that."""
        hard = self.budget.hard_micros
        return 0 if hard is None else max(self.spent_micros - hard, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """Why a reservation was not made: the balance that has no room for it."""

    balance: Balance
    wanted_micros: Micros = NOTHING
