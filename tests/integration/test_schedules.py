"""The schedules on a real Prefect server, with a real worker that runs the deployed flows."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import httpx
import pytest

from mahavishnu import Task
from mahavishnu.app import open_app
from mahavishnu.engine.clock import SystemClock
from mahavishnu.jobs.schedule import JOBS
from mahavishnu.settings import load_settings
from mahavishnu.storage import open_store
from mahavishnu.storage.sql.coordination.job_lease import LEASE_S
from mahavishnu_flows import PrefectScheduler
from tests.integration.conftest import Engines

COMMAND = Path(sys.executable).with_name("mahavishnu")
POOL = "sandbox"
WITHIN_S = 120.0
T = TypeVar("T")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

CLAIMS_AND_HANGS = """
import asyncio, sys
from mahavishnu.engine.clock import SystemClock
from mahavishnu.jobs import schedule
from mahavishnu.settings import Settings
from mahavishnu.storage import open_store

async def hang(*_):
    print("begun", flush=True)
    await asyncio.Event().wait()

async def main(url):
    store = open_store(url, SystemClock())
    await store.open()
    schedule._RUNS["recalculate"] = hang
    await schedule.run_job("recalculate", store, SystemClock(), Settings())

asyncio.run(main(sys.argv[1]))
"""


async def until(ask: Callable[[], Awaitable[T | None]]) -> T:
    """Asked until there is an answer."""
    async with asyncio.timeout(WITHIN_S):
        while not (found := await ask()):
            await asyncio.sleep(0.1)
        return found


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/store.db"


@pytest.fixture
async def store(url: str):
    opened = open_store(url, SystemClock())
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
def api(engines: Engines):
    """Plain requests to the server."""
    with httpx.Client(
        base_url=engines.url("prefect"), transport=httpx.HTTPTransport(retries=3), timeout=30.0
    ) as client:
        yield client


@pytest.fixture
async def scheduler(engines: Engines, url: str, api: httpx.Client, tmp_path: Path):
    """The jobs of this test's store, deployed to the pool of the worker; gone again afterwards."""
    made = PrefectScheduler(url, None, engines.url("prefect"), None, None)
    try:
        names = await made.deploy(list(JOBS.values()), POOL, str(tmp_path))
        yield made
        forget(api, names)
    finally:
        await made.close()


def forget(api: httpx.Client, names: Iterable[str]) -> None:
    """A server on SQLite that is busy refuses changes."""
    for name in names:
        for each in asked(api, "/deployments/filter", deployments_of(name)):
            while api.delete(f"/deployments/{each['id']}").status_code == 503:
                time.sleep(0.2)


def asked(api: httpx.Client, path: str, body: dict) -> list[dict]:
    return api.post(path, json=body).raise_for_status().json()


async def ended(api: httpx.Client, run_id: str) -> dict:
    """A flow run, when it is over."""

    async def look() -> dict | None:
        reply = await asyncio.to_thread(api.get, f"/flow_runs/{run_id}")
        found = reply.json() if reply.is_success else {"state_type": ""}
        return found if found["state_type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED") else None

    return await until(look)


def moments(at_us) -> list[datetime]:
    return [EPOCH + timedelta(microseconds=each) for each in at_us]


async def test_the_weekly_recalculation_runs_next_on_three_sundays_at_three(scheduler: PrefectScheduler):
    async def look():
        found = {each.job: each for each in await scheduler.upcoming()}
        return found if all(each.at_us for each in found.values()) else None

    found = await until(look)
    assert set(found) == set(JOBS)
    assert all(each.active for each in found.values())
    sundays = moments(found["recalculate"].at_us)
    assert [(each.isoweekday(), each.hour, each.minute, each.second) for each in sundays] == [(7, 3, 0, 0)] * 3
    assert [later - earlier for earlier, later in pairwise(sundays)] == [timedelta(days=7)] * 2
    assert datetime.now(UTC) < sundays[0] <= datetime.now(UTC) + timedelta(days=7)
    for each in moments(found["fold"].at_us):
        assert (each.minute % 5, each.second) == (0, 0)


