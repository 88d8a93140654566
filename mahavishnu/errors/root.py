"""The root of everything raised on purpose."""

from __future__ import annotations

from collections.abc import Iterable
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


def nearest_name(word: str, known: Iterable[str]) -> str | None:
    """The known name that a word is most likely a slip of, if it can be one: a letter in three may differ.

    >>> nearest_name("sumarise", ["etl", "summarise"]), nearest_name("recalc", ["recalculate"])
    ('summarise', 'recalculate')
    >>> nearest_name("nope", ["openai", "local"]), nearest_name("same", ["same"])
    (None, None)
    """
    given, slips = word.casefold(), []
    for name in known:
        other = name.casefold()
        shorter, longer = sorted((len(given), len(other)))
        if name == word or not shorter:
            continue
        may_differ = (longer + 1) // 3 if shorter >= _SHORTEST else 0
        if longer - shorter <= may_differ and (steps := _steps(given, other)) <= may_differ:
            slips.append((steps, name))
        elif other.startswith(given) or given.startswith(other):
            slips.append((longer, name))
    return min(slips)[1] if slips else None


_SHORTEST = 3
"""Of fewer letters any other word would be a slip."""


def _steps(one: str, other: str) -> int:
    """How many letters have to be put in, left out, exchanged, or swapped with the next, to make one of the other."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for index, letter in enumerate(one, start=1):
        before, last, row = row, before, [index]
        for place, same in enumerate(other, start=1):
            cost = min(before[place] + 1, row[place - 1] + 1, before[place - 1] + (letter != same))
            swapped = index > 1 and place > 1 and letter == other[place - 2] and one[index - 2] == same
            row.append(min(cost, last[place - 2] + 1) if swapped else cost)
    return row[-1]
