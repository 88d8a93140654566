"""The chain behind a first choice: which target has its turn after which."""

from __future__ import annotations

from collections.abc import Sequence


def following(published: Sequence[str], names: Sequence[str], expected: Sequence[float]) -> list[int]:
    """The indexes of the targets in the order of their turns: as published, then the others by their expected utility.

    A recalculation leaves a target without trusted evidence at its rank in the published order, so it keeps that here.

    >>> names = ["a", "b", "c", "d"]
    >>> [names[index] for index in following(("c", "gone", "a"), names, [0.9, 0.1, 0.5, 0.7])]
    ['c', 'a', 'd', 'b']
    """
    ranks = {name: rank for rank, name in enumerate(published)}
    last = len(ranks)
    return sorted(range(len(names)), key=lambda index: (ranks.get(names[index], last), -expected[index]))
