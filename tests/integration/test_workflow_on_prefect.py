"""A workflow over all four engines, in a process of its own and on a worker of Prefect: results, deaths, ends."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from mahavishnu.cli.targets import sandbox_settings
from mahavishnu.cli.targets.sandbox_processes import Sandbox, free_port, sandbox_of
from mahavishnu.engine.clock import SystemClock
from mahavishnu.engine.workflows.reports import report_on
from mahavishnu.errors import Transient
from mahavishnu.model import Execution
from mahavishnu.model.workflow_run import WorkflowReport
from mahavishnu.ports import ExecutionQuery, Store
from mahavishnu.storage import open_store
from mahavishnu_llamaindex import sandbox
from mahavishnu_prefect import PrefectAdapter

ROOT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).with_name("mahavishnu")
EIGHT_STEPS = ROOT / "docs" / "examples" / "engines.toml"
HERE, WORKER = "here", "prefect/sandbox"
WITHIN_S = 240.0

GATE_IN_PLACE_OF = """type = "chat"
target = "agent-echo"
needs = ["draft"]
text = "{{ draft.value }}"
"""
GATE = """type = "gate"
needs = ["draft"]
text = "{{ inputs.gate }}"
"""

# Each of these goes on until it is stopped.
FOUR_THAT_WAIT = """
[workflow]
name = "four-that-wait"
[steps.flow]
type = "wait-prefect"
text = "{{ inputs.folder }}/flow"
[steps.agent]
type = "wait-agno"
text = "one two three four five six seven eight nine ten eleven twelve {{ inputs.many }}"
[steps.rag]
type = "wait-llamaindex"
text = "{{ inputs.mark }}"
[steps.model]
type = "wait-openai"
text = "hello"
[steps.after]
type = "chat"
target = "model-echo"
needs = ["flow", "agent", "rag", "model"]
text = "never"
"""

LONG_FLOW = '''
import time
from pathlib import Path
from prefect import flow

@flow(name="wait-long")
def wait_long(text: str) -> None:
    """Says in a file that it began, and that it was stopped."""
    Path(text).write_text("began")
    try:
        time.sleep(600)
    finally:
        Path(text).write_text("stopped")
'''

# A Prefect server on SQLite refuses to begin runs while it is busy, and here it is busy with the workflow itself.
SETTINGS = """
[attempts]
deadline_ms = 300_000
retries = 20
backoff_ms = 500
backoff_max_ms = 2_000
[targets.gate]
adapter = "llamaindex"
run = "{llamaindex}/workflows/gate"
task_types = "gate"
timeout_ms = 300_000
[targets.waiting]
adapter = "llamaindex"
run = "{llamaindex}/workflows/waiting"
task_types = "wait-llamaindex"
timeout_ms = 300_000
[targets.slow-agent]
adapter = "agno"
run = "{agno}/agents/slow"
task_types = "wait-agno"
timeout_ms = 300_000
[targets.slow-model]
adapter = "openai"
run = "slow-first-token"
task_types = "wait-openai"
timeout_ms = 300_000
[targets.slow-flow]
adapter = "prefect"
run = "wait-long/sandbox"
task_types = "wait-prefect"
timeout_ms = 300_000
"""


@dataclass(frozen=True)
class World:
    """A folder with a configuration that finds everything, and the commands that are given in it."""

    folder: Path
    engines: Any
    gates: Sandbox

    def mahavishnu(self, *arguments: object, code: int = 0) -> Any:
        """The JSON that a command prints, in a process of its own."""
        done = subprocess.run(self._command(*arguments), cwd=self.folder, capture_output=True, check=False, timeout=300)
        assert done.returncode == code, (done.stdout + done.stderr).decode()
        return json.loads(done.stdout)

    @contextmanager
    def running(self, *arguments: object) -> Iterator[subprocess.Popen[bytes]]:
        command = self._command("workflow", "run", *arguments)
        with subprocess.Popen(command, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            try:
                yield process
            finally:
                process.kill()

    def steps(self, run_id: str) -> dict[str, str]:
        return {each.step: each.status.value for each in self._read(partial(_report, run_id)).steps}

    def last(self, target: str) -> Execution:
        """Its newest execution."""
        return self._read(lambda store: store.executions(ExecutionQuery(target=target, last=1)))[0]

    def _read(self, question: Callable[[Store], Awaitable[Any]]) -> Any:
        """Straight from the store: a command would take seconds to start, and this is asked again and again."""

        async def read() -> Any:
            store = open_store(f"sqlite:///{self.folder}/mahavishnu.db", SystemClock())
            await store.open()
            try:
                return await question(store)
            finally:
                await store.close()

        return asyncio.run(read())

    def ask(self, engine: str, path: str, body: Any = None) -> Any:
        url = self.engines.url(engine).removesuffix("/v1") + path
        reply = httpx.get(url, timeout=60) if body is None else httpx.post(url, json=body, timeout=60)
        return reply.raise_for_status().json()

    def _command(self, *arguments: object) -> list[str]:
        return [str(COMMAND), "--config", "mahavishnu.toml", *(str(each) for each in arguments), "--json"]


async def _report(run_id: str, store: Store) -> WorkflowReport:
    run = await store.workflow(run_id)
    assert run is not None
    return await report_on(store, run)


@pytest.fixture(scope="module")
def gates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A workflow server whose workflows wait: until they may go on, or for ever."""
    folder = tmp_path_factory.mktemp("gates")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT), prepend=":")
        engine = sandbox.sandbox_of(folder, free_port(), None, serve="tests.integration.servers.llamaindex")
        with sandbox_of("llamaindex", engine, folder) as started:
            yield started


