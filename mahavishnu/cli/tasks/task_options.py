"""One task as it is typed: its text and its options, and the Task that they make."""

from __future__ import annotations

from typing import Annotated

import typer

from mahavishnu.cli.common import amounts, arguments
from mahavishnu.cli.common.completion import target_names, task_types
from mahavishnu.cli.common.objective_option import ForObjective, read_objective
from mahavishnu.model import Task
from mahavishnu.model.money import to_usd

Text = Annotated[str, typer.Argument(metavar="TEXT", help='The text of the task; "-" reads it from stdin.')]
TaskType = Annotated[str, typer.Option("--task-type", "-t", help="The type of the task.", autocompletion=task_types)]
Exclude = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Do not use this target. Repeatable.", autocompletion=target_names),
]
Only = Annotated[
    str | None,
    typer.Option("--target", metavar="NAME", help="Use this target only.", autocompletion=target_names),
]
Capability = Annotated[
    list[str] | None, typer.Option(metavar="NAME", help="A capability that the target must have. Repeatable.")
]
Payload = Annotated[str | None, typer.Option(metavar="JSON", help="A JSON object that is sent with the text.")]
MaxLatency = Annotated[
    int | None, typer.Option("--max-latency-ms", help="Leave out targets whose 95th percentile is known to be above.")
]
MaxCost = Annotated[
    str | None,
    typer.Option(
        "--max-cost",
        metavar="USD",
        help="Leave out targets that are known to cost more. All attempts together stay below it too.",
    ),
]
MinSuccessRate = Annotated[
    float | None,
    typer.Option("--min-success-rate", help="Leave out targets whose success rate is known to be below; 0 to 1."),
]
MinQuality = Annotated[
    float | None,
    typer.Option("--min-quality", help="Leave out targets whose rated quality is known to be below; 0 to 1."),
]
Deadline = Annotated[int | None, typer.Option("--deadline-ms", help="Time limit for the task, all attempts together.")]
Key = Annotated[
    str | None,
    typer.Option("--idempotency-key", help="A task with the same key runs once; later calls return its result."),
]
Once = Annotated[
    bool,
    typer.Option("--once", help="The task is not safe to repeat: retry it only where the attempt cannot have run."),
]
Tag = Annotated[
    list[str] | None, typer.Option(metavar="KEY=VALUE", help="A label that is recorded with the task. Repeatable.")
]


def read_task(
    text: Text,
    task_type: TaskType,
    exclude: Exclude = None,
    target: Only = None,
    capability: Capability = None,
    payload: Payload = None,
    max_latency_ms: MaxLatency = None,
    max_cost: MaxCost = None,
    min_success_rate: MinSuccessRate = None,
    min_quality: MinQuality = None,
    objective: ForObjective = None,
    deadline_ms: Deadline = None,
    idempotency_key: Key = None,
    once: Once = False,
    tag: Tag = None,
) -> Task:
    """Raises a usage error, or InvalidTask."""
    return Task(
        type=task_type,
        text=arguments.text(text),
        payload=arguments.json_object(payload, "--payload"),
        capabilities=frozenset(capability or ()),
        target=target,
        exclude=frozenset(exclude or ()),
        max_latency_ms=max_latency_ms,
        max_cost_usd=None if max_cost is None else to_usd(amounts.micros(max_cost, "--max-cost")),
        min_success_rate=min_success_rate,
        min_quality=min_quality,
        objective=None if objective is None else read_objective(objective),
        deadline_ms=deadline_ms,
        idempotency_key=idempotency_key,
        repeatable=not once,
        tags=arguments.pairs(tag, "--tag"),
    )
