"""What an adapter handed back or raised, as something that can be recorded and read again."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, cast

from mahavishnu.errors import (
    AdapterError,
    AuthenticationError,
    AuthorizationError,
    Cancelled,
    Contained,
    Crashed,
    Misconfigured,
    Refused,
    Throttled,
    TimedOut,
    Transient,
    Unsuitable,
)
from mahavishnu.model import Chunk, Result, Usage
from mahavishnu.model.values import (
    ANYWAY,
    MOST,
    Check,
    Wrong,
    amount,
    flag,
    maybe,
    number,
    read_back,
    settled,
    share,
    text,
    whole,
    written,
)
from mahavishnu.redaction import excerpt

LONGEST_WORDS = 2000
"""How much of an error's text is kept."""

LONGEST_REST_S = 7 * 86_400.0

_KINDS: tuple[type[AdapterError], ...] = (
    Throttled,
    Transient,
    Refused,
    Unsuitable,
    TimedOut,
    AuthenticationError,
    AuthorizationError,
    Misconfigured,
    Cancelled,
    Crashed,
)
"""What an adapter may raise; a class comes before the one that it is a case of."""


def result_of(given: Any, max_value_bytes: int) -> Result:
    """A Result whose every part is sound. Raises Crashed, saying what is wrong with it."""
    if not issubclass(type(given), Result):
        raise Crashed(f"returned {type(given).__name__} and not a Result")
    try:
        value = _value(given.value, max_value_bytes)
    except Wrong as wrong:
        raise Crashed(f"returned a value that {wrong}") from None
    try:
        changed = settled(given, _RESULT_CHECKS)
    except Wrong as wrong:
        raise Crashed(f"returned a Result whose {wrong.field} {wrong}") from None
    if value is not given.value:
        changed["value"] = value
    return cast("Result", replace(given, **changed) if changed else given)


def chunk_of(given: Any) -> Chunk:
    """A Chunk whose every part is sound. Raises Crashed."""
    if not issubclass(type(given), Chunk):
        raise Crashed(f"streamed {type(given).__name__} and not a Chunk or a Result")
    try:
        changed = settled(given, _CHUNK_CHECKS)
    except Wrong as wrong:
        raise Crashed(f"streamed a Chunk whose {wrong.field} {wrong}") from None
    return cast("Chunk", replace(given, **changed) if changed else given)


def error_of(failure: BaseException) -> AdapterError:
    """What was raised, as one of the shapes that the engine knows what to do with."""
    if not isinstance(failure, AdapterError):
        return _caused(Crashed(excerpt(f"{type(failure).__name__}: {_words_of(failure)}", 500)), failure)
    with Contained():
        if _is_sound(failure):
            return failure
    return _caused(_rebuilt(failure), failure)


def _caused(error: AdapterError, failure: BaseException) -> AdapterError:
    error.__cause__ = failure
    return error


def _words_of(failure: BaseException) -> str:
    with Contained():
        return text(str(failure))[:LONGEST_WORDS]
    return "(its message cannot be read)"


def _is_sound(error: Any) -> bool:
    rest_s = error.retry_after_s if isinstance(error, Transient) else None
    return (
        type(str(error)) is str
        and len(str(error)) <= LONGEST_WORDS
        and type(error.code) is str
        and type(error.may_have_run) is bool
        and (rest_s is None or _rest(rest_s) == rest_s)
    )


def _rebuilt(error: Any) -> AdapterError:
    """The same in one of our own classes, with what of it can be used."""
    kind = next((kind for kind in _KINDS if isinstance(error, kind)), Crashed)
    kept: dict[str, Any] = {"may_have_run": getattr(error, "may_have_run", True) is not False}
    if issubclass(kind, Transient):
        kept["retry_after_s"] = None
        with Contained():
            kept["retry_after_s"] = _rest(error.retry_after_s)
    return kind(_words_of(error), **kept)


def _rest(given: object) -> float:
    return min(number(0)(given), LONGEST_REST_S)


def _value(given: Any, max_value_bytes: int) -> Any:
    """The value as JSON has it: what the caller gets now is what a later read of the store gives."""
    as_json = written(given)
    if len(as_json) > max_value_bytes:
        raise Wrong(
            f"takes {len(as_json)} bytes, above limits.max_value_bytes {max_value_bytes}; return a reference instead"
        )
    if given is None or type(given) in (bool, int, float):
        return given
    return text(given) if type(given) is str else read_back(as_json)


def _usage(given: Any) -> Usage:
    if not issubclass(type(given), Usage):
        raise Wrong(f"is of type {type(given).__name__}; give a mahavishnu.model.Usage")
    try:
        changed = settled(given, _USAGE_CHECKS)
    except Wrong as wrong:
        raise Wrong(f"has {wrong.field}: it {wrong}") from None
    return cast("Usage", replace(given, **changed) if changed else given)


_USAGE_CHECKS: tuple[tuple[str, object, Check], ...] = tuple(
    (
        each.name,
        each.default,
        flag if each.name == "estimated" else number(0, MOST) if each.name in ("seconds", "agent_seconds") else whole(),
    )
    for each in fields(Usage)
)
_RESULT_CHECKS: tuple[tuple[str, object, Check], ...] = (
    ("cost_usd", None, amount),
    ("usage", ANYWAY, _usage),
    ("quality", None, share),
    ("run_id", None, maybe(text)),
)
_CHUNK_CHECKS: tuple[tuple[str, object, Check], ...] = (("text", "", text), ("usage", ANYWAY, _usage))
