"""A real LlamaIndex workflow server, in a process of its own: `with workflow_server(folder) as server: server.url`."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from llama_agents.server import WorkflowServer

HOST = "127.0.0.1"
STARTS_WITHIN_S = 90.0
STOPS_WITHIN_S = 10.0
KEY_VARIABLE = "WORKFLOW_SERVER_KEY"


@dataclass
class Server:
    """A server that was started: where it is, and how to end it the hard way and to start it again."""

    folder: Path
    port: int
    key: str | None
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def kill(self) -> None:
        """As a crash would: no goodbye."""
        _signal(self.process, signal.SIGKILL)
        self.process.wait(STOPS_WITHIN_S)

    def restart(self) -> None:
        """Start it again on the same port, with what it wrote down."""
        self.process = _start(self.folder, self.port, self.key)
        _wait_until_healthy(self)

    def stop(self) -> None:
        if self.process.poll() is None:
            _signal(self.process, signal.SIGTERM)
            try:
                self.process.wait(STOPS_WITHIN_S)
            except subprocess.TimeoutExpired:
                self.kill()


@contextmanager
def workflow_server(folder: Path, key: str | None = None) -> Iterator[Server]:
    """Start one on a free port; its store and its log are in the folder. With a key, it answers only who has it."""
    port = _free_port()
    server = Server(folder, port, key, _start(folder, port, key))
    try:
        _wait_until_healthy(server)
        yield server
    finally:
        server.stop()


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        port: int = taken.getsockname()[1]
        return port


def _start(folder: Path, port: int, key: str | None) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if name != KEY_VARIABLE}
    if key is not None:
        environment[KEY_VARIABLE] = key
    program = [sys.executable, str(Path(__file__).resolve()), "--port", str(port), "--folder", str(folder)]
    with (folder / "server.log").open("ab") as log:
        # A session of its own: whatever it starts ends with it.
        return subprocess.Popen(
            program, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )


def _signal(process: subprocess.Popen[bytes], which: signal.Signals) -> None:
    if process.poll() is None:
        os.killpg(process.pid, which)


def _wait_until_healthy(server: Server) -> None:
    until = time.monotonic() + STARTS_WITHIN_S
    headers = {"Authorization": f"Bearer {server.key}"} if server.key else {}
    with httpx.Client(base_url=server.url, headers=headers, timeout=5) as client:
        while time.monotonic() < until and server.process.poll() is None:
            if _is_healthy(client):
                return
            time.sleep(0.1)
    log = (server.folder / "server.log").read_text(errors="replace")
    server.kill()
    raise RuntimeError(f"the workflow server at {server.url} did not come up; the end of its log:\n{log[-2000:]}")


def _is_healthy(client: httpx.Client) -> bool:
    try:
        return client.get("/health").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


# -- what runs in the process of the server ----------------------------------------------------------------------------


def build(folder: Path) -> WorkflowServer:
    """The server. LlamaIndex is imported late: whoever only starts one does without it."""
    from llama_agents.server import SqliteWorkflowStore, WorkflowServer

    store = SqliteWorkflowStore(str(folder / "workflows.db"))
    server = WorkflowServer(workflow_store=store, middleware=_middleware())
    for name, workflow in {**_that_end(), **_that_wait(folder)}.items():
        server.add_workflow(name, workflow)
    return server


def _that_end() -> dict[str, Any]:
    from llama_index.core import Document, VectorStoreIndex
    from workflows import Context, Workflow, step
    from workflows.events import Event, StartEvent, StopEvent

    from mahavishnu_llamaindex.offline import OfflineEmbedding, OfflineLLM

    index = VectorStoreIndex.from_documents(
        [
            Document(text="A breaker opens after five failures in a row.", metadata={"file": "breaker.md"}),
            Document(text="Money is kept in whole micro-dollars.", metadata={"file": "money.md"}),
        ],
        embed_model=OfflineEmbedding(),
    )
    engine = index.as_query_engine(llm=OfflineLLM(), similarity_top_k=1)

    class Question(StartEvent):
        question: str

    class Piece(Event):
        delta: str

    class Echo(Workflow):
        @step
        async def only(self, event: StartEvent) -> StopEvent:
            return StopEvent(result=event.get("input"))

    class Fields(Workflow):
        @step
        async def only(self, event: StartEvent) -> StopEvent:
            return StopEvent(result=dict(event.items()))

    class Answer(Workflow):
        @step
        async def only(self, event: StartEvent) -> StopEvent:
            return StopEvent(result=await engine.aquery(event.get("input")))

    class Typed(Workflow):
        @step
        async def only(self, event: Question) -> StopEvent:
            return StopEvent(result={"asked": event.question})

    class Failing(Workflow):
        @step
        async def only(self, event: StartEvent) -> StopEvent:
            raise ValueError(f"cannot do {event.get('input')}")

    class Spelling(Workflow):
        @step
        async def only(self, event: StartEvent, context: Context) -> StopEvent:
            for letter in event.get("input"):
                context.write_event_to_stream(Piece(delta=letter))
            return StopEvent(result=event.get("input"))

    kinds = {"echo": Echo, "fields": Fields, "answer": Answer, "typed": Typed, "failing": Failing, "spelling": Spelling}
    return {name: kind(timeout=None) for name, kind in kinds.items()}


def _that_wait(folder: Path) -> dict[str, Any]:
    from workflows import Context, Workflow, step
    from workflows.events import Event, StartEvent, StopEvent

    class Piece(Event):
        delta: str

    class Waiting(Workflow):
        """Never ends by itself; says in a file that it began, and that it was stopped."""

        @step
        async def only(self, event: StartEvent, context: Context) -> StopEvent:
            mark = folder / event.get("input")
            mark.write_text("began")
            context.write_event_to_stream(Piece(delta="waiting"))
            try:
                # Not on an Event of its own: nothing else would hold the run, and Python would collect it in mid-run.
                await asyncio.sleep(3600)
            finally:
                mark.write_text("stopped")
            return StopEvent()

    class Gate(Workflow):
        """Ends when there is a file of the name that it was given; says in another that it waits for it."""

        @step
        async def only(self, event: StartEvent) -> StopEvent:
            (folder / f"{event.get('input')}.awaited").write_text("began")
            while not (folder / event.get("input")).exists():
                await asyncio.sleep(0.02)
            return StopEvent(result="open")

    return {"waiting": Waiting(timeout=None), "hurried": Waiting(timeout=0.2), "gate": Gate(timeout=None)}


def _middleware() -> list[Any] | None:
    key = os.environ.get(KEY_VARIABLE)
    if key is None:
        return None

    from starlette.middleware import Middleware
    from starlette.responses import JSONResponse

    class Guard:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            given = dict(scope.get("headers", ())).get(b"authorization", b"").decode()
            if scope["type"] != "http" or given == f"Bearer {key}":
                await self.app(scope, receive, send)
            else:
                await JSONResponse({"detail": "who are you?"}, status_code=401)(scope, receive, send)

    return [Middleware(Guard)]


def main() -> None:
    import uvicorn

    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    given = parser.parse_args()
    uvicorn.run(build(given.folder).app, host=HOST, port=given.port, timeout_graceful_shutdown=2)


if __name__ == "__main__":
    main()
