"""Demands: what a task may ask of whoever runs it, as options of a command."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

import typer

from mahavishnu.cli import amounts
from mahavishnu.cli.arguments import bad, pairs
from mahavishnu.cli.completion import objectives
from mahavishnu.model.money import to_usd
from mahavishnu.model.objective import Objective, objective_of

MaxLatency = Annotated[
    int | None, typer.Option("--max-latency-ms", help="No target that is known to be slower, by its p95.")
]
MaxCost = Annotated[
    str | None,
    typer.Option(
        "--max-cost", metavar="USD", help="No target that is known to cost more; it also bounds all attempts together."
    ),
]
MinSuccessRate = Annotated[
    float | None, typer.Option("--min-success-rate", help="No target that is known to succeed less often; 0 to 1.")
]
MinQuality = Annotated[
    float | None, typer.Option("--min-quality", help="No target that is known to be worse, by its ratings; 0 to 1.")
]
ForObjective = Annotated[
    str | None,
    typer.Option(
        "--objective",
        metavar="WORD|WEIGHTS",
        help="What counts: success, cost, latency, quality, balanced, or such as success=3,cost=1.",
        autocompletion=objectives,
    ),
]
Deadline = Annotated[int | None, typer.Option("--deadline-ms", help="How long the whole task may take.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Demands:
    """What was typed of them; reading them raises a usage error."""

    max_latency_ms: int | None
    max_cost: str | None
    min_success_rate: float | None
    min_quality: float | None
    objective: str | None
    deadline_ms: int | None

    @property
    def max_cost_usd(self) -> Decimal | None:
        return None if self.max_cost is None else to_usd(amounts.micros(self.max_cost, "--max-cost"))

    @property
    def weights(self) -> Objective | None:
        return None if self.objective is None else read_objective(self.objective)


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
