"""Finding adapters, policies and schedulers by their entry points, and building them from their settings."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError

from mahavishnu.errors import PluginBroken, PluginMissing, SettingsError, UnknownName, nearest_name
from mahavishnu.errors.wording import in_plain_words
from mahavishnu.ports import Adapter, Policy, Scheduler

P = TypeVar("P")

ADAPTERS = "mahavishnu.adapters"
POLICIES = "mahavishnu.policies"
SCHEDULERS = "mahavishnu.schedulers"

_OURS = "mahavishnu"


def available_adapters() -> dict[str, EntryPoint]:
    """Every installed adapter by its name; `.dist` says which distribution brings it. Loads none of them."""
    return _available(ADAPTERS)


def available_policies() -> dict[str, EntryPoint]:
    """Every installed policy by its name; `.dist` says which distribution brings it. Loads none of them."""
    return _available(POLICIES)


def available_schedulers() -> dict[str, EntryPoint]:
    """Every installed scheduler by its name; `.dist` says which distribution brings it. Loads none of them."""
    return _available(SCHEDULERS)


def load_adapter(name: str) -> Callable[..., Adapter]:
    """What makes the adapter: its class, as a rule. Raises UnknownName, PluginMissing or PluginBroken."""
    factory: Callable[..., Adapter] = _load("adapter", name, available_adapters())
    return factory


def load_policy(name: str) -> Callable[..., Policy]:
    """What makes the policy: its class, as a rule. Raises UnknownName, PluginMissing or PluginBroken."""
    factory: Callable[..., Policy] = _load("policy", name, available_policies())
    return factory


def load_scheduler(name: str) -> Callable[..., Scheduler]:
    """What makes the scheduler: its class, as a rule. Raises UnknownName, PluginMissing or PluginBroken."""
    factory: Callable[..., Scheduler] = _load("scheduler", name, available_schedulers())
    return factory


def make(factory: Callable[..., P], options: Mapping[str, Any], where: str) -> P:
    """Build a plugin from its table of settings: the options are the parameters of its constructor.

    `where` names the table in what is raised: SettingsError, for the first option that is unknown, missing or wrong.
    Its value is never repeated there, since it may be a secret.

    >>> from mahavishnu.policies.preference import Preference
    >>> make(Preference, {"order": ["etl-b"]}, "[policies.preference]").order
    ('etl-b',)
    >>> make(Preference, {"odrer": ["etl-b"]}, "[policies.preference]")
    Traceback (most recent call last):
    mahavishnu.errors.inputs.SettingsError: [policies.preference]: unknown option "odrer" (did you mean "order"?).
    """
    known, open_ended = _options(factory)
    for name in options:
        if name not in known and not open_ended:
            raise SettingsError(where=where, problem=f'unknown option "{name}"{_instead(name, list(known))}')
    for name, parameter in known.items():
        if name not in options and parameter.default is inspect.Parameter.empty:
            raise SettingsError(where=where, problem=f'option "{name}" is missing')
    hints = _hints(factory)
    try:
        return factory(**{name: _checked(name, value, hints.get(name, Any), where) for name, value in options.items()})
    except ValidationError as problem:
        raise SettingsError(where=where, problem=f"its options{_first(problem)}") from None
    except ValueError as problem:
        raise SettingsError(where=where, problem=str(problem)) from problem


def _available(group: str) -> dict[str, EntryPoint]:
    return _found(group, tuple(sys.path))


@lru_cache
def _found(group: str, path: tuple[str, ...]) -> dict[str, EntryPoint]:
    """Looking through every installed distribution is slow, and what is installed changes only with the path."""
    del path

    # Of two that share a name the last one stays, and our own come last: nobody takes over a built-in by accident.
    def rank(entry: EntryPoint) -> tuple[str, bool, str]:
        return entry.name, _brought_by(entry) == _OURS, _brought_by(entry)

    return {entry.name: entry for entry in sorted(entry_points(group=group), key=rank)}


def _brought_by(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else entry.module


def _load(kind: str, name: str, available: Mapping[str, EntryPoint]) -> Any:
    entry = available.get(name)
    if entry is None:
        nearest = nearest_name(name, available)
        raise UnknownName(kind=kind, name=name, nearest=nearest, see="mahavishnu doctor")
    try:
        loaded = entry.load()
    except ModuleNotFoundError as problem:
        raise _absent(entry, problem) from problem
    except KeyboardInterrupt:
        raise
    except BaseException as problem:
        raise _broken(entry, f"{type(problem).__name__}: {problem}") from problem
    if not callable(loaded):
        raise _broken(entry, f"{entry.value} is {type(loaded).__name__} and cannot be called")
    return loaded


def _absent(entry: EntryPoint, problem: ModuleNotFoundError) -> PluginMissing | PluginBroken:
    """A library that is not installed is told apart from a plugin that lacks a part of itself."""
    own, _, _ = entry.module.partition(".")
    module, _, _ = (problem.name or own).partition(".")
    if module == own:
        return _broken(entry, f"{type(problem).__name__}: {problem}")
    return PluginMissing(plugin=entry.name, module=module, extra=entry.name if _brought_by(entry) == _OURS else None)


def _broken(entry: EntryPoint, problem: str) -> PluginBroken:
    return PluginBroken(plugin=entry.name, problem=f"{problem} (from {_brought_by(entry)})")


def _options(factory: Callable[..., Any]) -> tuple[dict[str, inspect.Parameter], bool]:
    """The parameters that settings may fill, and whether it takes others besides."""
    parameters = inspect.signature(factory).parameters
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    known = {name: each for name, each in parameters.items() if each.kind in by_name}
    return known, any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values())


def _hints(factory: Callable[..., Any]) -> dict[str, Any]:
    annotated = factory.__init__ if inspect.isclass(factory) else factory
    try:
        return get_type_hints(annotated, include_extras=True)
    except NameError as problem:
        raise PluginBroken(plugin=_name_of(factory), problem=f"the types of its options: {problem}") from problem


def _checked(name: str, value: Any, hint: Any, where: str) -> Any:
    try:
        return TypeAdapter(hint).validate_python(value)
    except ValidationError as problem:
        raise SettingsError(where=where, problem=f'option "{name}"{_first(problem)}') from None


def _first(problem: ValidationError) -> str:
    """The first thing that is wrong, without the value: it may be a secret."""
    first = problem.errors(include_input=False, include_url=False)[0]
    place = "".join(f"[{part}]" for part in first["loc"])
    return f"{place} {in_plain_words(first['msg'])}"


def _instead(name: str, known: list[str]) -> str:
    nearest = nearest_name(name, known)
    if nearest:
        return f' (did you mean "{nearest}"?)'
    return f"; it has {', '.join(known)}" if known else "; it has no options"


def _name_of(factory: Callable[..., Any]) -> str:
    return getattr(factory, "__name__", type(factory).__name__)
