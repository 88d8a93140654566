"""Circuit breakers: a target that keeps failing rests, and is tried again one call at a time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum, StrEnum, auto

from mahavishnu.settings import BreakerSettings


class BreakerState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Verdict(Enum):
    """What a call said about its target."""

    WELL = auto()
    ILL = auto()
    NOTHING = auto()
    """The caller's error, a cancellation, a 429: no statement about health."""


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to make one call; handed back with `Breaker.report`, whatever came of it."""

    probe: bool
    epoch: int


class Breaker:
    """One target's breaker, as a state machine over time that is handed in.

    Closed, it counts: enough failures in a row, or too many among the last calls, open it. Open, it refuses until its
    time has come. Half-open, it lets one probe through: success closes it, failure opens it for twice as long. A wait
    is never shortened: not by a late failure, not by a smaller retry-after, not by a second opening.
    """

    def __init__(self, rules: BreakerSettings) -> None:
        self._rules = rules
        self._recent: deque[bool] = deque(maxlen=rules.window)
        self._streak = 0
        self._openings = 0
        self._open_until: float | None = None
        self._hold_until = float("-inf")
        self._probing = False
        # Calls that began before the last opening or closing belong to another epoch and decide nothing.
        self._epoch = 0

    def state(self, now_s: float) -> BreakerState:
        if self._open_until is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now_s < self._open_until else BreakerState.HALF_OPEN

    def at_ease(self, now_s: float) -> bool:
        """Whether it lets everybody through, and goes on doing so until something is reported to it."""
        return self._open_until is None and now_s >= self._hold_until

    def rests_until(self, now_s: float) -> float | None:
        """When the next call may be let through: None for now, infinity while a probe is out."""
        until = max(self._hold_until, self._open_until if self._open_until is not None else float("-inf"))
        if now_s < until:
            return until
        return float("inf") if self._open_until is not None and self._probing else None

    def why(self, now_s: float) -> str:
        """In words, why it refuses now."""
        if self._open_until is None:
            return f"asked for patience, for another {self._hold_until - now_s:.1f} s"
        if now_s < max(self._open_until, self._hold_until):
            rest = max(self._open_until, self._hold_until) - now_s
            return f"resting for another {rest:.1f} s after failing (circuit open)"
        return "recovering: a probe is under way (circuit half-open)"

    def acquire(self, now_s: float) -> Permit | None:
        """Leave to call now, or None."""
        if self.rests_until(now_s) is not None:
            return None
        probe = self._open_until is not None
        self._probing = self._probing or probe
        return Permit(probe=probe, epoch=self._epoch)

    def report(self, permit: Permit, verdict: Verdict, now_s: float, retry_after_s: float | None = None) -> None:
        """Hand a permit back. `retry_after_s` is the target's own wish and holds whatever the verdict."""
        if retry_after_s is not None:
            self._hold_until = max(self._hold_until, now_s + retry_after_s)
        if permit.epoch != self._epoch:
            return
        if permit.probe:
            self._probing = False
        match verdict:
            case Verdict.WELL if permit.probe:
                self._close()
            case Verdict.WELL:
                self._streak = 0
                self._recent.append(True)
            case Verdict.ILL if permit.probe:
                self._open(now_s)
            case Verdict.ILL:
                self._streak += 1
                self._recent.append(False)
                if self._streak >= self._rules.consecutive_failures or self._fails_too_often():
                    self._open(now_s)
            case Verdict.NOTHING:
                return

    def _fails_too_often(self) -> bool:
        full = len(self._recent) == self._rules.window
        return full and self._recent.count(False) / self._rules.window >= self._rules.failure_rate

    def _open(self, now_s: float) -> None:
        wait_ms = min(self._rules.open_ms * 2**self._openings, self._rules.open_max_ms)
        self._open_until = max(self._open_until or now_s, now_s + wait_ms / 1000)
        self._openings = min(self._openings + 1, 32)
        self._probing = False
        self._epoch += 1

    def _close(self) -> None:
        self._open_until = None
        self._openings = 0
        self._streak = 0
        self._recent.clear()
        self._epoch += 1
