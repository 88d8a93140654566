"""UnifiedOrchestrator: the engine's face."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from mahavishnu.engine import input_checks
from mahavishnu.engine.recording.collector import Collector
from mahavishnu.engine.routing.admission import Gates
from mahavishnu.engine.routing.assignment import Assigner
from mahavishnu.engine.routing.choice import Chooser, log_decision
from mahavishnu.engine.routing.evidence import EvidenceBook, Stat
from mahavishnu.engine.routing.roster import Roster, Standing
from mahavishnu.engine.running.failures import nothing_eligible
from mahavishnu.engine.running.idempotency import KeyKeeper
from mahavishnu.engine.running.remote_runs import Elsewhere, Whereabouts
from mahavishnu.engine.running.run_state import Run
from mahavishnu.engine.running.runner import Runner
from mahavishnu.engine.running.streams import Stream
from mahavishnu.engine.spending.queue import Drained, Queue, key_of
from mahavishnu.engine.spending.spending import Purse
from mahavishnu.engine.upkeep import Upkeep
from mahavishnu.errors import InputError, InvalidTask, TaskCancelled
from mahavishnu.model import Chunk, Decision, Outcome, Report, Target, Task
from mahavishnu.model.aside import rows_of
from mahavishnu.model.loop import LoopReport, Readiness
from mahavishnu.model.queued import QueuedTask
from mahavishnu.model.unreadable import Unreadable
from mahavishnu.policies.recommendation import Recommendation
from mahavishnu.ports import Adapter, Clock, Policy, Store
from mahavishnu.settings import Settings
from mahavishnu.stats.scoring import Scoring


@dataclass(frozen=True, slots=True)
class Progress:
    """How far `execute_many` has come; `report` is the one that came in last. `total` is None for an endless input."""

    done: int
    total: int | None
    report: Report


class UnifiedOrchestrator:
    """Chooses a target for each task, runs it, records what happened, and learns from it.

    Use it as an async context manager; `mahavishnu.app.open_app` puts one together from settings. `absent` says of each
    adapter that was asked for and could not be loaded why not.
    """

    def __init__(
        self,
        store: Store,
        adapters: Mapping[str, Adapter],
        absent: Mapping[str, str],
        policies: Mapping[str, Policy],
        scoring: Scoring,
        clock: Clock,
        settings: Settings,
        broken_policies: Mapping[str, InputError] | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self._scoring = scoring
        self._book = EvidenceBook(store, scoring)
        self._roster = Roster(settings.targets, adapters, absent, store, clock, settings.breaker)
        self._collector = Collector(store, self._book, clock, settings.store.most_waiting)
        self._purse = Purse(store, clock, store.process_id, settings.attempts.timeout_ms)
        self._queue = Queue(store, clock)
        gates = Gates(self._roster, self._book, self._purse)
        self._chooser = Chooser(
            gates,
            self._book,
            Assigner(settings.experiments.holdout),
            policies,
            settings.routing.policy,
            clock,
            store.process_id,
            broken_policies,
        )
        self._runner = Runner(
            self._roster,
            self._chooser,
            self._collector,
            self._purse,
            self._queue,
            clock,
            settings,
            store,
        )
        self._keys = KeyKeeper(store, self._collector, clock)
        self._elsewhere = Elsewhere(store, self._roster)
        self._running: dict[str, Run] = {}
        self._upkeep = Upkeep(
            store,
            self._collector,
            self._book,
            self._roster,
            self._purse,
            self._queue,
            self.drain_queue,
            clock,
            settings.routing.refresh_s,
        )
        self.tail = 0
        """How many facts had to be folded on top of the newest snapshot when this was opened."""

    async def __aenter__(self) -> UnifiedOrchestrator:
        self.tail = await self._upkeep.begin()
        self._store.say_of_loops(self.loops)
        self._store.when_published(self._book.take_up_own)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop cleanly: what is still running is cancelled, and recorded as that."""
        await self._upkeep.stop()
        for run in list(self._running.values()):
            _cancel(run)
        await asyncio.gather(*(run.over.wait() for run in list(self._running.values())))
        await self._collector.close()

    # -- tasks ---------------------------------------------------------------------------------------------------------

    async def route(self, task: Task, *, policy: str | None = None, seed: int | None = None) -> Decision:
        """Decide without running; the decision is recorded. Raises NothingEligible, and InputError for a bad task."""
        policy, seed = await self._prepare(task, policy, seed)
        decision = self._chooser.choose(task, self._clock.new_id(), policy, seed).decision
        log_decision(decision)
        await self._collector.decided(decision)
        if decision.selected is None:
            raise nothing_eligible(decision)
        return decision

    async def recommend(self, task: Task) -> Recommendation:
        """The best expected target under the task's constraints: no draw, no experiment, nothing recorded.

        The same evidence gives the same answer. Raises NothingEligible, and InputError for a bad task.
        """
        await self._prepare(task, None, None)
        return self._chooser.recommend(task, self._scoring)

    async def execute(self, task: Task, *, policy: str | None = None, seed: int | None = None) -> Report:
        """Decide and run, with retries and fallback. Raises what `Report.error` would hold."""
        report = await self.perform(task, policy=policy, seed=seed)
        if report.error is not None:
            raise report.error
        return report

    async def stream(
        self, task: Task, *, policy: str | None = None, seed: int | None = None
    ) -> AsyncGenerator[Chunk | Report, None]:
        """Like `execute`, bit by bit: every Chunk the moment it is there, and the Report last of all.

        Another target has its turn only as long as no chunk was handed over. Closing the generator cancels the run;
        what it had used by then is recorded, and so is what an answer had used that broke off.
        """
        stream = Stream()
        carrier = asyncio.create_task(self._perform(task, policy, seed, stream))
        carrier.add_done_callback(stream.end)
        try:
            async for chunk in stream.chunks():
                yield chunk
            report = carrier.result()
            if report.error is not None:
                raise report.error
            if not stream.begun and isinstance(report.value, str):
                yield Chunk(text=report.value)
            yield report
        finally:
            carrier.cancel()
            await asyncio.wait({carrier})

    async def perform(self, task: Task, *, policy: str | None = None, seed: int | None = None) -> Report:
        """Like `execute`, with failure as a value: `Report.error` is TaskFailed, NothingEligible, TaskCancelled, or the
        target's own Refused. Raises InputError for a task that cannot be meant, RepositoryError where it cannot be
        recorded."""
        return await self._perform(task, policy, seed, None)

    async def drain_queue(self) -> Drained | None:
        """Run the tasks that wait for a budget and fit by now, in their order; None where another process is at it."""
        return await self._queue.drain(self._perform_queued)

    async def execute_many(
        self,
        tasks: Iterable[Task],
        *,
        concurrency: int | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> list[Report]:
        """Run many, at most `concurrency` at once; the reports stand in the order of the tasks, failures among them."""
        total = len(tasks) if isinstance(tasks, Sequence) else None
        reports: dict[int, Report] = {}
        async for place, report in self.as_completed(tasks, concurrency=concurrency):
            reports[place] = report
            if progress is not None:
                progress(Progress(len(reports), total, report))
        return [reports[place] for place in range(len(reports))]

    async def as_completed(
        self, tasks: Iterable[Task], *, concurrency: int | None = None
    ) -> AsyncGenerator[tuple[int, Report], None]:
        """Each report as soon as it is there, with the place of its task. Reads `tasks` no faster than it runs them.

        Here a task that cannot be meant has a report, too. Closing the generator cancels what is still running.
        """
        waiting = enumerate(input_checks.tasks_of(tasks))
        most = input_checks.concurrency_of(concurrency) or self._settings.limits.concurrency
        running: dict[asyncio.Task[Report], int] = {}
        try:
            while True:
                while len(running) < most and (following := next(waiting, None)) is not None:
                    place, task = following
                    running[asyncio.create_task(self._one_of_many(task))] = place
                if not running:
                    return
                done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for each in sorted(done, key=running.__getitem__):
                    yield running.pop(each), each.result()
        finally:
            for each in running:
                each.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _one_of_many(self, task: Task) -> Report:
        try:
            return await self.perform(task)
        except InputError as error:
            return Report(task=task, decision=None, error=error)

    async def cancel(self, decision_id: str) -> bool:
        """Stop what runs for a decision; whether there was anything to stop.

        A run of this process is over when this returns, and its `execute` raises TaskCancelled. One of another
        process is stopped where its engine runs it. Raises UnknownName, and AdapterError where that engine is away.
        """
        decision_id = input_checks.name_of(decision_id)
        run = self._running.get(decision_id)
        if run is None:
            return await self._elsewhere.cancel(decision_id)
        _cancel(run)
        await run.over.wait()
        return True

    async def reap(self) -> None:
        """Give up processes that are gone now, and not only when it is the turn of the background work to do so."""
        await self._upkeep.reap()

    async def status(self, execution_id: str) -> Whereabouts:
        """An attempt as it was recorded and as its engine sees it now, whichever process began it."""
        return await self._elsewhere.status(input_checks.name_of(execution_id))

    async def record_outcome(
        self,
        decision_id: str,
        *,
        completed: bool | None = None,
        correct: bool | None = None,
        corrected_to: str | None = None,
        quality: float | None = None,
        note: str | None = None,
    ) -> Outcome:
        """Record what was learnt about a decision. Raises UnknownName or InvalidOutcome."""
        outcome = Outcome(
            id=self._clock.new_id(),
            decision_id=decision_id,
            at_us=self._clock.now_us(),
            completed=completed,
            correct=correct,
            corrected_to=corrected_to,
            quality=quality,
            note=note,
        )
        if outcome.corrected_to is not None:
            self._roster.target(outcome.corrected_to)
        await self._collector.learnt(outcome)
        return outcome

    # -- targets -------------------------------------------------------------------------------------------------------

    @property
    def collector(self) -> Collector:
        """Where everything that happens passes through, also what was chosen and run outside of here."""
        return self._collector

    def standings(self) -> Sequence[Standing]:
        """Every target as it stands, by default order."""
        asides = rows_of(self._book.snapshot().put_aside)
        standings = self._roster.standings()
        return [replace(one, asides=tuple(row for row in asides if row.target == one.target.name)) for one in standings]

    def stats(self, task_type: str | None = None, target: str | None = None) -> Sequence[Stat]:
        return self._book.stats(input_checks.maybe_name_of(task_type), input_checks.maybe_name_of(target))

    async def check_health(self) -> None:
        """Ask every target's adapter how it is, now."""
        await self._roster.check(fresh=True)

    async def add_target(self, target: Target) -> None:
        await self._roster.add(input_checks.target_of(target))

    async def put_targets(self, targets: Sequence[Target], before: Mapping[str, Target], *, anew: bool = False) -> None:
        """Add them, or put them in the place of those `before`, with their evidence: see `Targets.put_targets`."""
        put, instead_of = input_checks.targets_of(targets), input_checks.targets_by_name(before)
        await self._roster.put(put, instead_of, forget_switches=anew)

    async def remove_target(self, name: str) -> None:
        await self._roster.remove(input_checks.name_of(name))

    async def switch_target(self, name: str, *, enabled: bool) -> None:
        await self._roster.switch(input_checks.name_of(name), enabled=input_checks.switch_of(name, enabled))

    def unreadable(self) -> Sequence[Unreadable]:
        """The targets, switches, budgets and waiting tasks that this version could not read when it read them last."""
        return (*self._roster.unreadable, *self._purse.unreadable)

    # -- how it is itself ----------------------------------------------------------------------------------------------

    def loops(self) -> Sequence[LoopReport]:
        """Every part of what goes on in the background, and how it stands."""
        return self._upkeep.reports()

    @property
    def ready(self) -> Readiness:
        """False, with the reasons, while any part of that is stale: what it keeps up to date may be old by now."""
        return self._upkeep.readiness()

    # -- inside --------------------------------------------------------------------------------------------------------

    def check(self, task: Task) -> None:
        """Raise InputError for a task that cannot be meant: too long, of a type that nobody takes, a wrong name."""
        task = input_checks.task_of(task)
        size = len(task.text.encode("utf-8", "replace"))
        most = self._settings.limits.max_text_bytes
        if size > most:
            problem = f"has {size} bytes, above limits.max_text_bytes {most}; send a reference or raise the limit"
            raise InvalidTask(field="text", problem=problem)
        self._roster.check_task_type(task.type)
        for name in (task.target, *task.exclude):
            if name is not None:
                self._roster.target(name)

    async def _prepare(self, task: Task, policy: str | None, seed: int | None) -> tuple[str | None, int | None]:
        """Refuse what cannot be meant before anything is decided; ask targets that were never asked how they are."""
        self.check(task)
        policy, seed = input_checks.maybe_name_of(policy), input_checks.seed_of(seed)
        self._chooser.check_policy(policy)
        await self._roster.check(self._roster.taking(task.type))
        return policy, seed

    async def _perform_queued(self, queued: QueuedTask) -> Report:
        return await self._perform(key_of(queued), queued.policy, None, None, queued)

    async def _perform(
        self,
        task: Task,
        policy: str | None,
        seed: int | None,
        stream: Stream | None,
        queued: QueuedTask | None = None,
    ) -> Report:
        began_s = self._clock.monotonic_s()
        policy, seed = await self._prepare(task, policy, seed)
        deadline_s = began_s + (task.deadline_ms or self._settings.attempts.deadline_ms) / 1000
        run = Run(task=task, decision_id=self._clock.new_id(), policy=policy, stream=stream, queued=queued)
        run.deadline_s = deadline_s
        if task.idempotency_key is None:
            return await self._run(run, seed)
        while True:
            holder = await self._keys.claim(task, run.decision_id, deadline_s)
            if holder is None:
                run.token = self._store.token
                return await self._run(run, seed)
            here = self._running.get(holder)
            report = await self._keys.await_report(task, holder, here.over if here else None, deadline_s)
            if report is not None:
                return report

    async def _run(self, run: Run, seed: int | None) -> Report:
        carrier = run.carrier = asyncio.current_task()
        run.began_s = self._clock.monotonic_s()
        self._running[run.decision_id] = run
        try:
            return await self._runner.run_task(run, seed)
        except asyncio.CancelledError:
            if not run.cancelled or carrier is None or carrier.uncancel() > 0:
                raise
            return self._runner.report(run, TaskCancelled(decision_id=run.decision_id))
        finally:
            del self._running[run.decision_id]
            run.over.set()


def _cancel(run: Run) -> None:
    run.cancelled = True
    if run.carrier is not None:
        run.carrier.cancel()
