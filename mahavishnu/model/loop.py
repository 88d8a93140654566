"""LoopReport: what is known of one thing that an engine does again and again in the background."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LoopReport:
    """How one part of the background work stands.

    `restarts` counts how often its loop was interrupted and begun anew, `failures` how often the part itself failed or
    had to leave something out; `last_failure` says the last of either. `stale`: it has not completed a round for longer
    than it should take, so that what it keeps up to date may be old.
    """

    name: str
    restarts: int = 0
    failures: int = 0
    last_failure: str | None = None
    last_failed_at_us: int | None = None
    last_ok_at_us: int | None = None
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether an engine decides by what is true now; `reasons` are sentences, one for each part that is stale.

    >>> bool(Readiness()), bool(Readiness(("evidence has not been brought up to date",)))
    (True, False)
    """

    reasons: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return not self.reasons
