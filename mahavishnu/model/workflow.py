"""Workflow: tasks with dependencies between them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from difflib import get_close_matches
from graphlib import CycleError, TopologicalSorter
from typing import Any

from mahavishnu.errors import InputError, InvalidTask, SettingsError, did_you_mean
from mahavishnu.model.objective import Objective
from mahavishnu.model.task import LONGEST_MS, NAME, Task
from mahavishnu.model.template import Reference, TemplateError, references, render, render_text

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
        if not _is_name(self.name, STEP_NAME) or self.name == INPUTS:
            problem = f'cannot be called that; use letters, digits, _ and -, at most 60, and not "{INPUTS}"'
            raise invalid_workflow(f"step {self.name!r:.80}", problem)
        object.__setattr__(self, "needs", self._names(self.needs))
        if len(set(self.needs)) < len(self.needs):
            raise self.invalid("names a step in needs twice")
        task = self.task({}, rendered=False)
        # What may be given by a word or as a text is kept as what it means.
        for name in ("max_cost_usd", "objective"):
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
        fields: dict[str, Any] = {
            "type": self.type,
            "capabilities": self.capabilities,
            "target": self.target,
            "exclude": self.exclude,
            "max_latency_ms": self.max_latency_ms,
            "max_cost_usd": self.max_cost_usd,
            "min_success_rate": self.min_success_rate,
            "min_quality": self.min_quality,
            "objective": self.objective,
            "deadline_ms": self.deadline_ms,
            "repeatable": self.repeatable,
            "text": self.text,
            "payload": self.payload,
            **given,
        }
        try:
            if rendered:
                fields |= {"text": render_text(self.text, known), "payload": render(self.payload, known)}
            return Task(**fields)
        except (InvalidTask, TemplateError) as error:
            raise self.invalid(str(error).rstrip(".")) from None

    def _names(self, given: object) -> tuple[str, ...]:
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise self.invalid(f"needs must be a list of steps, not {given!r:.80}")
        return tuple(given)

    def _check(self, reference: Reference) -> None:
        if reference.root == INPUTS:
            return
        if reference.root not in self.needs:
            nearest = did_you_mean(_nearest(reference.root, self.needs))
            mend = nearest or f'; add "{reference.root}" to its needs'
            raise self.invalid(f'uses "{reference}" and does not need "{reference.root}"{mend}')
        if reference.path[0] != "value":
            raise self.invalid(f'uses "{reference}"; what a step brought is "{reference.root}.value"')


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
        object.__setattr__(self, "steps", tuple(self.steps))
        if not _is_name(self.name, NAME):
            raise self.invalid("must have a name of one word of letters, digits and _.:/@-")
        if not self.steps:
            raise self.invalid("has no step; add one, such as [steps.first]")
        if not _is_limit(self.deadline_ms):
            problem = f"must be a whole number of milliseconds, from 1 to {LONGEST_MS} (a week)"
            raise self.invalid(f"deadline_ms {problem}, not {self.deadline_ms!r:.80}")
        for name in self.inputs:
            if not STEP_NAME.fullmatch(name):
                raise self.invalid(f"has an input {name!r:.80}; use letters, digits, _ and -, at most 60")
        _check_json(self, self.inputs)
        self._check_names()
        self._check_order()

    def invalid(self, problem: str) -> InputError:
        return invalid_workflow(f'workflow "{self.name!s:.100}"', problem)

    def step(self, name: str) -> Step:
        return next(each for each in self.steps if each.name == name)

    def with_inputs(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The inputs of one run. Raises InputError where one is missing, or given for nothing."""
        used = {each.path[0] for step in self.steps for each in step.references() if each.root == INPUTS}
        known = used | set(self.inputs)
        for name in given:
            if name not in known:
                hint = did_you_mean(_nearest(name, known)) or f"; it takes {', '.join(sorted(known)) or 'none'}"
                raise self.invalid(f'takes no input "{name}"{hint}')
        inputs = {**self.inputs, **given}
        if missing := sorted(used - set(inputs)):
            mend = f"give it with --input {missing[0]}=…, or a value for all runs in [workflow.inputs]"
            raise self.invalid(f'needs the input "{missing[0]}"; {mend}')
        _check_json(self, inputs)
        return inputs

    def _check_names(self) -> None:
        names = [each.name for each in self.steps]
        for place, step in enumerate(self.steps):
            if step.name in names[:place]:
                raise self.invalid(f'has two steps "{step.name}"; rename one')
            for need in step.needs:
                if need == step.name:
                    raise step.invalid("needs itself")
                if need not in names:
                    hint = did_you_mean(_nearest(need, names)) or f"; there are {', '.join(names)}"
                    raise step.invalid(f'needs "{need}", which is no step{hint}')

    def _check_order(self) -> None:
        try:
            TopologicalSorter({each.name: each.needs for each in self.steps}).prepare()
        except CycleError as error:
            circle = " → ".join(error.args[1])
            raise self.invalid(f"goes in a circle: {circle} (each needs the one before it)") from None


def _check_json(workflow: Workflow, inputs: Mapping[str, Any]) -> None:
    try:
        json.dumps(dict(inputs), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise workflow.invalid(f"has inputs that cannot be written as JSON: {error}") from None


def _is_name(name: object, form: re.Pattern[str]) -> bool:
    return isinstance(name, str) and form.fullmatch(name) is not None


def _is_limit(limit: object) -> bool:
    """Whether it can bound something: None, or a time that is not absurd."""
    return limit is None or (isinstance(limit, int) and not isinstance(limit, bool) and 0 < limit <= LONGEST_MS)


def _nearest(word: str, known: Iterable[str]) -> str | None:
    return next(iter(get_close_matches(word, list(known), n=1)), None)
