"""What was asked cannot be meant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mahavishnu.errors.root import MahavishnuError, did_you_mean, stopped
from mahavishnu.redaction import redacted


class InputError(MahavishnuError):
    """What was asked cannot be meant; nothing was run and nothing counts against a target."""

    code = "input"


@dataclass(eq=False, kw_only=True)
class InvalidTask(InputError):
    code: ClassVar[str] = "invalid-task"
    field: str
    problem: str

    def __str__(self) -> str:
        return stopped(f"The task's {self.field} {self.problem}")


@dataclass(eq=False, kw_only=True)
class InvalidTarget(InputError):
    code: ClassVar[str] = "invalid-target"
    target: str
    field: str
    problem: str

    def __str__(self) -> str:
        return stopped(f'Target "{self.target}": {self.field} {self.problem}')


@dataclass(eq=False, kw_only=True)
class InvalidCostModel(InputError):
    code: ClassVar[str] = "invalid-cost-model"
    field: str
    problem: str

    def __str__(self) -> str:
        return stopped(f"The cost model's {self.field} {self.problem}")


@dataclass(eq=False, kw_only=True)
class InvalidOutcome(InputError):
    code: ClassVar[str] = "invalid-outcome"
    problem: str

    def __str__(self) -> str:
        return stopped(f"The outcome {self.problem}")


ADD_A_TARGET = "mahavishnu targets add NAME --run MODULE:FUNCTION --task-type TYPE"


@dataclass(eq=False, kw_only=True)
class UnknownName(InputError):
    """A name that nothing carries; `kind` says of what: a target, a task type, a policy, a decision, …

    `see` is the command that shows what there is, or `ADD_A_TARGET` where there is no target at all. `forcible`: the
    command takes the name all the same with --force, for what is to come later.
    """

    code: ClassVar[str] = "unknown-name"
    kind: str
    name: str
    nearest: str | None = None
    see: str | None = None
    forcible: bool = False

    def __str__(self) -> str:
        hint = did_you_mean(self.nearest)
        if self.see == ADD_A_TARGET:
            hint = f"; there is no target yet, add one: {self.see}"
        elif not hint:
            hint = f"; {self.see} shows what there is." if self.see else "."
        force = " Where it is to come later, add --force." if self.forcible else ""
        return f'There is no {self.kind} "{self.name}"{hint}{force}'


@dataclass(eq=False, kw_only=True)
class TargetExists(InputError):
    code: ClassVar[str] = "target-exists"
    target: str
    where: str

    def __str__(self) -> str:
        return f'Target "{self.target}" already exists in {self.where}; choose another name, or remove that one first.'


@dataclass(eq=False, kw_only=True)
class TargetChanged(InputError):
    """Another process has changed it since it was read."""

    code: ClassVar[str] = "target-changed"
    target: str

    def __str__(self) -> str:
        return f'Target "{self.target}" was changed by another process meanwhile; run the same command again.'


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
class TargetIsEditedInFile(TargetIsConfigured):
    """One that the configuration file declares is as that file says."""

    code: ClassVar[str] = "target-is-edited-in-file"

    def __str__(self) -> str:
        return f'Target "{self.target}" is declared in {self.where}; edit [targets.{self.target}] there.'


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

    def __post_init__(self) -> None:
        self.problem = redacted(self.problem)

    def __str__(self) -> str:
        return stopped(f"{self.where}: {self.problem}")


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

    def __post_init__(self) -> None:
        self.problem = redacted(self.problem)

    def __str__(self) -> str:
        return (
            f'"{self.plugin}" is installed but cannot be loaded: {self.problem}; reinstall the package that brings it.'
        )


@dataclass(eq=False, kw_only=True)
class PolicyFailed(InputError):
    """A policy that raised, or that gave no ranking: the fault is in the package that brings it."""

    code: ClassVar[str] = "policy-failed"
    policy: str
    problem: str

    def __post_init__(self) -> None:
        self.problem = redacted(self.problem)

    def __str__(self) -> str:
        return (
            f'The policy "{self.policy}" failed: {self.problem}. Nothing was run. Correct the policy, or choose '
            "another one ([routing] policy in the configuration)."
        )


@dataclass(eq=False, kw_only=True)
class InvalidBudget(InputError):
    code: ClassVar[str] = "invalid-budget"
    budget: str
    problem: str

    def __str__(self) -> str:
        return stopped(f'Budget "{self.budget}": {self.problem}')


@dataclass(eq=False, kw_only=True)
class InvalidExperiment(InputError):
    """`experiment` is empty where a part of one is wrong by itself: a guardrail, a change, a step of a ramp."""

    code: ClassVar[str] = "invalid-experiment"
    experiment: str
    problem: str

    def __str__(self) -> str:
        named = f'Experiment "{self.experiment}"' if self.experiment else "Experiment"
        return stopped(f"{named}: {self.problem}")


@dataclass(eq=False, kw_only=True)
class ExperimentExists(InputError):
    """A name is never used twice: what was recorded under it would be read as one experiment's."""

    code: ClassVar[str] = "experiment-exists"
    experiment: str
    status: str

    def __str__(self) -> str:
        return (
            f'Experiment "{self.experiment}" already exists ({self.status}), and a name is never used again; '
            "choose another one."
        )


@dataclass(eq=False, kw_only=True)
class ExperimentMoved(InputError):
    """It cannot go where it was to go from where it is."""

    code: ClassVar[str] = "experiment-moved"
    experiment: str
    status: str
    wanted: str

    def __str__(self) -> str:
        return (
            f'Experiment "{self.experiment}" is {self.status} and cannot become {self.wanted}; '
            f'see "mahavishnu experiments status {self.experiment}".'
        )
