"""Everything raised on purpose, in one tree; each error carries its ids and a sentence that holds the mend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


def _rebuild(kind: type[MahavishnuError], fields: dict[str, Any]) -> MahavishnuError:
    return kind(**fields)


class MahavishnuError(Exception):
    """The root: catch this to catch everything that mahavishnu raises on purpose.

    `code` is stable across versions and is what programs should compare; the sentence is for people.
    """

    code: ClassVar[str] = "mahavishnu"

    def __reduce__(self) -> tuple[Any, ...]:
        # Keyword-only fields would be lost by the default, which replays positional arguments only.
        declared = getattr(self, "__dataclass_fields__", {})
        return (_rebuild, (type(self), {name: value for name, value in vars(self).items() if name in declared}))


def did_you_mean(nearest: str | None) -> str:
    """The half sentence that offers the nearest known name, or nothing."""
    return f'; did you mean "{nearest}"?' if nearest else ""


# -- the caller's input ------------------------------------------------------------------------------------------------


class InputError(MahavishnuError):
    """What was asked cannot be meant; nothing was run and nothing counts against a target."""

    code = "input"


@dataclass(eq=False, kw_only=True)
class InvalidTask(InputError):
    code: ClassVar[str] = "invalid-task"
    field: str
    problem: str

    def __str__(self) -> str:
        return f"The task's {self.field} {self.problem}."


@dataclass(eq=False, kw_only=True)
class InvalidTarget(InputError):
    code: ClassVar[str] = "invalid-target"
    target: str
    field: str
    problem: str

    def __str__(self) -> str:
        return f'Target "{self.target}": {self.field} {self.problem}.'


@dataclass(eq=False, kw_only=True)
class InvalidOutcome(InputError):
    code: ClassVar[str] = "invalid-outcome"
    problem: str

    def __str__(self) -> str:
        return f"The outcome {self.problem}."


@dataclass(eq=False, kw_only=True)
class UnknownName(InputError):
    """A name that nothing carries; `kind` says of what: a target, a task type, a policy, a decision, …"""

    code: ClassVar[str] = "unknown-name"
    kind: str
    name: str
    nearest: str | None = None
    see: str | None = None

    def __str__(self) -> str:
        hint = did_you_mean(self.nearest)
        if not hint:
            hint = f"; {self.see} shows what there is." if self.see else "."
        return f'There is no {self.kind} "{self.name}"{hint}'


@dataclass(eq=False, kw_only=True)
class TargetExists(InputError):
    code: ClassVar[str] = "target-exists"
    target: str
    where: str

    def __str__(self) -> str:
        return f'Target "{self.target}" already exists in {self.where}; choose another name, or remove that one first.'


@dataclass(eq=False, kw_only=True)
class TargetIsConfigured(InputError):
    """A target that the configuration file declares can be disabled here, but only the file can take it away."""

    code: ClassVar[str] = "target-is-configured"
    target: str
    where: str

    def __str__(self) -> str:
        return (
            f'Target "{self.target}" is declared in {self.where}; '
            f'remove it there, or run "mahavishnu targets disable {self.target}".'
        )


@dataclass(eq=False, kw_only=True)
class KeyReused(InputError):
    code: ClassVar[str] = "key-reused"
    key: str
    decision_id: str

    def __str__(self) -> str:
        return (
            f'Idempotency key "{self.key}" already belongs to a different task (decision {self.decision_id}); '
            "use a new key for a new task."
        )


@dataclass(eq=False, kw_only=True)
class SettingsError(InputError):
    code: ClassVar[str] = "settings"
    where: str
    problem: str

    def __str__(self) -> str:
        end = "" if self.problem.endswith(("?", ".")) else "."
        return f"{self.where}: {self.problem}{end}"


@dataclass(eq=False, kw_only=True)
class PluginMissing(InputError):
    """A plugin whose library is not installed: a missing extra (of ours) or package (a stranger's), not a fault."""

    code: ClassVar[str] = "plugin-missing"
    plugin: str
    module: str
    extra: str | None = None

    def __str__(self) -> str:
        return f'"{self.plugin}" needs {self.module}, which is not installed; run: {self.mend}'

    @property
    def mend(self) -> str:
        return f'pip install "mahavishnu[{self.extra}]"' if self.extra else f"pip install {self.module}"


@dataclass(eq=False, kw_only=True)
class PluginBroken(InputError):
    """A plugin that is installed and cannot be loaded: says what broke, so that it is not taken for an absent one."""

    code: ClassVar[str] = "plugin-broken"
    plugin: str
    problem: str

    def __str__(self) -> str:
        return (
            f'"{self.plugin}" is installed but cannot be loaded: {self.problem}; reinstall the package that brings it.'
        )


# -- running a task ----------------------------------------------------------------------------------------------------


class WorkflowError(MahavishnuError):
    """A well-formed task that was not carried out."""

    code = "workflow"


@dataclass(eq=False, kw_only=True)
class NothingEligible(WorkflowError):
    """Admission left no target: `why_not` says for each one why."""

    code: ClassVar[str] = "nothing-eligible"
    task_type: str
    why_not: Mapping[str, str]
    decision_id: str | None = None
    waited_ms: int = 0

    def __str__(self) -> str:
        waited = f" (waited {self.waited_ms / 1000:.1f} s for one to recover)" if self.waited_ms >= 100 else ""
        each = "; ".join(f"{target}: {why}" for target, why in self.why_not.items())
        return f'No target may run "{self.task_type}" now{waited}: {each or "no target is configured"}.'


@dataclass(eq=False, kw_only=True)
class TaskFailed(WorkflowError):
    """Every attempt that could be made was made, and none succeeded: `attempts` says what each one ended as."""

    code: ClassVar[str] = "task-failed"
    decision_id: str
    attempts: Sequence[str]
    stopped: str = "no target is left to try"

    def __str__(self) -> str:
        each = "; ".join(self.attempts) or "no attempt could be started"
        return f"The task failed, {self.stopped}: {each} (mahavishnu executions --decision {self.decision_id})."


@dataclass(eq=False, kw_only=True)
class TaskCancelled(WorkflowError):
    code: ClassVar[str] = "task-cancelled"
    decision_id: str

    def __str__(self) -> str:
        return f"The task of decision {self.decision_id} was cancelled; run it again with the same key to start anew."


# -- the store ---------------------------------------------------------------------------------------------------------


class RepositoryError(MahavishnuError):
    """The store cannot be used, or will not do what was asked of it."""

    code = "repository"


@dataclass(eq=False, kw_only=True)
class StoreUnavailable(RepositoryError):
    code: ClassVar[str] = "store-unavailable"
    url: str
    problem: str

    def __str__(self) -> str:
        return f"The store {self.url} cannot be used: {self.problem}."


@dataclass(eq=False, kw_only=True)
class StoreOutdated(RepositoryError):
    code: ClassVar[str] = "store-outdated"
    url: str
    found: str
    wanted: str

    def __str__(self) -> str:
        return (
            f"The store {self.url} has schema {self.found} and this version needs {self.wanted}; "
            "run: mahavishnu store upgrade"
        )


@dataclass(eq=False, kw_only=True)
class SnapshotConflict(RepositoryError):
    code: ClassVar[str] = "snapshot-conflict"
    version: int

    def __str__(self) -> str:
        return f"Snapshot {self.version} was published by somebody else first; read the newest one and fold again."


# -- adapters ----------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class AdapterError(MahavishnuError):
    """What an adapter may raise from `run`: one of four shapes. The adapter says which; the engine decides what to do.

    `may_have_run` says whether the work may have taken effect although it failed: a task that is not safe to repeat
    goes on to another target only where it is False.
    """

    code: ClassVar[str] = "adapter"
    problem: str
    may_have_run: bool = True

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
    """The caller's error (a bad request, a text too long): it would be refused anywhere, so nothing else is tried."""

    code: ClassVar[str] = "refused"
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


class Contained:
    """Keeps whatever is raised inside it; what follows the `with` runs only after a failure.

    SystemExit and KeyboardInterrupt are kept too: on their way out of an asyncio task they would end the event loop,
    and with it every other run of the process.
    """

    __slots__ = ("failure",)
    failure: BaseException

    def __enter__(self) -> Contained:
        return self

    def __exit__(self, kind: object, failure: BaseException | None, traceback: object) -> bool:
        if failure is not None:
            self.failure = failure
        return True
