"""Handing a workflow over to an engine, and following it there."""

from dataclasses import dataclass, field

import pytest

from mahavishnu.engine.clock import SystemClock
from mahavishnu.engine.workflows.hosting import ENTRYPOINT, Host, follow, hand_over
from mahavishnu.engine.workflows.runner import WorkflowRunner
from mahavishnu.errors import InputError, Misconfigured, Transient
from mahavishnu.model import Status
from mahavishnu.model.workflow import Step, Workflow
from mahavishnu.settings import load_settings
from mahavishnu.storage import Memory, MemoryStore
from tests.unit.engine.conftest import SETTINGS
from tests.unit.engine.scripted import ScriptedAdapter, fine

ONE = Workflow(name="w", steps=(Step(name="one", type="t", text="{{ inputs.n }}"),))


class Impatient(SystemClock):
    """Nothing of this waits for anything real."""

    def __init__(self):
        super().__init__()
        self.slept = 0.0

    def monotonic_s(self):
        return self.slept

    async def sleep(self, seconds):
        self.slept += seconds


@dataclass
class Engine:
    """An engine that begins runs as it is told to: `troubles` come first, `states` are what it says of a run."""

    troubles: list[Exception] = field(default_factory=list)
    states: list[Status | Exception | None] = field(default_factory=list)
    deployed: list[tuple[str, str, str, str]] = field(default_factory=list)
    begun: list[tuple[str, dict, str]] = field(default_factory=list)

    async def deploy_workflow(self, name, entrypoint, *, work_pool=None, source=None):
        self.deployed.append((name, entrypoint, work_pool, source))
        return "deployment"

    async def execute_workflow(self, name, parameters=None, *, idempotency_key=None):
        if self.troubles:
            raise self.troubles.pop(0)
        self.begun.append((name, parameters, idempotency_key))
        return "run-1"

    async def status(self, run):
        assert run.run_id == "run-1"
        said = self.states.pop(0)
        if isinstance(said, Exception):
            raise said
        return said


def host(engine, folder="/project"):
    return Host(
        name="prefect", adapter=engine, engine=engine, pool="pool", folder=folder, store_url="memory:", config=None
    )


def runner(orchestrator, store):
    return WorkflowRunner(orchestrator, store, SystemClock(), load_settings(None, {}, SETTINGS))


async def test_what_is_handed_over_is_recorded_first_and_says_all_that_a_worker_needs(engine):
    there = Engine()
    async with engine(ScriptedAdapter(a=fine)) as (orchestrator, store):
        handed = await hand_over(runner(orchestrator, store), host(there), Impatient(), ONE, {"n": 3}, "r")
        run = await store.workflow("r")
        assert (run.status, run.begun, run.place) == (Status.RUNNING, False, "prefect/pool")
    ((name, entrypoint, pool, source),) = there.deployed
    assert (entrypoint, pool, source) == (ENTRYPOINT, "pool", "/project")
    ((begun, parameters, key),) = there.begun
    assert begun == name == handed.ref.target.run
    assert key == handed.ref.execution_id
    assert parameters == {
        "definition": {"workflow": {"name": "w"}, "steps": {"one": {"type": "t", "text": "{{ inputs.n }}"}}},
        "inputs": {"n": 3},
        "run_id": "r",
        "place": "prefect/pool",
        "store_url": "memory:",
        "config": None,
    }


def test_two_projects_on_one_pool_have_deployments_of_their_own():
    one, other = (host(Engine(), folder).deployment for folder in ("/one", "/other"))
    assert one != other
    assert one == host(Engine(), "/one").deployment
    assert one.startswith("mahavishnu-workflow/pool-")


async def test_what_cannot_be_meant_is_handed_to_nobody(engine):
    there = Engine()
    async with engine(ScriptedAdapter(a=fine)) as (orchestrator, store):
        with pytest.raises(InputError, match='needs the input "n"'):
            await hand_over(runner(orchestrator, store), host(there), Impatient(), ONE, {}, "r")
        assert list(await store.workflows(9)) == []
    assert there.deployed == []


async def test_an_engine_that_is_busy_is_asked_again_under_the_same_key(engine):
    there = Engine(troubles=[Transient("busy"), Transient("busy", retry_after_s=3.0)])
    clock = Impatient()
    async with engine(ScriptedAdapter(a=fine)) as (orchestrator, store):
        handed = await hand_over(runner(orchestrator, store), host(there), clock, ONE, {"n": 3}, "r")
    assert [key for _, _, key in there.begun] == [handed.ref.execution_id]
    assert clock.slept == 3.5


@pytest.mark.parametrize("trouble", [Misconfigured("no such pool"), Transient("busy", retry_after_s=1e6)])
async def test_a_run_that_no_engine_took_has_ended(engine, trouble):
    async with engine(ScriptedAdapter(a=fine)) as (orchestrator, store):
        with pytest.raises(type(trouble)):
            await hand_over(runner(orchestrator, store), host(Engine([trouble])), Impatient(), ONE, {"n": 3}, "r")
        run = await store.workflow("r")
        assert (run.status, run.reason) == (Status.FAILED, f"prefect/pool did not take it: {trouble}")


async def test_it_is_followed_in_the_store_also_while_the_engine_cannot_say_how_it_is(engine):
    there = Engine(states=[None, Transient("away"), Status.RUNNING, Status.RUNNING])
    told = []

    class Watched(Impatient):
        async def sleep(self, seconds):
            await super().sleep(seconds)
            if self.slept == 1.5:
                await workflows.execute_workflow(ONE, {"n": 3}, run_id="r", place="prefect/pool")

    async with engine(ScriptedAdapter(a=fine)) as (orchestrator, store):
        workflows = runner(orchestrator, store)
        handed = await hand_over(workflows, host(there), Impatient(), ONE, {"n": 3}, "r")
        report = await follow(
            workflows, host(there), Watched(), handed, lambda each: told.append((each.step, each.status.value))
        )
    assert report.succeeded
    assert told == [("one", "succeeded")]


@pytest.mark.parametrize(("there", "status"), [(Status.CANCELLED, Status.CANCELLED), (Status.FAILED, Status.FAILED)])
async def test_a_run_that_the_engine_ended_without_beginning_it_has_ended(engine, there, status):
    stub = Engine(states=[Status.RUNNING, there])
    async with engine(ScriptedAdapter(a=fine)) as (orchestrator, store):
        workflows = runner(orchestrator, store)
        handed = await hand_over(workflows, host(stub), Impatient(), ONE, {"n": 3}, "r")
        report = await follow(workflows, host(stub), Impatient(), handed, lambda _: None)
    assert (report.status, report.reason) == (status, f"prefect/pool ended its run as {there.value}")


async def test_a_run_whose_worker_is_gone_is_not_waited_for(engine):
    stub = Engine(states=[Status.RUNNING])
    memory, clock = Memory(), SystemClock()
    worker, here = MemoryStore(clock, memory), MemoryStore(clock, memory)
    await worker.open()
    await here.open()
    async with engine(ScriptedAdapter(a=fine), here) as (orchestrator, _):
        workflows = runner(orchestrator, here)
        handed = await hand_over(workflows, host(stub), Impatient(), ONE, {"n": 3}, "r")
        await runner(orchestrator, worker).begin(
            ONE, {"n": 3}, run_id="r", place="prefect/pool", process_id=worker.process_id
        )
        await worker.close()
        report = await follow(workflows, host(stub), Impatient(), handed, lambda _: None)
    assert report.status is Status.LOST
    await here.close()
