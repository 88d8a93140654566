"""Facts: what is written about a run, and what goes with it in one transaction."""

from __future__ import annotations

from dataclasses import dataclass

from mahavishnu.model import Decision, Execution, Outcome, Revision

Fact = Decision | Execution | Outcome
"""What is written: an Execution twice under one id, when it starts (`RUNNING`) and when it has ended."""

Evidence = Execution | Revision
"""What is folded: executions that ended, and the changes that outcomes made."""


@dataclass(frozen=True, slots=True)
class Between:
    """A stretch of time: from `since_us` on, and before `until_us`; what is None bounds nothing."""

    since_us: int | None = None
    until_us: int | None = None

    def __contains__(self, at_us: int) -> bool:
        return (self.since_us is None or self.since_us <= at_us) and (self.until_us is None or at_us < self.until_us)


EVER = Between()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """The end of a claimed run: after a success the key answers as long as raw facts are kept, else it is free."""

    key: str
    decision_id: str
    succeeded: bool
