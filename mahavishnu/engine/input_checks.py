"""What callers hand to the orchestrator besides nouns: checked before anything is decided or looked up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from mahavishnu.errors import InvalidTarget, InvalidTask
from mahavishnu.model import Target, Task
from mahavishnu.model.values import Wrong, flag, shown, text, whole

MOST_CONCURRENT = 10_000

_seed = whole(-(2**128), 2**128)
_concurrency = whole(1, MOST_CONCURRENT)


def task_of(given: object) -> Task:
    if not issubclass(type(given), Task):
        raise InvalidTask(
            field="class",
            problem=f'must be mahavishnu.model.Task, such as Task(type="etl", text="x"), not {shown(given)}',
        )
    return cast("Task", given)


def tasks_of(given: Iterable[Any]) -> Iterable[Any]:
    if not issubclass(type(given), Iterable):
        raise InvalidTask(field="list", problem=f"must be an iterable of tasks, not {shown(given)}")
    return given


def target_of(given: object) -> Target:
    if not issubclass(type(given), Target):
        problem = f"must be mahavishnu.model.Target, not {shown(given)}"
        raise InvalidTarget(target=shown(given), field="class", problem=problem)
    return cast("Target", given)


def targets_of(given: object) -> list[Target]:
    if not issubclass(type(given), list | tuple):
        raise InvalidTarget(target=shown(given), field="list", problem="must be a list of targets")
    return [target_of(target) for target in cast("Sequence[object]", given)]


def targets_by_name(given: object) -> dict[str, Target]:
    if not issubclass(type(given), Mapping):
        raise InvalidTarget(target=shown(given), field="table", problem="must be a mapping of names to targets")
    return {name_of(name): target_of(target) for name, target in cast("Mapping[object, object]", given).items()}


def switch_of(target: object, given: object) -> bool:
    try:
        return flag(given)
    except Wrong as wrong:
        raise InvalidTarget(target=name_of(target), field="enabled", problem=str(wrong)) from None


def seed_of(given: object) -> int | None:
    return None if given is None else _checked("seed", _seed, given)


def concurrency_of(given: object) -> int | None:
    return None if given is None else _checked("concurrency", _concurrency, given)


def name_of(given: object) -> str:
    """A name or an id to look up. What is no text stands for itself: it is the name of nothing."""
    return text(given) if issubclass(type(given), str) else shown(given)


def maybe_name_of(given: object) -> str | None:
    return None if given is None else name_of(given)


def _checked(name: str, check: Any, given: object) -> int:
    try:
        return cast("int", check(given))
    except Wrong as wrong:
        raise InvalidTask(field=name, problem=str(wrong)) from None
