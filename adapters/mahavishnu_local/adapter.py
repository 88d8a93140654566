"""LocalAdapter: runs Python functions in this process, async ones on the event loop, the others in threads."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import cast

from mahavishnu.errors import AdapterError, Misconfigured, did_you_mean, nearest_name
from mahavishnu.model import HEALTHY, Health, HealthStatus, Result, Status, Target, Task
from mahavishnu.model.registry import ISOLATED, registered_targets
from mahavishnu.ports import Call, RunRef
from mahavishnu_local.calling import Function, Timed
from mahavishnu_local.containment import awaited, called, settled
from mahavishnu_local.functions import Functions
from mahavishnu_local.own_loop import OwnLoop
from mahavishnu_local.runs import Lane, Run
from mahavishnu_local.threads import Threads, discard

_CAPABILITIES = frozenset({"can_monitor_execution", "can_cancel_workflows", "supports_batch_execution"})


class LocalAdapter:
    """Runs functions that are named `package.module:function`, or that were registered with `@target`.

    `paths` are the folders where modules are looked for, before all others; `modules` are imported at once, so that
    what they register is known. Raises Misconfigured for one that cannot be. `max_threads_per_target` bounds how many
    calls of one target run at once; when that many of them hang, the target takes no more. A target with the option
    `isolated` has an event loop of its own for each run.
    """

    name = "local"

    def __init__(
        self, paths: Sequence[str] = (".",), modules: Sequence[str] = (), max_threads_per_target: int = 32
    ) -> None:
        if max_threads_per_target < 1:
            raise ValueError("max_threads_per_target must be at least 1")
        self._limit = max_threads_per_target
        self._functions = Functions(paths)
        for module in modules:
            self._functions.import_module(module, "modules in [adapters.local]")
        self._threads = Threads()
        self._lanes: dict[str, Lane] = {}
        self._runs: dict[str, Run] = {}

    def targets(self) -> Sequence[Target]:
        return registered_targets()

    def supports(self, capability: str) -> bool:
        return capability in _CAPABILITIES

    async def run(self, task: Task, target: Target, call: Call) -> Result:
        until_s = None if call.deadline_s is None else time.monotonic() + call.deadline_s
        lane = self._lane(target)
        lane.check()
        run = self._runs[call.execution_id] = Run(lane, self._threads)
        try:
            function = self._functions.known(target) or await self._found(run, target)
            timed = Timed(partial(function.call, task, until_s))
            ended = await _ended(run, timed, is_async=function.is_async, alone=_isolated(target))
        finally:
            self._runs.pop(call.execution_id, None)
        if isinstance(ended, AdapterError):
            raise ended
        return timed.counted(ended)

    async def status(self, run: RunRef) -> Status | None:
        return Status.RUNNING if run.execution_id in self._runs else None

    async def cancel(self, run: RunRef) -> bool:
        found = self._runs.get(run.execution_id)
        if found is None:
            return False
        found.cancel()
        return True

    async def health(self, target: Target) -> Health:
        lane = self._lane(target)
        try:
            lane.check()
            _isolated(target)
            if self._functions.known(target) is None:
                await self._found(Run(lane, self._threads), target)
        except Misconfigured as problem:
            return Health(HealthStatus.MISCONFIGURED, str(problem))
        except AdapterError as problem:
            return Health(HealthStatus.UNREACHABLE, str(problem))
        return Health(HealthStatus.DEGRADED, lane.complaint) if lane.hanging else HEALTHY

    async def close(self) -> None:
        self._threads.close()

    def _lane(self, target: Target) -> Lane:
        lane = self._lanes.get(target.name)
        if lane is None:
            lane = self._lanes[target.name] = Lane(target.name, self._limit)
        return lane

    async def _found(self, run: Run, target: Target) -> Function:
        """Import in a thread: it may be slow, and it may do anything.

        It is never interrupted: one that takes longer than this run may wait is done when the next run comes.
        """
        found = await run.in_thread(lambda: None, lambda _: self._functions.find(target))
        if isinstance(found, Misconfigured):
            raise found
        return found


def _isolated(target: Target) -> bool:
    """Whether it is to have an event loop of its own. Raises Misconfigured for an option that means nothing."""
    if not target.options:
        return False
    for name in target.options:
        if name != ISOLATED:
            hint = did_you_mean(nearest_name(name, [ISOLATED])) or f"; it takes {ISOLATED}"
            raise Misconfigured(f'"{target.name}" has an unknown option "{name}"{hint}')
    wanted = target.options[ISOLATED]
    if not isinstance(wanted, bool):
        raise Misconfigured(f'option "{ISOLATED}" of "{target.name}" must be true or false, not {wanted!r:.40}')
    return wanted


async def _ended(run: Run, call: Timed, *, is_async: bool, alone: bool) -> Result | AdapterError:
    if alone:
        own = OwnLoop(call)
        return await run.in_thread(own.run, _as_it_is, own.cancel)
    if is_async:
        return await run.on_loop(awaited(call))
    returned = await run.in_thread(partial(called, call), settled)
    if isinstance(returned, Result | AdapterError):
        return returned
    try:
        return await run.on_loop(awaited(lambda: returned))
    finally:
        discard(returned)


def _as_it_is(ended: object) -> Result | AdapterError:
    """What came out of a loop of its own has been looked at there."""
    return cast("Result | AdapterError", ended)