@pytest.fixture
def world(engines: Any, gates: Sandbox, tmp_path: Path) -> World:
    config = tmp_path / "mahavishnu.toml"
    sandbox_settings.write(config, list(engines.values()))
    places = {name: engines.url(name) for name in engines} | {"llamaindex": gates.url}
    config.write_text(config.read_text() + SETTINGS.format(**places))
    eight = EIGHT_STEPS.read_text()
    assert GATE_IN_PLACE_OF in eight
    (tmp_path / "gated.toml").write_text(eight.replace(GATE_IN_PLACE_OF, GATE))
    (tmp_path / "four.toml").write_text(FOUR_THAT_WAIT)
    return World(tmp_path, engines, gates)


@pytest.fixture
async def long_flow(world: World) -> None:
    (world.folder / "wait_long.py").write_text(LONG_FLOW)
    adapter = PrefectAdapter(api_url=world.engines.url("prefect"))
    name, entrypoint = "wait-long/sandbox", "wait_long.py:wait_long"
    try:
        for _ in range(20):
            # A server on SQLite refuses changes while it is busy.
            with suppress(Transient):
                await adapter.deploy_workflow(name, entrypoint, work_pool="sandbox", source=str(world.folder))
                return
            await asyncio.sleep(0.5)
        pytest.fail("Prefect took no deployment")
    finally:
        await adapter.close()


def until(check: Callable[[], object], while_runs: subprocess.Popen[bytes] | None = None) -> None:
    """What a server or a store comes to sends no event to this process."""
    give_up_s = time.monotonic() + WITHIN_S
    while not check():
        assert while_runs is None or while_runs.poll() is None, "it has ended already"
        assert time.monotonic() < give_up_s, "it did not come to that"
        time.sleep(0.5)


def values(report: Any) -> dict[str, Any]:
    return {each["step"]: (each["status"], each["target"], each["value"]) for each in report["steps"]}


def runs_of_the_engines(world: World) -> dict[str, int]:
    """How often each of them really ran something, by its own account."""
    words = {"flows": {"name": {"any_": ["count-words"]}}}
    handlers = httpx.get(f"{world.gates.url}/handlers", timeout=60).raise_for_status().json()["handlers"]
    return {
        "flow runs": world.ask("prefect", "/flow_runs/count", words),
        "agents": world.ask("agno", "/sessions?type=agent&limit=1")["meta"]["total_count"],
        "teams": world.ask("agno", "/sessions?type=team&limit=1")["meta"]["total_count"],
        "answers": len(world.ask("llamaindex", "/handlers")["handlers"]),
        "gates": len([each for each in handlers if each["workflow_name"] == "gate"]),
        "model calls": world.ask("openai", "/sandbox")["tallies"].get("echo", {"calls": 0})["calls"],
    }


def test_eight_steps_over_four_engines_come_to_the_same_here_and_on_a_worker(world: World):
    here = world.mahavishnu("workflow", "run", EIGHT_STEPS)
    there = world.mahavishnu("workflow", "run", EIGHT_STEPS, "--on", WORKER, "--run-id", "there")
    assert (here["status"], here["place"]) == ("succeeded", HERE)
    assert (there["status"], there["place"]) == ("succeeded", WORKER)
    assert len(here["steps"]) == 8
    assert {status for status, _, _ in values(here).values()} == {"succeeded"}
    assert values(here) == values(there)
    adapters = {each["adapter"] for each in world.mahavishnu("executions", "--last", 100)}
    assert adapters == {"agno", "llamaindex", "openai", "prefect"}
    # It shows in Prefect: a flow run with the name of the run, whose tasks are the steps and wait for each other.
    (flow_run,) = world.ask("prefect", "/flow_runs/filter", {"flow_runs": {"name": {"any_": ["there"]}}})
    assert flow_run["state_type"] == "COMPLETED"
    tasks = {"flow_runs": {"id": {"any_": [flow_run["id"]]}}}
    until(lambda: len(world.ask("prefect", "/task_runs/filter", tasks)) == 8)
    shown = {each["name"]: each for each in world.ask("prefect", "/task_runs/filter", tasks)}
    names = {each["id"]: name for name, each in shown.items()}
    waited = {
        name: {names[one["id"]] for one in each["task_inputs"].get("wait_for", ())} for name, each in shown.items()
    }
    assert waited["ask"] == set()
    assert waited["draft"] == {"count", "shout"}
    assert waited["sum"] == {"review", "question"}


