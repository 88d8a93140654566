"""Two targets of which a test may say how often they succeed."""

from __future__ import annotations

import random

rng = random.Random(3)
rates = {"old": 0.95, "new": 0.6}

TARGETS = {name: {"run": f"tests.integration.newcomers:{name}", "task_types": "tried"} for name in rates}


async def old(text: str) -> str:
    return _answer("old", text)


async def new(text: str) -> str:
    return _answer("new", text)


def _answer(name: str, text: str) -> str:
    if rng.random() >= rates[name]:
        raise ConnectionResetError("simulated")
    return text
