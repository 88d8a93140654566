"""What a store promises of snapshots and targets, and of itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from mahavishnu.errors import (
    SnapshotConflict,
    StoreUnavailable,
    TargetChanged,
    TargetExists,
    UnknownName,
)
from mahavishnu.model import Snapshot
from mahavishnu.testing.promises.places import (
    Opener,
    Promise,
    opened,
    raised,
    samples,
    two,
)


async def snapshots_come_back_exactly_and_one_follows_the_other(opener: Opener) -> None:
    make = samples()
    async with two(opener) as (one, other):
        assert await one.latest() == Snapshot()
        for version in (1, 2):
            snapshot = make.snapshot(version)
            await one.publish(snapshot)
            assert await other.latest() == snapshot
        for version in (0, 1, 2, 4):
            await raised(SnapshotConflict, other.publish(make.snapshot(version)))
        assert await one.latest() == snapshot


async def of_many_publishers_of_one_version_one_wins(opener: Opener) -> None:
    make = samples()
    async with two(opener) as (one, other):
        rivals = [replace(make.snapshot(1), cursor=number) for number in range(10)]
        answers = await asyncio.gather(
            *((one, other)[n % 2].publish(rival) for n, rival in enumerate(rivals)), return_exceptions=True
        )
        assert [type(each) for each in answers if each is not None] == [SnapshotConflict] * 9
        assert await other.latest() == rivals[answers.index(None)]


async def targets_are_kept_in_the_order_in_which_they_came(opener: Opener) -> None:
    make = samples()
    async with two(opener) as (one, other):
        targets = [make.target(name) for name in ("etl-b", "etl-a", "rag")]
        for target in targets:
            await one.add_target(target)
        assert list(await other.targets()) == targets
        await raised(TargetExists, other.add_target(make.target("rag")))
        await other.remove_target("etl-b")
        await other.add_target(targets[0])
        assert list(await one.targets()) == [targets[1], targets[2], targets[0]]


async def targets_are_put_in_place_of_others_all_or_none(opener: Opener) -> None:
    """In their place in the order, with their switch; none of them where any is not as it was read."""
    make = samples()
    async with two(opener) as (one, other):
        first, second, third = (make.target(name) for name in ("etl-a", "etl-b", "rag"))
        await one.put_targets([first, second], {})
        await one.switch_target("etl-a", False)
        changed = replace(first, run="module:other")
        await other.put_targets([changed, third], {"etl-a": first})
        assert list(await one.targets()) == [changed, second, third]
        assert dict(await one.switches()) == {"etl-a": False}
        fourth = make.target("llm")
        await raised(TargetChanged, one.put_targets([fourth, first], {"etl-a": first}))
        await raised(TargetChanged, one.put_targets([fourth, make.target("gone")], {"gone": make.target("gone")}))
        await raised(TargetExists, one.put_targets([fourth, third], {}))
        assert list(await other.targets()) == [changed, second, third]
        await one.put_targets([first], {"etl-a": changed}, forget_switches=True)
        assert dict(await other.switches()) == {}


async def switches_outlive_everything_but_their_target(opener: Opener) -> None:
    make = samples()
    async with two(opener) as (one, other):
        await one.add_target(make.target("etl-a"))
        for name, enabled in (("etl-a", False), ("elsewhere", False), ("elsewhere", True)):
            await one.switch_target(name, enabled)
        assert dict(await other.switches()) == {"etl-a": False, "elsewhere": True}
        await other.remove_target("etl-a")
        assert dict(await one.switches()) == {"elsewhere": True}
        await one.add_target(make.target("etl-a"))
        error = await raised(UnknownName, one.remove_target("etl-b"))
        assert (error.kind, error.name, error.nearest) == ("target", "etl-b", "etl-a")


async def a_store_says_what_it_holds(opener: Opener) -> None:
    make = samples()
    async with opened(opener) as store:
        decision = make.decision()
        await store.record([decision, *make.run(decision), make.outcome(decision, completed=True)])
        info = await store.info()
        assert info.schema
        assert {"decisions": 1, "execution_starts": 1, "executions": 1, "outcomes": 1}.items() <= info.rows.items()


async def closing_writes_what_waits_and_may_be_done_twice(opener: Opener) -> None:
    make = samples()
    store = await opener()
    decisions = [make.decision() for _ in range(50)]
    waiting = [asyncio.ensure_future(store.record([decision])) for decision in decisions]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*waiting)
    await store.close()
    for refused in (store.record([decisions[0]]), store.latest(), store.claim("key", "print", "first")):
        await raised(StoreUnavailable, refused)
    async with opened(opener) as again:
        assert len(await again.decisions(99)) == 50


PROMISES: Sequence[Promise] = (
    snapshots_come_back_exactly_and_one_follows_the_other,
    of_many_publishers_of_one_version_one_wins,
    targets_are_kept_in_the_order_in_which_they_came,
    targets_are_put_in_place_of_others_all_or_none,
    switches_outlive_everything_but_their_target,
    a_store_says_what_it_holds,
    closing_writes_what_waits_and_may_be_done_twice,
)