@pytest.mark.parametrize("place", [HERE, WORKER])
def test_killed_in_the_middle_and_resumed_no_finished_step_runs_twice(world: World, place: str):
    before = runs_of_the_engines(world)
    # The engines keep the keys of the steps for longer than one test.
    run_id = gate = world.folder.name
    given = ("gated.toml", "--on", place, "--run-id", run_id, "--input", f"gate={gate}")
    with world.running(*given) as process:
        until((world.gates.folder / f"{gate}.awaited").exists, process)
        until(lambda: world.steps(run_id)["review"] == "succeeded")
        if place == WORKER:
            world.engines["prefect"].running[-1].kill()
        else:
            process.kill()
        out, _ = process.communicate(timeout=WITHIN_S)
    if place == WORKER:
        assert (process.returncode, json.loads(out)["status"]) == (1, "lost")
    else:
        assert process.returncode == -signal.SIGKILL
    stands = world.mahavishnu("workflow", "status", run_id)
    assert stands["status"] == "lost"
    finished = {each["step"]: each for each in stands["steps"] if each["status"] == "succeeded"}
    assert set(finished) == {"ask", "count", "shout", "draft", "review"}

    (world.gates.folder / gate).touch()
    world.engines.start()
    resumed = world.mahavishnu("workflow", "resume", run_id)
    assert (resumed["status"], resumed["place"]) == ("succeeded", place)
    assert {each["step"]: each for each in resumed["steps"] if each["step"] in finished} == finished
    assert values(resumed)["question"][2] == "open"
    after = runs_of_the_engines(world)
    assert {name: after[name] - before[name] for name in after} == {
        "flow runs": 1,
        "agents": 2,
        "teams": 1,
        "answers": 1,
        "gates": 1,  # It was running when its caller died, and was found again by its key.
        "model calls": 2,
    }


@pytest.mark.usefixtures("long_flow")
@pytest.mark.parametrize(
    ("place", "how"),
    [
        (HERE, "by another process"),
        (HERE, "after its process was killed"),
        (WORKER, "by another process"),
        (WORKER, "on Prefect's page"),
    ],
)
def test_cancelled_everything_that_ran_remotely_is_cancelled_too(world: World, place: str, how: str):
    run_id = world.folder.name
    tallies = world.ask("openai", "/sandbox")["tallies"].get("slow-first-token", {"calls": 0, "abandoned": 0})
    mark = world.gates.folder / run_id
    inputs = {"folder": str(world.folder), "mark": run_id, "many": "more " * 2000}
    given = ("four.toml", "--on", place, "--run-id", run_id, "--inputs", json.dumps(inputs))
    with world.running(*given) as process:
        until((world.folder / "flow").exists, process)
        until(mark.exists, process)
        world.ask("openai", f"/sandbox/slow-first-token/calls/{tallies['calls'] + 1}")
        until(lambda: _agent_run(world))
        steps = dict.fromkeys(("flow", "agent", "rag", "model"), "running") | {"after": "waiting"}
        assert world.steps(run_id) == steps
        if how == "on Prefect's page":
            found = {"flow_runs": {"name": {"any_": [run_id]}}}
            (flow_run,) = world.ask("prefect", "/flow_runs/filter", found)
            world.ask("prefect", f"/flow_runs/{flow_run['id']}/set_state", {"state": {"type": "CANCELLING"}})
        else:
            if how == "after its process was killed":
                process.kill()
                process.wait()
            assert world.mahavishnu("workflow", "cancel", run_id)["asked_to_stop"]
        process.communicate(timeout=WITHIN_S)
    assert process.returncode == (-signal.SIGKILL if how == "after its process was killed" else 1)
    assert world.mahavishnu("workflow", "status", run_id)["status"] == "cancelled"

    until(lambda: (world.folder / "flow").read_text() == "stopped")
    until(lambda: mark.read_text() == "stopped")
    until(lambda: _agent_run(world).get("status") == "CANCELLED")
    world.ask("openai", f"/sandbox/slow-first-token/abandoned/{tallies['abandoned'] + 1}")
    if place == WORKER:
        found = {"flow_runs": {"name": {"any_": [run_id]}}}
        until(lambda: world.ask("prefect", "/flow_runs/filter", found)[0]["state_type"] == "CANCELLED")
    if how != "after its process was killed":
        assert world.steps(run_id) == dict.fromkeys(("flow", "agent", "rag", "model", "after"), "cancelled")


def _agent_run(world: World) -> dict[str, Any]:
    """The agent's run, as its AgentOS knows it; nothing where it does not know it yet."""
    execution = world.last("slow-agent")
    url = f"{world.engines.url('agno')}/agents/slow/runs/{execution.run_id}"
    reply = httpx.get(url, params={"session_id": f"mahavishnu-{execution.id}"}, timeout=60)
    return reply.json() if reply.is_success else {}
