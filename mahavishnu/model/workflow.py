"""Workflow: tasks with dependencies between them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from graphlib import CycleError, TopologicalSorter
from typing import Any

from mahavishnu.errors import InputError, InvalidTask, SettingsError, did_you_mean, nearest_name
from mahavishnu.model.objective import Objective
from mahavishnu.model.task import Task, milliseconds, word
from mahavishnu.model.template import Reference, TemplateError, references, render, render_text
from mahavishnu.model.values import ANYWAY, Wrong, listed, of_kind, settle, shown, table, text, texts

INPUTS = "inputs"
"""The name under which templates find what the workflow was given."""

STEP_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,59}")
"""What steps and inputs may be called: a word that a template can name."""


def invalid_workflow(where: str, problem: str) -> InputError:
    """What is raised for a workflow that cannot be meant, before anything of it runs."""
    return SettingsError(where=where, problem=problem)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One task of a workflow. Its text, and the strings of its payload, may hold templates.

    `needs` names the steps that must have succeeded before; templates may name only these, and the inputs.
    """

    name: str
    type: str
    text: str = ""
    payload: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    capabilities: frozenset[str] = frozenset()
    target: str | None = None
    exclude: frozenset[str] = frozenset()
    max_latency_ms: int | None = None
    max_cost_usd: Decimal | None = None
    min_success_rate: float | None = None
    min_quality: float | None = None
    objective: Objective | None = None
    deadline_ms: int | None = None
    repeatable: bool = True

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "name", _step_name(self.name))
        except Wrong:
            problem = f'cannot be called that; use letters, digits, _ and -, at most 60, and not "{INPUTS}"'
            raise invalid_workflow(f"step {shown(self.name)}", problem) from None
        object.__setattr__(self, "needs", self._names(self.needs))
        if len(set(self.needs)) < len(self.needs):
            raise self.invalid("names a step in needs twice")
        task = self.task({}, rendered=False)
        # What may be given by a word or as a text is kept as what it means.
        for name in _OF_A_TASK:
            object.__setattr__(self, name, getattr(task, name))
        for each in self.references():
            self._check(each)

    def invalid(self, problem: str) -> InputError:
        return invalid_workflow(f'step "{self.name}"', problem)

    def references(self) -> Iterator[Reference]:
        try:
            yield from (*references(self.text), *references(self.payload))
        except TemplateError as error:
            raise self.invalid(str(error)) from None

    def task(self, known: Mapping[str, Any], *, rendered: bool = True, **given: Any) -> Task:
        """The task, with what its templates name taken from `known`; raises InputError where that cannot be."""
        fields: dict[str, Any] = {**{name: getattr(self, name) for name in _OF_A_TASK}, **given}
        try:
            if rendered:
                fields |= {"text": render_text(self.text, known), "payload": render(self.payload, known)}
            return Task(**fields)
        except (InvalidTask, TemplateError) as error:
            raise self.invalid(str(error).rstrip(".")) from None

    def _names(self, given: object) -> tuple[str, ...]:
        try:
            return _needs(given)
        except Wrong as wrong:
            raise self.invalid(f"needs {wrong}") from None

    def _check(self, reference: Reference) -> None:
        if reference.root == INPUTS:
            return
        if reference.root not in self.needs:
            nearest = did_you_mean(nearest_name(reference.root, self.needs))
            mend = nearest or f'; add "{reference.root}" to its needs'
            raise self.invalid(f'uses "{reference}" and does not need "{reference.root}"{mend}')
        if reference.path[0] != "value":
            raise self.invalid(f'uses "{reference}"; what a step brought is "{reference.root}.value"')


_needs = listed(text, "a list of steps")

_OF_A_TASK = tuple(each.name for each in fields(Step) if each.name not in ("name", "needs"))
"""What a step says of its task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """Steps, each of them routed by itself. `inputs` are what it is given where nobody gives anything else.

    `deadline_ms` bounds one start of the whole; `tags` are put on every task.
    """

    name: str
    steps: tuple[Step, ...]
    inputs: Mapping[str, Any] = field(default_factory=dict)
    deadline_ms: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        settle(self, _CHECKS, self._wrong)
        if not self.steps:
            raise self.invalid("has no step; add one, such as [steps.first]")
        for name in self.inputs:
            if not STEP_NAME.fullmatch(name):
                raise self.invalid(f"has an input {name!r:.80}; use letters, digits, _ and -, at most 60")
        self._check_names()
        self._check_order()

    def invalid(self, problem: str) -> InputError:
        carried = self.name if type(self.name) is str else shown(self.name)
        return invalid_workflow(f'workflow "{carried:.100}"', problem)

    def _wrong(self, field: str, problem: str) -> InputError:
        begins = {"name": "has a name that", "inputs": "has inputs that"}
        return self.invalid(f"{begins.get(field, field)} {problem}")

    def step(self, name: str) -> Step:
        return next(each for each in self.steps if each.name == name)

    def with_inputs(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The inputs of one run. Raises InputError where one is missing, or given for nothing."""
        used = {each.path[0] for step in self.steps for each in step.references() if each.root == INPUTS}
        known = used | set(self.inputs)
        given = self._json(given)
        for name in given:
            if name not in known:
                hint = did_you_mean(nearest_name(name, known)) or f"; it takes {', '.join(sorted(known)) or 'none'}"
                raise self.invalid(f'takes no input "{name}"{hint}')
        inputs = {**self.inputs, **given}
        if missing := sorted(used - set(inputs)):
            mend = f"give it with --input {missing[0]}=…, or a value for all runs in [workflow.inputs]"
            raise self.invalid(f'needs the input "{missing[0]}"; {mend}')
        return inputs

    def _json(self, inputs: object) -> dict[str, Any]:
        try:
            return table(inputs)
        except Wrong as wrong:
            raise self._wrong("inputs", str(wrong)) from None

    def _check_names(self) -> None:
        names = [each.name for each in self.steps]
        for place, step in enumerate(self.steps):
            if step.name in names[:place]:
                raise self.invalid(f'has two steps "{step.name}"; rename one')
            for need in step.needs:
                if need == step.name:
                    raise step.invalid("needs itself")
                if need not in names:
                    hint = did_you_mean(nearest_name(need, names)) or f"; there are {', '.join(names)}"
                    raise step.invalid(f'needs "{need}", which is no step{hint}')

    def _check_order(self) -> None:
        try:
            TopologicalSorter({each.name: each.needs for each in self.steps}).prepare()
        except CycleError as error:
            circle = " → ".join(error.args[1])
            raise self.invalid(f"goes in a circle: {circle} (each needs the one before it)") from None


def _step_name(given: object) -> str:
    name = text(given)
    if name == INPUTS or not STEP_NAME.fullmatch(name):
        raise Wrong("is none")
    return name


_CHECKS = (
    ("name", ANYWAY, word),
    (
        "steps",
        ANYWAY,
        listed(of_kind(Step, "a Step"), 'a list of steps such as (Step(name="a", type="etl", text="x"),)'),
    ),
    ("inputs", ANYWAY, table),
    ("deadline_ms", None, milliseconds),
    ("tags", ANYWAY, texts),
)