async def test_a_run_triggered_by_hand_changes_the_snapshot_of_a_process_that_was_routing_before(
    scheduler: PrefectScheduler, url: str, api: httpx.Client
):
    targets = {name: {"run": f"tests.integration.workers:{name}", "task_types": ["t"]} for name in ("first", "second")}
    settings = load_settings(None, {}, {"store": {"url": url}, "targets": targets})
    async with open_app(settings) as app:
        await app.orchestrator.execute_many([Task(type="t", text=str(number)) for number in range(30)])
        before = (await app.orchestrator.route(Task(type="t", text="x"))).snapshot_version
        run = await ended(api, await scheduler.trigger("recalculate"))
        assert (run["state_type"], run["state_name"]) == ("COMPLETED", "Completed"), run["state"]["message"]
        published = await app.store.latest()
        assert published.version > before

        async def look() -> bool:
            return (await app.orchestrator.route(Task(type="t", text="x"))).snapshot_version >= published.version

        await until(look)
        assert "t" in published.orders
    assert f"snapshot {published.version}" in run["state"]["message"]
    artifact = api.get("/artifacts/mahavishnu-recalculate/latest").raise_for_status().json()
    assert artifact["flow_run_id"] == run["id"]
    assert "## What changed, and why" in artifact["data"]
    assert "| t | first |" in artifact["data"]


async def test_a_job_that_is_on_its_way_elsewhere_is_skipped(scheduler: PrefectScheduler, store, api: httpx.Client):
    claim = await store.claim_job("fold", 10 * LEASE_S)
    assert claim is not None
    run = await ended(api, await scheduler.trigger("fold"))
    assert (run["state_type"], run["state_name"]) == ("COMPLETED", "Skipped")
    await store.finish_job(claim, ok=True, note="")
    assert (await ended(api, await scheduler.trigger("fold")))["state_name"] == "Completed"


async def test_a_run_that_was_killed_in_the_middle_is_done_by_the_next_one(
    scheduler: PrefectScheduler, store, url: str, api: httpx.Client
):
    with subprocess.Popen([sys.executable, "-c", CLAIMS_AND_HANGS, url], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert await asyncio.to_thread(child.stdout.readline) == "begun\n"
        assert await store.claim_job("recalculate", LEASE_S) is None
        child.kill()
    run = await ended(api, await scheduler.trigger("recalculate"))
    assert run["state_name"] == "Completed"
    (last,) = [each for each in await store.jobs() if each.name == "recalculate"]
    assert last.ok


async def test_a_job_that_cannot_be_done_fails_its_run_and_says_why(
    engines: Engines, scheduler: PrefectScheduler, tmp_path: Path, api: httpx.Client
):
    elsewhere = PrefectScheduler(f"sqlite:///{tmp_path}/gone/store.db", None, engines.url("prefect"), None, None)
    (name,) = await elsewhere.deploy([JOBS["fold"]], POOL, str(tmp_path))
    try:
        run = await ended(api, await elsewhere.trigger("fold"))
        assert run["state_type"] == "FAILED"
        assert "does not exist" in run["state"]["message"]
        assert [each.name for each in await elsewhere.upcoming()] == [name]
        assert name not in [each.name for each in await scheduler.upcoming()]
    finally:
        await elsewhere.close()
        forget(api, [name])


async def test_serve_runs_what_was_missed_and_pauses_the_schedules_when_it_is_told_to_stop(
    engines: Engines, store, url: str, tmp_path: Path, api: httpx.Client
):
    mark = f"schedule-{os.getpid()}-{tmp_path.name}"
    at = ["--store", url, "--api-url", engines.url("prefect"), "--json"]
    served = subprocess.Popen(
        [COMMAND, "schedule", "serve", *at],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "MARK_OF_THE_TESTS": mark},
    )
    try:
        assert served.stdout is not None
        ready = json.loads(await asyncio.to_thread(served.stdout.readline))
        assert ready["jobs"] == list(JOBS)
        assert "recalculate" in ready["caught_up"]

        async def look() -> bool:
            return any(each.name == "recalculate" and each.ok for each in await store.jobs())

        await until(look)
        twice = await command("schedule", "serve", *at, cwd=tmp_path)
        assert twice[0] == 2
        assert "stop that one first" in twice[2]
    finally:
        served.send_signal(signal.SIGINT)
        out, err = await asyncio.to_thread(served.communicate)
    assert served.returncode == 0, err
    assert out == ""
    assert left(mark) == []
    code, listed, said = await command("schedule", "list", *at, cwd=tmp_path)
    assert code == 1
    assert [each["active"] for each in json.loads(listed)] == [False] * len(JOBS)
    assert "has no next run of recalculate" in said
    forget(api, [each["deployment"] for each in json.loads(listed)])


def deployments_of(name: str) -> dict:
    flow, _, deployment = name.partition("/")
    return {"flows": {"name": {"any_": [flow]}}, "deployments": {"name": {"any_": [deployment]}}}


async def command(*arguments: str, cwd: Path) -> tuple[int, str, str]:
    child = await asyncio.create_subprocess_exec(
        COMMAND, *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=cwd
    )
    out, err = await child.communicate()
    return child.returncode or 0, out.decode(), err.decode()


def left(mark: str) -> list[str]:
    """The commands of all processes that carry this mark."""
    found: list[str] = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (each / "environ").read_bytes():
                found.append((each / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found
