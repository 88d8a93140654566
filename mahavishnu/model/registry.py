"""Functions that were declared as targets with a decorator; the local adapter reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, TypeVar

from mahavishnu.errors import InvalidTarget
from mahavishnu.model.money import dollars
from mahavishnu.model.target import CostModel, Target

ISOLATED = "isolated"
"""The option of a target that is given an event loop of its own, in a thread of its own."""

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Registered:
    target: Target
    function: Callable[..., Any]


_registered: dict[str, Registered] = {}


def target(
    *,
    task_types: Iterable[str],
    name: str | None = None,
    capabilities: Iterable[str] = (),
    cost_per_run: Decimal | int | float | str = "0",
    timeout_ms: int | None = None,
    isolated: bool = False,
) -> Callable[[F], F]:
    """Register a function as a target of its own name, and leave it as it is.

    `isolated` gives each of its runs an event loop of its own, in a thread of its own.

    Registering a name again replaces it, as when a module is reloaded. Raises InvalidTarget, also where another module
    has the name.

    >>> @target(task_types=["greeting"])
    ... def greet(name):
    ...     return f"Hello {name}"
    >>> greet("Ann")
    'Hello Ann'
    """

    def register(function: F) -> F:
        made = _target(function, task_types, name, capabilities, cost_per_run, timeout_ms)
        if isolated:
            made = replace(made, options={ISOLATED: True})
        before = _registered.get(made.name)
        if before is not None and before.function.__module__ != function.__module__:
            raise InvalidTarget(
                target=made.name,
                field="name",
                problem=f"is taken by {before.target.run}; register one of the two as @target(name=...)",
            )
        _registered[made.name] = Registered(made, function)
        return function

    return register


def _target(
    function: Callable[..., Any],
    task_types: Iterable[str],
    name: str | None,
    capabilities: Iterable[str],
    cost_per_run: Decimal | int | float | str,
    timeout_ms: int | None,
) -> Target:
    # A partial or an instance has no name of its own.
    own_name = getattr(function, "__name__", type(function).__name__)
    qualname = getattr(function, "__qualname__", own_name)
    name = own_name if name is None else name
    try:
        per_run_usd = dollars(str(cost_per_run))
    except ValueError as problem:
        raise InvalidTarget(target=name, field="cost_per_run", problem=str(problem)) from None
    return Target(
        name=name,
        adapter="local",
        run=f"{function.__module__}:{qualname}",
        task_types=_words(task_types),
        capabilities=_words(capabilities),
        cost_model=CostModel(per_run_usd=per_run_usd),
        timeout_ms=timeout_ms,
        place=len(_registered),
    )


def _words(given: Iterable[str]) -> frozenset[str]:
    return frozenset({given} if isinstance(given, str) else given)


def registered_targets() -> tuple[Target, ...]:
    return tuple(each.target for each in _registered.values())


def registered_function(wanted: Target) -> Callable[..., Any] | None:
    """The very function that was registered, which an import may not find: a closure, or one of `__main__`."""
    found = _registered.get(wanted.name)
    return found.function if found is not None and found.target.run == wanted.run else None
