"""Chains: which target has its turn after which."""

from __future__ import annotations

from collections.abc import Sequence

from mahavishnu.model import Candidate, Ranked, Ranking
from mahavishnu.policies.explain import figures


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


def undrawn(ordered: Sequence[Candidate], order: str, component: str) -> Ranking:
    """The ranking of a policy that draws nothing: the first candidate is certain. `order` names what it goes by."""
    first = ordered[0]
    return Ranking(
        chain=tuple(
            Ranked(
                candidate=candidate,
                probability=0.0 if index else 1.0,
                score=float(len(ordered) - index),
                components={component: index + 1},
            )
            for index, candidate in enumerate(ordered)
        ),
        why=f"first in the {order} order; {figures(first)}",
        confidence=first.estimate.wilson_lo,
        confidence_kind="wilson_lower_95",
    )
