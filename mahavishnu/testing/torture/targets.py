"""The kit's own targets: quick, slow, keyed, paid for and hostile ones. They run inside the workers."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from itertools import count
from typing import Any

from mahavishnu.model import Result, Task, Usage
from mahavishnu.testing.torture.voice import VOICE

HERE = "mahavishnu.testing.torture.targets"
MOST_USD = Decimal("0.002")
PLAIN, KEYED, PAID, HOSTILE, PROBE = (
    "torture-plain",
    "torture-keyed",
    "torture-paid",
    "torture-hostile",
    "torture-probe",
)

_runs = count()
_rng = random.Random()


async def steady(text: str) -> str:
    await asyncio.sleep(_rng.uniform(0.005, 0.1))
    return text


async def flaky(text: str) -> str:
    await asyncio.sleep(_rng.uniform(0.001, 0.02))
    if _rng.random() < 0.3:
        raise ConnectionError("the kit's flaky target fails three times in ten")
    return text


def threaded(text: str) -> str:
    time.sleep(_rng.uniform(0.001, 0.05))
    return text


def worded(text: str) -> Result:
    return Result(value=text, usage=Usage(input_tokens=3, output_tokens=5))


async def keyed(task: Task) -> str:
    """One in five fails after its effect, so that keys come free and are run again."""
    with _effect(task):
        await asyncio.sleep(_rng.uniform(0.02, 0.4))
        if _rng.random() < 0.2:
            raise ValueError("the kit's keyed target fails one time in five")
    return task.text


async def paid(text: str) -> Result:
    """It costs whatever it says, at most what was said before, and some of it fails."""
    await asyncio.sleep(_rng.uniform(0.01, 0.2))
    if _rng.random() < 0.1:
        raise ConnectionError("the kit's paid target fails one time in ten")
    return Result(value=text, cost_usd=Decimal(_rng.randint(0, 2000)) / 1_000_000)


async def blocks(payload: Mapping[str, Any]) -> str:
    """A mistake that people make: it keeps the event loop of its process from doing anything else."""
    time.sleep(float(payload["seconds"]))  # noqa: ASYNC251
    return "blocked"


def raises() -> None:
    raise RuntimeError("the kit's target raises: " + "x" * 10_000)


async def exits() -> None:
    sys.exit(3)


def interrupts() -> None:
    raise KeyboardInterrupt


def prints() -> str:
    sys.stdout.write("the kit's target prints\n" * 100)
    sys.stderr.write("\x1b[2J\x00 and complains\n")
    return "printed"


def returns_100_mb() -> str:
    return "x" * 100_000_000


def returns_nonsense() -> object:
    return {"a": float("nan"), "b": object()}


def returns_for_ever() -> Iterator[int]:
    return count()


async def cancels_all() -> str:
    """Every task of the loop, those of the program that it runs in among them."""
    mine = asyncio.current_task()
    for task in asyncio.all_tasks():
        if task is not mine:
            task.cancel()
    return "cancelled"


async def hangs() -> None:
    await asyncio.sleep(20)


def hangs_in_a_thread() -> None:
    time.sleep(3)


async def swallows_cancellation() -> str:
    until = time.monotonic() + 3
    while time.monotonic() < until:
        try:
            await asyncio.sleep(0.2)
        except asyncio.CancelledError:
            continue
    return "late"


async def bills_nonsense() -> Result:
    return Result(value="", cost_usd=Decimal("NaN"))


HOSTILES = (
    raises,
    exits,
    interrupts,
    prints,
    returns_100_mb,
    returns_nonsense,
    returns_for_ever,
    cancels_all,
    hangs,
    hangs_in_a_thread,
    swallows_cancellation,
    bills_nonsense,
    blocks,
)


def tables() -> dict[str, dict[str, Any]]:
    """The kit's targets as the tables of a configuration."""

    def table(name: str, task_type: str, **more: Any) -> dict[str, Any]:
        return {"run": f"{HERE}:{name}", "task_types": [task_type], "timeout_ms": 1000, **more}

    paid_for = {"max_cost_usd": str(MOST_USD), "cost_per_run": "0.001"}
    return {
        "torture-flaky": table("flaky", PLAIN, timeout_ms=500),
        "torture-steady": table("steady", PLAIN),
        "torture-threaded": table("threaded", PLAIN),
        "torture-worded": table("worded", PLAIN),
        "torture-keyed": table("keyed", KEYED),
        "torture-keyed-too": table("keyed", KEYED),
        "torture-paid": table("paid", PAID, **paid_for),
        "torture-paid-too": table("paid", PAID, **paid_for),
        "torture-probe": table("steady", PROBE, timeout_ms=10_000),
        **{name_of(target): table(target.__name__, HOSTILE) for target in HOSTILES},
    }


def name_of(target: Any) -> str:
    return f"torture-{target.__name__.replace('_', '-')}"


@contextmanager
def _effect(task: Task) -> Iterator[None]:
    """Write down the beginning and the end, also where it is cancelled or fails."""
    run = next(_runs)
    about = {"is": "effect", "key": task.idempotency_key or "", "run": run}
    VOICE.say({**about, "begins": True, "at_ns": time.monotonic_ns()})
    try:
        yield
    finally:
        VOICE.say({**about, "begins": False, "at_ns": time.monotonic_ns()})
