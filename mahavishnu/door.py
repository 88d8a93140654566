"""The synchronous door: an event loop in a thread of its own, under the same App."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from mahavishnu.app import App, open_app
from mahavishnu.model import Decision, Outcome, Report, Task
from mahavishnu.model.workflow import Workflow
from mahavishnu.model.workflow_run import WorkflowReport
from mahavishnu.settings import Settings

T = TypeVar("T")


class SyncApp:
    """A running mahavishnu for code that is not async. Safe to use from several threads at once.

    Every method waits until its work is done, and raises what the async one raises. Interrupting it (Ctrl-C) cancels
    the work.
    """

    def __init__(self, app: App, loop: asyncio.AbstractEventLoop) -> None:
        self.app = app
        self._loop = loop

    def execute(self, task: Task, *, policy: str | None = None, seed: int | None = None) -> Report:
        """Choose a target, run the task on it, and on the next ones where that fails. Raises MahavishnuError."""
        return self.run(lambda app: app.orchestrator.execute(task, policy=policy, seed=seed))

    def execute_many(self, tasks: Iterable[Task], *, concurrency: int | None = None) -> list[Report]:
        """A report for each task, in their order; a failed task has its error in `Report.error`."""
        return self.run(lambda app: app.orchestrator.execute_many(tasks, concurrency=concurrency))

    def route(self, task: Task, *, policy: str | None = None, seed: int | None = None) -> Decision:
        """Decide and record the decision, without running anything."""
        return self.run(lambda app: app.orchestrator.route(task, policy=policy, seed=seed))

    def record_outcome(
        self,
        decision_id: str,
        *,
        completed: bool | None = None,
        correct: bool | None = None,
        corrected_to: str | None = None,
        quality: float | None = None,
        note: str | None = None,
    ) -> Outcome:
        """Record what was learnt after the fact about a decision."""
        return self.run(
            lambda app: app.orchestrator.record_outcome(
                decision_id,
                completed=completed,
                correct=correct,
                corrected_to=corrected_to,
                quality=quality,
                note=note,
            )
        )

    def execute_workflow(self, workflow: Workflow, inputs: Mapping[str, Any] | None = None) -> WorkflowReport:
        return self.run(lambda app: app.workflows.execute_workflow(workflow, inputs))

    def run(self, work: Callable[[App], Coroutine[Any, Any, T]]) -> T:
        """Anything else that the async App can do: `app.run(lambda app: app.orchestrator.check_health())`."""
        if self._loop.is_closed():
            raise RuntimeError("this mahavishnu is closed; use it inside of its with block")
        return _waited(asyncio.run_coroutine_threadsafe(work(self.app), self._loop))


@contextmanager
def open(settings: Settings | None = None, *, adapters: Sequence[str] = ()) -> Iterator[SyncApp]:  # noqa: A001
    """Open the store, load the adapters and run, as `open_app` does. The work happens in a thread of its own, so it may
    also be opened where an event loop runs already.
    """
    door = _Door(settings, adapters)
    thread = threading.Thread(target=door.serve, name="mahavishnu")
    thread.start()
    try:
        yield door.opened.result()
    finally:
        door.close()
        thread.join()


class _Door:
    """The thread's side: it keeps the App open until it is told to close it."""

    def __init__(self, settings: Settings | None, adapters: Sequence[str]) -> None:
        self.opened: Future[SyncApp] = Future()
        self._settings = settings
        self._adapters = adapters
        self._loop = asyncio.new_event_loop()
        self._closing = asyncio.Event()

    def serve(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            try:
                runner.run(self._kept_open())
            except BaseException as failure:
                if self.opened.done():
                    raise
                self.opened.set_exception(failure)

    def close(self) -> None:
        # The loop is gone already where the App could not be opened.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._closing.set)

    async def _kept_open(self) -> None:
        async with open_app(self._settings, adapters=self._adapters) as app:
            self.opened.set_result(SyncApp(app, self._loop))
            await self._closing.wait()


def _waited(future: Future[T]) -> T:
    try:
        return future.result()
    except KeyboardInterrupt:
        future.cancel()
        raise
