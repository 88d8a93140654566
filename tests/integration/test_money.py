"""A hard budget under sixty-four callers in four processes, one of which is killed."""

import asyncio
import sys
from collections import Counter

import pytest

from mahavishnu.engine.clock import SystemClock
from mahavishnu.model import Budget, EntryKind, Micros
from mahavishnu.ports import ExecutionQuery
from mahavishnu.storage import SqlStore

PROCESSES = 4
TASKS = 450
WORST = 20_000
HARD = Micros(5_000_000)


async def started(url, seed):
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.integration.payer",
        url,
        str(seed),
        str(TASKS),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def killed_after(child, lines):
    """Let it come some way, and kill it."""
    for _ in range(lines):
        await child.stdout.readline()
    child.kill()
    await child.communicate()


async def finished(child):
    out, err = await child.communicate()
    assert child.returncode == 0, err.decode()
    return Counter(out.decode().splitlines())


def replayed(entries):
    """What was spent and reserved after each entry."""
    spent = reserved = 0
    for each in entries:
        if each.kind in (EntryKind.CHARGE, EntryKind.CORRECT):
            spent += each.micros
        else:
            reserved += each.micros if each.kind is EntryKind.RESERVE else -each.micros
        yield spent, reserved


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_many_callers_never_spend_more_than_the_budget_and_leave_no_room_unused(kind, tmp_path, request):
    url = f"sqlite:///{tmp_path}/store.db" if kind == "sqlite" else request.getfixturevalue("postgres")()
    clock = SystemClock()
    store = SqlStore(url, clock, lease_s=2.0)
    await store.open()
    try:
        await store.set_budget(Budget(name="all", hard_micros=HARD))
        children = [await started(url, seed) for seed in range(PROCESSES)]
        _, *said = await asyncio.gather(killed_after(children[0], TASKS // 8), *map(finished, children[1:]))
        became = sum(said, Counter())
        assert became["done"] > 0
        assert became["refused"] > 0
        await reaped(store)
        # What the dead process had set aside is there again; unless others have had it by now, it is spent here.
        await finished(await started(url, PROCESSES))
        entries = [each async for each in store.entries()]
        (balance,) = await store.balances(clock.now_us())
        executions = await store.executions(ExecutionQuery(last=None))
        steps = list(replayed(entries))
        assert max(spent + reserved for spent, reserved in steps) <= HARD
        assert (
            steps[-1] == (balance.spent_micros, balance.reserved_micros) == (sum(e.cost_micros for e in executions), 0)
        )
        # Somebody was refused at the end, so that what is left is less than one run may cost.
        assert HARD - balance.spent_micros < WORST
    finally:
        await store.close()


async def reaped(store):
    """Until nobody's executions run any more: the dead one's are ended as lost, and what it had reserved is free."""
    while any(not each.status.ended for each in await store.executions(ExecutionQuery(last=None))):
        await asyncio.sleep(0.2)
        await store.reap()
