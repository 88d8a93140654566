"""The calling convention: what a function is given, decided once by its parameters."""

from __future__ import annotations

import copy
import inspect
import time
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from inspect import Parameter
from typing import Any, Union, get_args, get_origin

from mahavishnu.errors import Misconfigured
from mahavishnu.model import Result, Task

Source = Callable[[Task, float | None], Any]
"""Where an argument comes from: the task, and the moment (`time.monotonic`) when its time is up."""

_TASK_IN_WORDS = frozenset({"Task", "model.Task", "mahavishnu.model.Task"})


def _task(task: Task, until_s: float | None) -> Task:
    del until_s
    return task


def _text(task: Task, until_s: float | None) -> str:
    del until_s
    return task.text


def _payload(task: Task, until_s: float | None) -> Any:
    """A copy: what a function does to it must not be seen by the next attempt."""
    del until_s
    return copy.deepcopy(task.payload)


def _deadline_s(task: Task, until_s: float | None) -> float | None:
    del task
    return None if until_s is None else max(0.0, until_s - time.monotonic())


_BY_NAME: Mapping[str, Source] = {"task": _task, "text": _text, "payload": _payload, "deadline_s": _deadline_s}


@dataclass(frozen=True, slots=True)
class Function:
    """Something to call, whether calling it must happen on the event loop, and what it is given."""

    callable: Callable[..., Any]
    is_async: bool
    positional: tuple[Source, ...]
    named: tuple[tuple[str, Source], ...]

    def call(self, task: Task, until_s: float | None) -> object:
        return self.callable(
            *[source(task, until_s) for source in self.positional],
            **{name: source(task, until_s) for name, source in self.named},
        )


class Timed:
    """A call, and how long it ran: waiting for a thread to be free is no part of that."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call
        self._began_s: float | None = None

    def __call__(self) -> object:
        self._began_s = time.perf_counter()
        return self._call()

    def counted(self, result: Result) -> Result:
        """The result with the seconds up to now in its usage, unless the function has said itself how many it used."""
        if result.usage.seconds or self._began_s is None:
            return result
        seconds = time.perf_counter() - self._began_s
        return replace(result, usage=replace(result.usage, seconds=seconds))


def function_of(function: Callable[..., Any], run: str) -> Function:
    """How to call it. Raises Misconfigured where it wants something that a task does not have.

    >>> from mahavishnu.model import Task
    >>> function_of(lambda s: s.upper(), "m:f").call(Task(type="t", text="hello"), None)
    'HELLO'
    """
    parameters = _parameters(function)
    if parameters is None:
        return Function(function, _is_async(function), (_text,), ())
    positional: list[Source] = []
    named: list[tuple[str, Source]] = []
    gap = False
    for place, parameter in enumerate(parameters):
        source = _source(parameter, first=place == 0)
        if source is None and parameter.default is Parameter.empty:
            raise Misconfigured(
                f'"{run}" has a parameter "{parameter.name}" that a task does not fill; give it a default, or name it '
                f"{', '.join(_BY_NAME)}"
            )
        if source is None and parameter.kind is Parameter.POSITIONAL_ONLY:
            source = _constant(parameter.default)
        if source is None:
            gap = True
        elif gap or parameter.kind is Parameter.KEYWORD_ONLY:
            named.append((parameter.name, source))
        else:
            positional.append(source)
    return Function(function, _is_async(function), tuple(positional), tuple(named))


def _parameters(function: Callable[..., Any]) -> list[Parameter] | None:
    """The parameters that matter; None for a builtin that does not tell."""
    try:
        found = list(_signature(function).parameters.values())
    except ValueError:
        return None
    # A function that takes anything is given the text, unless it names what it wants before that.
    takes_any = bool(found) and found[0].kind is Parameter.VAR_POSITIONAL
    starred = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
    return [each for each in found if each.kind not in starred or (takes_any and each is found[0])]


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(function, eval_str=True)
    except (NameError, AttributeError, SyntaxError, TypeError):
        # Annotations that only a type checker can read: their words must do.
        return inspect.signature(function)


def _source(parameter: Parameter, *, first: bool) -> Source | None:
    if _is_task(parameter.annotation):
        return _task
    if parameter.name in _BY_NAME:
        return _BY_NAME[parameter.name]
    return _text if first and parameter.kind is not Parameter.KEYWORD_ONLY else None


def _constant(value: Any) -> Source:
    return lambda _task, _until_s: value


def _is_task(annotation: Any) -> bool:
    if isinstance(annotation, str):
        return annotation.removesuffix("| None").strip() in _TASK_IN_WORDS
    if get_origin(annotation) in (Union, types.UnionType):
        return Task in get_args(annotation)
    return annotation is Task


def _is_async(function: Callable[..., Any]) -> bool:
    while isinstance(function, partial):
        function = function.func
    # An instance of a class with an async __call__ is no coroutine function itself.
    return any(inspect.iscoroutinefunction(each) for each in (function, type(function).__call__))
