"""A made-up history of executions, the same for the same seed: for the tests and the measurements of the store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from zlib import crc32

from mahavishnu.model import DAY_US, Decision, Execution, Micros, Outcome, Status, Task, Usage
from mahavishnu.model.identity import ulid
from mahavishnu.ports import Fact

ENDINGS = (Status.SUCCEEDED,) * 18 + tuple(status for status in Status if status.ended)
TARGETS = tuple(f"target-{number}" for number in range(5))
TASK_TYPES = ("etl", "rag", "chat", "sql")


def executions(
    count: int, first_day: int, days: int, seed: int = 0, targets: Sequence[str] = TARGETS
) -> Iterator[Execution]:
    """Ended ones, evenly over the days, each with an id of its time."""
    rng = Random(seed)
    step_us = days * DAY_US / max(count, 1)
    for number in range(count):
        at_us = first_day * DAY_US + int(number * step_us)
        status = rng.choice(ENDINGS)
        latency_us = int(rng.lognormvariate(12, 1))
        yield Execution(
            id=ulid(at_us // 1000, rng.getrandbits(80)),
            decision_id=ulid(at_us // 1000, rng.getrandbits(80)),
            process_id="01JD0000000000000000000000",
            target=rng.choice(targets),
            adapter="local",
            task_type=rng.choice(TASK_TYPES),
            attempt=1,
            fallback=rng.random() < 0.02,
            randomised=True,
            status=status,
            started_at_us=at_us,
            ended_at_us=at_us + latency_us,
            latency_us=latency_us,
            cost_micros=Micros(rng.randrange(5_000)),
            usage=Usage(seconds=latency_us / 1e6, input_tokens=rng.randrange(2_000), output_tokens=rng.randrange(500)),
            quality=rng.choice((None, None, rng.random())),
            error_code=None if status is Status.SUCCEEDED else rng.choice(("transient", "refused", "timed-out")),
        )


def decision_of(execution: Execution) -> Decision:
    return Decision(
        id=execution.decision_id,
        at_us=execution.started_at_us,
        process_id=execution.process_id,
        task=Task(type=execution.task_type, text="x"),
        selected=execution.target,
        probability=1.0,
        confidence=0.5,
        confidence_kind="probability",
        randomised=True,
        reason="because",
        considered=(),
        policy="adaptive",
        policy_version="1",
        snapshot_version=0,
        snapshot_cursor=0,
        seed=1,
        overhead_us=10,
    )


def outcome_on(execution: Execution, number: int) -> Outcome:
    """What was learnt two days later; `number` makes it another outcome with the same news."""
    at_us = execution.started_at_us + 2 * DAY_US
    return Outcome(
        id=ulid(at_us // 1000, crc32(execution.id.encode()) + number),
        decision_id=execution.decision_id,
        at_us=at_us,
        completed=execution.status is not Status.SUCCEEDED,
        quality=0.25,
    )


def arrivals(runs: Sequence[Execution], order: str) -> list[list[Fact]]:
    """The facts of these executions as they may come in, some of them twice, each batch one call of `record`.

    Every fiftieth has its decision and an outcome, which always comes after what it is about.
    """
    rng = Random(order)
    first: list[Fact] = [*runs, *runs[::10], *(decision_of(each) for each in runs[::50])]
    first.sort(key=lambda fact: fact.id)
    learnt: list[Fact] = [outcome_on(each, number % 2) for number, each in enumerate(runs[::50])]
    if order == "backwards":
        first.reverse()
    elif order == "shuffled":
        rng.shuffle(first)
        rng.shuffle(learnt)
    facts = [*first, *rng.sample(first, len(first) // 20), *learnt, *learnt[::3]]
    return [facts[place : place + 1000] for place in range(0, len(facts), 1000)]
