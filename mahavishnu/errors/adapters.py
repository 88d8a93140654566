"""How an adapter says that a run did not succeed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mahavishnu.errors.root import MahavishnuError, stopped
from mahavishnu.redaction import redacted


@dataclass(eq=False)
class AdapterError(MahavishnuError):
    """What an adapter may raise from `run`: one of these shapes. The adapter says which; the engine decides what to do.

    `may_have_run` says whether the work may have taken effect although it failed: a task that is not safe to repeat
    goes on to another target only where it is False. `problem` passes the redactor here, whichever adapter it is of:
    servers repeat the headers that they were sent.
    """

    code: ClassVar[str] = "adapter"
    problem: str
    may_have_run: bool = True

    def __post_init__(self) -> None:
        self.problem = redacted(str(self.problem))
        # Exceptions keep what they were made of, too.
        self.args = (self.problem,)

    def __str__(self) -> str:
        return self.problem


@dataclass(eq=False)
class Transient(AdapterError):
    """It may work if tried again: a lost connection, a 503, a lock. `retry_after_s`: when, if the engine said."""

    code: ClassVar[str] = "transient"
    retry_after_s: float | None = None


@dataclass(eq=False)
class Throttled(Transient):
    """A 429: the target is well and asks for patience. Never counts as ill health."""

    code: ClassVar[str] = "throttled"
    may_have_run: bool = False


@dataclass(eq=False)
class Refused(AdapterError):
    """The task is at fault (a bad request): any target would refuse it, so no other one is tried.

    The engine adds which target said so and in which decision.
    """

    code: ClassVar[str] = "refused"
    may_have_run: bool = False
    target: str | None = None
    decision_id: str | None = None

    def __str__(self) -> str:
        if self.target is None:
            return self.problem
        return stopped(f"{self.target} refused the task (decision {self.decision_id}): {self.problem}")


@dataclass(eq=False)
class Unsuitable(AdapterError):
    """This target cannot take this task: too long for its context, a feature that it lacks. The next one has its turn.

    It counts against the target for this task type, and never as ill health.
    """

    code: ClassVar[str] = "unsuitable"
    may_have_run: bool = False


@dataclass(eq=False)
class TimedOut(AdapterError):
    code: ClassVar[str] = "timed-out"


@dataclass(eq=False)
class Misconfigured(AdapterError):
    """The target cannot work as it is set up: a wrong name, a missing package, a wrong key."""

    code: ClassVar[str] = "misconfigured"
    may_have_run: bool = False


@dataclass(eq=False)
class AuthenticationError(Misconfigured):
    """The engine does not know who we are (401)."""

    code: ClassVar[str] = "authentication"


@dataclass(eq=False)
class AuthorizationError(Misconfigured):
    """The engine knows who we are and does not let us (403)."""

    code: ClassVar[str] = "authorization"


@dataclass(eq=False)
class Cancelled(AdapterError):
    """Somebody stopped the run where it ran: nobody's failure, and not to be tried elsewhere."""

    code: ClassVar[str] = "cancelled"


@dataclass(eq=False)
class Crashed(AdapterError):
    """The target raised something of its own, or handed back something that is no Result."""

    code: ClassVar[str] = "crashed"
