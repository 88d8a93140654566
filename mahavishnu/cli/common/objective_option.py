"""The option --objective, and how what was typed for it is read."""

from __future__ import annotations

from typing import Annotated

import typer

from mahavishnu.cli.common.arguments import bad, pairs
from mahavishnu.cli.common.completion import objectives
from mahavishnu.model.objective import Objective, objective_of

ForObjective = Annotated[
    str | None,
    typer.Option(
        "--objective",
        metavar="WORD|WEIGHTS",
        help="What to optimise: success, cost, latency, quality or balanced, or weights such as success=3,cost=1.",
        autocompletion=objectives,
    ),
]


def read_objective(given: str) -> Objective:
    """An objective by its word, or by what each thing counts. Raises InvalidTask.

    >>> str(read_objective("critical")), str(read_objective("success=3,cost=1"))
    ('success', 'success=3,cost=1')
    """
    if "=" not in given:
        return objective_of(given)
    weights: dict[str, float] = {}
    for name, typed in pairs(given.split(","), "--objective").items():
        try:
            weights[name.strip()] = float(typed)
        except ValueError:
            raise bad("--objective", f"{name} must be given a number, such as {name}=3, not {typed:.40}") from None
    return objective_of(weights)
