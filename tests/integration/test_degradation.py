"""A target degrades under a running orchestrator: an alert opens, the traffic moves, and all of it passes again."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from mahavishnu import Task
from mahavishnu.app import App, open_app
from mahavishnu.engine.clock import SystemClock
from mahavishnu.jobs.monitoring.alerts import check
from mahavishnu.model.alert import AlertKind
from mahavishnu.settings import load_settings
from mahavishnu_local import registry, target

AT_ONCE = 20
WITHIN = 120
"""The median in which a fall to 80 % is to be found, and this one falls to 40 %."""


class World:
    """Two targets, the better of which can be told to fail."""

    def __init__(self) -> None:
        self.rng = random.Random(7)
        self.share = {"good": 0.98, "second": 0.93}

    async def run(self, name: str) -> str:
        if self.rng.random() >= self.share[name]:
            raise ConnectionResetError("simulated")
        return name


@pytest.fixture
def world(monkeypatch):
    world = World()
    # Targets that are registered belong to the process; these are to be gone after the test.
    monkeypatch.setattr(registry, "_registered", {})

    @target(name="good", task_types=["degrading"])
    async def good(text: str) -> str:
        return await world.run("good")

    @target(name="second", task_types=["degrading"])
    async def second(text: str) -> str:
        return await world.run("second")

    return world


async def some(app: App, count: int = AT_ONCE) -> Counter[str]:
    reports = await app.orchestrator.execute_many([Task(type="degrading", text="x")] * count, concurrency=8)
    return Counter(report.decision.selected for report in reports)


async def degraded(app: App) -> list[str]:
    """The targets with an open alert, after a check."""
    await check(app.store, SystemClock(), app.settings.alerts, environ={})
    standing = await app.store.alerts(unresolved=True)
    return [each.condition.target for each in standing if each.condition.kind is AlertKind.DEGRADATION]


async def test_an_alert_opens_the_traffic_moves_and_the_alert_closes_after_recovery(world, tmp_path):
    settings = load_settings(
        None,
        {},
        {
            "store": {"url": f"sqlite:///{tmp_path}/store.db"},
            # The breaker would keep the failing one out of sight: here it is the evidence that is to do it.
            "breaker": {"consecutive_failures": 10_000, "window": 10_000},
            "attempts": {"retries": 0},
        },
    )
    async with open_app(settings) as app:
        for _ in range(60):
            await some(app)
        assert await degraded(app) == []

        world.share["good"] = 0.4
        failing, opened_after = Counter[str](), None
        while opened_after is None and failing["good"] < 1000:
            failing += await some(app)
            if await degraded(app) == ["good"]:
                opened_after = failing["good"]
        assert opened_after is not None
        assert opened_after <= WITHIN

        for _ in range(30):
            await some(app)
        moved = await some(app, 200)
        assert moved["second"] > 150

        world.share["good"] = 0.98
        for _ in range(400):
            await some(app, 50)
            if await degraded(app) == []:
                break
        assert await degraded(app) == []
