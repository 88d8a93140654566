"""Flows in this process: run by Prefect's own engine in a thread, and shown by the server like any other run."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mahavishnu.errors import AdapterError, Cancelled, Crashed
from mahavishnu.model import Result, Target, Task
from mahavishnu.ports import Call
from mahavishnu_prefect import library
from mahavishnu_prefect.failures import failure_of
from mahavishnu_prefect.flow_runs import STOP_S, FlowRuns, result_of
from mahavishnu_prefect.flows import Flows
from mahavishnu_prefect.handover import Delivery, as_json, delivered
from mahavishnu_prefect.options import FlowOptions, options_of
from mahavishnu_prefect.parameters import check, parameters_of
from mahavishnu_prefect.records import ANYTHING, NAMED, FlowRun
from mahavishnu_prefect.rest import Api, work_begun
from mahavishnu_prefect.threads import Failed, in_thread

if TYPE_CHECKING:
    from prefect import Flow

_WATCH_S = 0.5
"""How often a run is asked whether somebody has cancelled it on the server."""


class InProcess:
    """Runs flows; `at_once` bounds how many of them."""

    def __init__(self, api: Api, flow_runs: FlowRuns, flows: Flows, at_once: int) -> None:
        self._api = api
        self._flow_runs = flow_runs
        self._flows = flows
        self._room = asyncio.Semaphore(at_once)

    async def run(self, task: Task, target: Target, call: Call) -> Result:
        async with self._room:
            with work_begun(False):
                flow = await self._flows.find(target.run)
                flow_run = await self._created(flow, task, target, call)
            run_id = str(flow_run["id"])
            with work_begun(True):
                await call.announce(run_id)
                settings = _Settings(self._api.url, self._api.api_key, self._api.basic_auth)
                return await self._followed(_Engine(flow, flow_run, settings), run_id)

    async def _created(self, flow: Flow[..., Any], task: Task, target: Target, call: Call) -> dict[str, Any]:
        options = options_of(target, FlowOptions)
        schema = flow.parameters.model_dump_for_openapi()
        parameters = parameters_of(target.run, task, options.parameters, schema)
        check(target.run, parameters, {}, schema)
        flow_id = (await self._api.send(NAMED, "/flows/", {"name": flow.name})).id
        wanted = {
            "flow_id": flow_id,
            "parameters": parameters,
            "tags": options.tags,
            "labels": {"mahavishnu.target": target.name, "mahavishnu.execution": call.execution_id},
            "idempotency_key": call.execution_id,
            "state": {"type": "PENDING", "name": "Pending"},
        }
        created: dict[str, Any] = await self._api.send(ANYTHING, "/flow_runs/", wanted)
        return created

    async def _followed(self, engine: _Engine, run_id: str) -> Result:
        """Until it has ended, or was cancelled: here by its caller, or on the server by anybody."""
        work = asyncio.ensure_future(in_thread(engine.run))
        watch = asyncio.ensure_future(self._cancelled_on_server(run_id))
        try:
            await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise _cancelled(run_id)
            return await self._result(work, run_id)
        except (asyncio.CancelledError, Cancelled):
            if not work.done():
                await self._let_go(engine, work, run_id)
            raise
        finally:
            for each in (work, watch):
                each.cancel()
            await asyncio.wait({work, watch})

    async def _let_go(self, engine: _Engine, work: asyncio.Future[Any], run_id: str) -> None:
        """Stop it here and say so to the server, at once: there is a moment for both together."""
        told = asyncio.ensure_future(self._flow_runs.stop(run_id))
        engine.stop()
        await asyncio.wait({work}, timeout=STOP_S if engine.can_stop else 0)
        await told

    async def _cancelled_on_server(self, run_id: str) -> None:
        while True:
            await asyncio.sleep(_WATCH_S)
            # What cannot be asked now is asked again in a moment.
            with suppress(AdapterError):
                flow_run = await self._flow_runs.find(run_id)
                if flow_run is not None and flow_run.stopping:
                    return

    async def _result(self, work: asyncio.Future[Any], run_id: str) -> Result:
        try:
            returned = work.result()
        except Failed as failure:
            if await self._failed_of_being_cancelled(run_id):
                raise _cancelled(run_id) from failure.cause
            raise failure_of(failure.cause) from failure.cause
        flow_run = await self._api.patiently(lambda: self._flow_runs.now(run_id))
        if await self._was_cancelled(flow_run):
            raise _cancelled(run_id)
        delivery = await self._api.patiently(lambda: delivered(self._api, run_id))
        if isinstance(returned, Result):
            return replace(returned, value=_plain(returned.value), run_id=run_id)
        return result_of(flow_run, delivery or Delivery(value=_plain(returned)))

    async def _failed_of_being_cancelled(self, run_id: str) -> bool:
        """Whether it was cancelled on the server before we have seen that it was; a server that is gone cannot tell."""
        with suppress(AdapterError):
            return await self._was_cancelled(await self._flow_runs.now(run_id))
        return False

    async def _was_cancelled(self, flow_run: FlowRun) -> bool:
        """Prefect's engine leaves a run that was cancelled before it began as cancelling: nobody else will end it."""
        if flow_run.type == "CANCELLING":
            over = {"state": {"type": "CANCELLED"}}
            await self._api.patiently(lambda: self._api.send(ANYTHING, f"/flow_runs/{flow_run.id}/set_state", over))
        return flow_run.stopping


