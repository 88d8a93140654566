"""What a function returned, as a Result that can be written down and read again."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from decimal import Decimal
from typing import Any

from pydantic_core import to_jsonable_python

from mahavishnu.errors import Crashed
from mahavishnu.model import Result, Usage
from mahavishnu.model.money import dollars

_MOST = 2**63 - 1
"""The largest whole number that a database column holds."""

_encode = json.JSONEncoder(allow_nan=False).encode


def result_of(returned: object) -> Result:
    """A Result whose every part is sound. Raises Crashed, saying what is wrong and what to return instead."""
    if not isinstance(returned, Result):
        return Result(value=_as_json(returned, ""))
    return replace(
        returned,
        value=_as_json(returned.value, " as value"),
        cost_usd=_cost(returned.cost_usd),
        usage=_usage(returned.usage),
        quality=_quality(returned.quality),
        run_id=_run_id(returned.run_id),
        detail=_detail(returned.detail),
    )


def _as_json(value: object, where: str) -> Any:
    """The value as JSON has it: what the caller gets now is what a later read of the store gives."""
    try:
        try:
            _encode(value)
        except TypeError:
            # Something that JSON does not know, such as a date: pydantic knows most of those.
            if _holds_iterator(value):
                raise TypeError("it can be read only once, and perhaps for ever; make a list of it") from None
        plain = to_jsonable_python(value)
        _encode(plain)
    except (TypeError, ValueError, RecursionError) as problem:
        raise Crashed(
            f"returned {type(value).__name__}{where}, which cannot be written as JSON ({problem}); "
            "return text, numbers, lists, dicts or dataclasses"
        ) from problem
    return plain


def _holds_iterator(value: object) -> bool:
    """Whether there is a generator or the like in it: pydantic would read it to its end, if it has one."""
    waiting, seen = [value], set[int]()
    while waiting:
        each = waiting.pop()
        if isinstance(each, Iterator):
            return True
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, Mapping):
            waiting.extend(each.values())
        elif isinstance(each, list | tuple | set | frozenset | deque):
            waiting.extend(each)
        elif is_dataclass(each) and not isinstance(each, type):
            waiting.extend(getattr(each, field.name) for field in fields(each))
    return False


def _nonsense(field: str, problem: str) -> Crashed:
    return Crashed(f"returned a Result whose {field} {problem}")


def _cost(cost: object) -> Decimal | None:
    if cost is None:
        return None
    if isinstance(cost, bool) or not isinstance(cost, Decimal | int | str | float):
        raise _nonsense("cost_usd", f"is {type(cost).__name__}; give a Decimal, a whole number or text")
    try:
        # A float is taken at its word: 0.1 means ten cents and not 0.1000000000000000055.
        return dollars(str(cost) if isinstance(cost, float) else cost)
    except ValueError as problem:
        raise _nonsense("cost_usd", f"{problem}; give 0 or more dollars, or None where it is not known") from None


def _usage(usage: object) -> Usage:
    if not isinstance(usage, Usage):
        raise _nonsense("usage", f"is {type(usage).__name__}; give a mahavishnu.model.Usage")
    for name in ("input_tokens", "output_tokens", "cached_tokens", "queries"):
        count = getattr(usage, name)
        if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= _MOST:
            raise _nonsense("usage", f"has {name} {count!r:.40}; give a whole number from 0 up")
    for name in ("seconds", "agent_seconds"):
        time_s = getattr(usage, name)
        if isinstance(time_s, bool) or not isinstance(time_s, int | float) or not 0 <= time_s < math.inf:
            raise _nonsense("usage", f"has {name} {time_s!r:.40}; give a number from 0 up")
    return usage


def _quality(quality: object) -> float | None:
    if quality is None:
        return None
    if isinstance(quality, bool) or not isinstance(quality, int | float | Decimal):
        raise _nonsense("quality", f"is {type(quality).__name__}; give a number from 0 to 1")
    if not (math.isfinite(quality) and 0 <= quality <= 1):
        raise _nonsense("quality", f"is {quality}; it must lie between 0 and 1")
    return float(quality)


def _run_id(run_id: object) -> str | None:
    if run_id is not None and not isinstance(run_id, str):
        raise _nonsense("run_id", f"is {type(run_id).__name__}; give text")
    return run_id


def _detail(detail: object) -> Mapping[str, Any]:
    if not isinstance(detail, Mapping):
        raise _nonsense("detail", f"is {type(detail).__name__}; give a dict")
    plain: Mapping[str, Any] = _as_json(detail, " as detail")
    return plain
