"""The plan: which faults strike in which round, when, for how long and at which worker, drawn from a seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from itertools import combinations
from random import Random
from typing import Any


class Kind(StrEnum):
    """What can go wrong."""

    PAUSE = "pause"
    KILL = "kill"
    SKEW = "skew"
    BLOCK = "block"
    HANG = "hang"
    OUTAGE = "outage"
    ANSWERS = "answers"
    DISK = "disk"
    VALUES = "values"
    TARGETS = "targets"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault: from `at_s` after the beginning of the round on, for `lasts_s`.

    `worker` is -1 where it strikes all of them. `amount` is the offset of a clock in seconds or the share of commits
    whose answer is lost; `drift` what a clock gains with every second.
    """

    kind: Kind
    at_s: float
    lasts_s: float = 0.0
    worker: int = -1
    amount: float = 0.0
    drift: float = 0.0

    def __str__(self) -> str:
        words = [f"{self.at_s:5.1f} s  {self.kind}"]
        if self.worker >= 0:
            words.append(f"worker {self.worker}")
        if self.lasts_s:
            words.append(f"for {self.lasts_s:.1f} s")
        if self.kind is Kind.SKEW:
            words.append(f"by {self.amount:+.0f} s" + (f", {self.drift:+.2f} s a second" if self.drift else ""))
        if self.kind is Kind.ANSWERS:
            words.append(f"of {self.amount:.0%} of the commits")
        return " ".join(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    number: int
    seed: int
    seconds: float
    kinds: tuple[Kind, ...]
    faults: tuple[Fault, ...]

    def has(self, kind: Kind) -> bool:
        return kind in self.kinds

    def shape(self) -> dict[str, Any]:
        return asdict(self)


def kinds_in(seed: int, number: int, kinds: Sequence[Kind]) -> tuple[Kind, ...]:
    """The kinds of one round, counted from 1: first each alone, then every pair, in an order that the seed draws.

    >>> [len(kinds_in(7, number, [Kind.PAUSE, Kind.KILL, Kind.SKEW])) for number in range(1, 8)]
    [1, 1, 1, 2, 2, 2, 1]
    """
    wanted = sorted(set(kinds))
    alone = [(kind,) for kind in wanted]
    pairs = list(combinations(wanted, 2))
    rng = Random(f"{seed} order")
    rng.shuffle(alone)
    rng.shuffle(pairs)
    order = [*alone, *pairs]
    return order[(number - 1) % len(order)]


def round_of(seed: int, number: int, kinds: Sequence[Kind], *, processes: int, lease_s: float, seconds: float) -> Round:
    """The same arguments give the same round."""
    rng = Random(f"{seed} {number} {' '.join(kinds)}")
    draw = _Draw(rng, processes, lease_s, seconds)
    faults = [fault for kind in kinds for fault in _DRAWN[kind](draw)]
    return Round(
        number=number,
        seed=rng.getrandbits(32),
        seconds=seconds,
        kinds=tuple(kinds),
        faults=tuple(sorted(faults, key=lambda fault: fault.at_s)),
    )


@dataclass(frozen=True, slots=True)
class _Draw:
    rng: Random
    processes: int
    lease_s: float
    seconds: float

    def some(self, most: int) -> list[int]:
        """Some of the workers, at least one."""
        return self.rng.sample(range(self.processes), self.rng.randint(1, max(min(most, self.processes), 1)))

    def at(self, until: float = 0.5) -> float:
        """A moment up to this part of the round."""
        return round(self.rng.uniform(0.05, until) * self.seconds, 3)

    def rest(self, at_s: float, least: float, most: float) -> float:
        """A length that ends within the round."""
        return round(min(self.rng.uniform(least, most), max(self.seconds - at_s, 0.5)), 3)


def _pauses(draw: _Draw) -> list[Fault]:
    faults = []
    for worker in draw.some(2):
        at_s = draw.at(0.4)
        # Longer than the lease, and long enough for the others to have looked twice.
        lasts_s = draw.rest(at_s, draw.lease_s * 1.5 + 1, draw.lease_s * 4 + 1)
        faults.append(Fault(kind=Kind.PAUSE, at_s=at_s, lasts_s=lasts_s, worker=worker))
    return faults


def _kills(draw: _Draw) -> list[Fault]:
    return [Fault(kind=Kind.KILL, at_s=draw.at(0.8), worker=worker) for worker in draw.some(2)]


def _skews(draw: _Draw) -> list[Fault]:
    """The first worker is always among them, so that of two at least one differs from the others."""
    faults = []
    for worker in sorted({0, *draw.some(draw.processes)}):
        at_s = draw.at(0.4)
        amount, drift = draw.rng.choice(
            [(20.0, 0.0), (-20.0, 0.0), (60.0, 0.0), (-60.0, 0.0), (0.0, 0.5), (0.0, -0.5), (5.0, 0.2)]
        )
        lasts_s = round(draw.seconds - at_s, 3)
        faults.append(Fault(kind=Kind.SKEW, at_s=at_s, lasts_s=lasts_s, worker=worker, amount=amount, drift=drift))
    return faults


def _blocks(draw: _Draw) -> list[Fault]:
    return [
        Fault(kind=Kind.BLOCK, at_s=(at_s := draw.at(0.5)), lasts_s=draw.rest(at_s, 1, draw.lease_s * 3), worker=worker)
        for worker in draw.some(2)
    ]


def _hangs(draw: _Draw) -> list[Fault]:
    at_s = draw.at(0.3)
    return [Fault(kind=Kind.HANG, at_s=at_s, lasts_s=draw.rest(at_s, draw.seconds * 0.4, draw.seconds * 0.7))]


def _outages(draw: _Draw) -> list[Fault]:
    at_s = draw.at(0.3)
    return [Fault(kind=Kind.OUTAGE, at_s=at_s, lasts_s=draw.rest(at_s, draw.seconds * 0.3, draw.seconds * 0.6))]


def _answers(draw: _Draw) -> list[Fault]:
    at_s = draw.at(0.3)
    share = round(draw.rng.uniform(0.05, 0.5), 2)
    lasts_s = draw.rest(at_s, draw.seconds * 0.3, draw.seconds * 0.6)
    return [Fault(kind=Kind.ANSWERS, at_s=at_s, lasts_s=lasts_s, amount=share)]


def _disks(draw: _Draw) -> list[Fault]:
    at_s = draw.at(0.3)
    lasts_s = draw.rest(at_s, draw.seconds * 0.3, draw.seconds * 0.6)
    return [Fault(kind=Kind.DISK, at_s=at_s, lasts_s=lasts_s, worker=worker) for worker in draw.some(2)]


def _values(draw: _Draw) -> list[Fault]:
    return [Fault(kind=Kind.VALUES, at_s=0.0, lasts_s=draw.seconds)]


def _targets(draw: _Draw) -> list[Fault]:
    return [Fault(kind=Kind.TARGETS, at_s=0.0, lasts_s=draw.seconds)]


_DRAWN: Mapping[Kind, Callable[[_Draw], list[Fault]]] = {
    Kind.PAUSE: _pauses,
    Kind.KILL: _kills,
    Kind.SKEW: _skews,
    Kind.BLOCK: _blocks,
    Kind.HANG: _hangs,
    Kind.OUTAGE: _outages,
    Kind.ANSWERS: _answers,
    Kind.DISK: _disks,
    Kind.VALUES: _values,
    Kind.TARGETS: _targets,
}
