"""The root of everything raised on purpose."""

from __future__ import annotations

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


def stopped(sentence: str) -> str:
    """A sentence with one stop at its end, also where its last part brings one.

    >>> stopped("It failed: timed out."), stopped("It failed"), stopped('There is no "b"; did you mean "a"?')
    ('It failed: timed out.', 'It failed.', 'There is no "b"; did you mean "a"?')
    """
    return sentence if sentence.endswith((".", "?", "!", "…")) else f"{sentence}."