def _cancelled(run_id: str) -> Cancelled:
    return Cancelled(f"flow run {run_id} was cancelled in Prefect")


def _plain(value: Any) -> Any:
    try:
        return as_json(value)
    except ValueError as problem:
        raise Crashed(f"the flow returned something that {problem}") from problem


@dataclass(frozen=True, slots=True)
class _Settings:
    url: str
    api_key: str | None = field(repr=False)
    basic_auth: str | None = field(repr=False)


class _Engine:
    """One run by Prefect's engine, off the main thread.

    On the main thread the engine would take SIGTERM away from whoever handles it there, and an async flow that blocks
    would hold up everything else; so an async flow gets an event loop of its own. A flow that is not async cannot be
    interrupted: it goes on until its end, as cancelling, and nobody hears of what it comes to.
    """

    def __init__(self, flow: Flow[..., Any], flow_run: Mapping[str, Any], settings: _Settings) -> None:
        self._flow = flow
        self._flow_run = flow_run
        self._settings = settings
        self._stopped = threading.Event()
        self._running: tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]] | None = None

    @property
    def can_stop(self) -> bool:
        return self._flow.isasync

    def stop(self) -> None:
        self._stopped.set()
        if self._running is not None:
            loop, task = self._running
            # It may have ended this very moment.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(task.cancel)

    def run(self) -> Any:
        from prefect.client.schemas.objects import FlowRun
        from prefect.flow_engine import run_flow

        settings = self._settings
        with library.settings_for(settings.url, settings.api_key, settings.basic_auth):
            try:
                # Parameters are taken from the run, as on a worker, so that defaults are filled in.
                begun = run_flow(self._flow, flow_run=FlowRun.model_validate(self._flow_run))
                return asyncio.run(self._awaited(begun)) if isinstance(begun, Coroutine) else begun
            finally:
                if self._stopped.is_set():
                    self._mark_cancelled()

    async def _awaited(self, begun: Coroutine[Any, Any, Any]) -> Any:
        task = asyncio.ensure_future(begun)
        self._running = (asyncio.get_running_loop(), task)
        if self._stopped.is_set():
            task.cancel()
        return await task

    def _mark_cancelled(self) -> None:
        """Say what it was: Prefect's engine calls a flow that was interrupted crashed, and leaves others cancelling."""
        from prefect.client.orchestration import get_client
        from prefect.states import Cancelled as CancelledState

        run_id = self._flow_run["id"]
        with get_client(sync_client=True) as client:
            state = client.read_flow_run(run_id).state
            if state is not None and (state.is_cancelling() or state.is_crashed()):
                client.set_flow_run_state(run_id, CancelledState(message="Stopped by mahavishnu."), force=True)
