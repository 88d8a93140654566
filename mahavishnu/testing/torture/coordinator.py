"""The coordinator: round after round of work and faults, and the promises checked after each."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mahavishnu.engine.clock import SystemClock
from mahavishnu.model import Budget, Micros, Period
from mahavishnu.storage import SqlStore
from mahavishnu.storage.sql.connection.address import shown_url
from mahavishnu.testing.torture import key_checks, money_checks, process_checks, record_checks
from mahavishnu.testing.torture.database import Lookout, lookout
from mahavishnu.testing.torture.faults import NO_SERVER, Faults, Server
from mahavishnu.testing.torture.fleet import START_S, Fleet, WorkerProcess
from mahavishnu.testing.torture.plan import Kind, Round, kinds_in, round_of
from mahavishnu.testing.torture.records import Journal, Records, Sample, Scene
from mahavishnu.testing.torture.report import Report, RoundReport, announced, concluded, told
from mahavishnu.testing.torture.targets import PAID
from mahavishnu.testing.torture.verdicts import Verdict

BUDGETS = (("torture", Period.TOTAL), ("torture-hourly", Period.HOUR))
RUNS_A_SECOND = 1
"""Paid runs for each worker and second that a round's budget has room for: fewer than the callers ask for."""

IDLE_S = 60.0
SETTLE_S = 20.0

ALL = tuple(Kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`rounds` names the faults of each round; without it they are drawn, until `minutes` have passed.

    `repeat` runs only the round of this number. `command` is what repeats a round, but for its seed and its number.
    """

    store: str
    minutes: float = 5.0
    processes: int = 4
    seed: int = 0
    kinds: Sequence[Kind] = ALL
    rounds: Sequence[Sequence[Kind]] | None = None
    repeat: int | None = None
    round_s: float = 12.0
    lease_s: float = 1.0
    deadline_ms: int = 3000
    callers: int = 5
    config: str = ""
    task_types: Sequence[str] = ()
    text: str = "torture"
    server: Server = NO_SERVER
    keep: bool = False
    command: str = ""


Say = Callable[[str], None]


async def torture(options: Options, say: Say = lambda _: None) -> Report:
    """Run the kit. Raises RuntimeError where it cannot begin; whatever ends it, no process is left behind."""
    folder = Path(tempfile.mkdtemp(prefix=f"torture-{options.seed}-"))
    keep = True
    try:
        with lookout(options.store) as looking:
            await _prepare(options.store)
            report = await _Run(options, folder, looking, say).run()
        keep = options.keep or not report.holds
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    for line in concluded(report):
        say(line)
    return report


async def _prepare(url: str) -> None:
    """Set an empty store up once, and not by all workers at the same time: that is another test."""
    store = SqlStore(url, SystemClock())
    await store.open()
    await store.close()


class _Run:
    def __init__(self, options: Options, folder: Path, looking: Lookout, say: Say) -> None:
        self._options = options
        self._folder = folder
        self._lookout = looking
        self._say = say
        self._id = secrets.token_hex(3)
        spec = {
            "store": options.store,
            "lease_s": options.lease_s,
            "spool": str(folder / "spool"),
            "config": options.config,
        }
        self._fleet = Fleet(spec, options.processes, folder)
        self._samples: list[Sample] = []

    async def run(self) -> Report:
        began_s = time.monotonic()
        reports: list[RoundReport] = []
        try:
            # Before any process spends: one hears of a budget that is made later only with its next refresh.
            await self._add_room(1)
            await self._fleet.start()
            for round_ in self._rounds(began_s):
                for line in announced(round_):
                    self._say(line)
                report = await self._play(round_)
                self._tell(report)
                reports.append(report)
                if report.holds and not self._options.keep:
                    self._fleet.forget()
                if not report.holds:
                    # What one round broke must not be found again in the next.
                    await self._fleet.renew()
                    self._fleet.put_away(f"round-{round_.number}")
            report = await self._end()
            self._tell(report)
            reports.append(report)
        finally:
            await self._fleet.kill()
        return Report(
            store=shown_url(self._options.store),
            seed=self._options.seed,
            processes=self._options.processes,
            seconds=time.monotonic() - began_s,
            rounds=tuple(reports),
            folder=str(self._folder),
        )

    def _rounds(self, began_s: float) -> Iterable[Round]:
        options = self._options
        if options.repeat is not None:
            yield self._round(options.repeat)
        elif options.rounds is not None:
            yield from (self._round(number) for number in range(1, len(options.rounds) + 1))
        else:
            number = 0
            while not number or time.monotonic() - began_s < options.minutes * 60:
                number += 1
                yield self._round(number)

    def _round(self, number: int) -> Round:
        options = self._options
        kinds = kinds_in(options.seed, number, options.kinds) if options.rounds is None else options.rounds[number - 1]
        return round_of(
            options.seed,
            number,
            tuple(kinds),
            processes=options.processes,
            lease_s=options.lease_s,
            seconds=options.round_s,
        )

    def _tell(self, report: RoundReport) -> None:
        for line in told(report):
            self._say(line)

    # -- one round -----------------------------------------------------------------------------------------------------

    async def _play(self, round_: Round) -> RoundReport:
        since = await asyncio.to_thread(self._lookout.newest)
        await self._raise_limits(round_)
        journal = Journal()
        self._fleet.begin_round(journal)
        began_s, began_ns = time.monotonic(), time.monotonic_ns()
        orders = self._orders(round_, began_ns)

        def begin(worker: WorkerProcess) -> None:
            worker.tell(do="go", orders=orders)

        for worker in self._fleet.workers:
            begin(worker)
        faults = Faults(self._fleet, self._lookout, self._options.server, begin)
        try:
            await faults.run(round_.faults, began_s)
            await asyncio.sleep(max(began_s + round_.seconds - time.monotonic(), 0))
        finally:
            faults.lift()
        await self._quiesce(journal)
        probing = await self._probe(round_)
        await self._sample(round_)
        scene = Scene(
            records=await self._settled(since, journal),
            journal=journal,
            lives=self._fleet.lives,
            windows=tuple(faults.windows),
        )
        verdicts = (
            *_of_scene(scene),
            await self._aggregates(),
            process_checks.flat(self._samples),
            process_checks.waits(journal.waits, scene.windows),
            probing,
            process_checks.refusals(journal.leaks, len(journal.waits)),
            process_checks.standing(journal.troubles, len(self._fleet.workers)),
        )
        broken = not all(verdict.holds for verdict in verdicts)
        command = f"{self._options.command} --seed {self._options.seed} --round {round_.number}"
        return RoundReport(
            round=round_,
            verdicts=verdicts,
            counts=_counts(scene),
            answers=Counter(wait.how for wait in journal.waits),
            remarks=tuple(faults.remarks),
            repeat=command if broken and self._options.command else "",
        )

    def _orders(self, round_: Round, began_ns: int) -> dict[str, object]:
        options = self._options
        return {
            "run": self._id,
            "round": round_.number,
            "seed": round_.seed,
            "began_ns": began_ns,
            "values": round_.has(Kind.VALUES),
            "targets": round_.has(Kind.TARGETS),
            "deadline_ms": options.deadline_ms,
            "callers": options.callers,
            "task_types": list(options.task_types),
            "text": options.text,
        }

    async def _raise_limits(self, round_: Round) -> None:
        """Room for part of what this round will ask for. No limit is ever lowered, so that each bounds all charges."""
        await self._add_room(max(round(round_.seconds * self._options.processes * RUNS_A_SECOND * 1000), 20_000))

    async def _add_room(self, room: int) -> None:
        store = SqlStore(self._options.store, SystemClock())
        await store.open()
        try:
            known = {balance.budget.name: balance.budget for balance in await store.balances(time.time_ns() // 1000)}
            for name, period in BUDGETS:
                before = known[name].hard_micros if name in known else 0
                budget = Budget(name=name, hard_micros=Micros((before or 0) + room), period=period, task_type=PAID)
                await store.set_budget(budget)
        finally:
            await store.close()

    async def _quiesce(self, journal: Journal) -> None:
        """Until no worker runs a task any more. One that does not come to rest is killed, and said to be broken."""
        for worker in self._fleet.workers:
            worker.tell(do="idle")
        heard = await asyncio.gather(*(worker.hear("idle", IDLE_S) for worker in self._fleet.workers))
        for worker, idle in zip(list(self._fleet.workers), heard, strict=True):
            if idle is not None:
                continue
            if worker.running:
                log = self._folder / f"{worker.name}.log"
                journal.troubles.append(
                    f"{worker.name} did not come to rest within {IDLE_S:.0f} s and was killed; its stacks: {log}"
                )
                worker.tell(do="stacks")
                await asyncio.sleep(1)
                await worker.kill()
            else:
                journal.troubles.append(f"{worker.name} ended by itself (exit {worker.returncode})")
                worker.killed_ns = worker.killed_ns or time.monotonic_ns()
                await worker.close()
            fresh = await self._fleet.replace(worker.index)
            await fresh.hear("ready", START_S)

    async def _probe(self, round_: Round) -> Verdict:
        """A task without a key and one with a key in every worker; then the evidence of each must hold them all."""
        workers = self._fleet.workers
        counted = await self._ask("count", "counted")
        for worker in workers:
            worker.tell(do="probe", key=f"torture-{self._id}-{round_.number}-probe-{worker.name}")
        probed = [await worker.hear("probed", 30.0) for worker in workers]
        problems = [
            f"{worker.name}: {said['problem'] if said else 'no answer'}"
            for worker, said in zip(workers, probed, strict=True)
            if said is None or said["problem"]
        ]
        succeeded = sum(said["succeeded"] for said in probed if said)
        wanted = [(said["samples"] if said else 0) + succeeded for said in counted]
        for worker, samples in zip(workers, wanted, strict=True):
            worker.tell(do="look", samples=samples)
        looked = [await worker.hear("looked", 30.0) for worker in workers]
        problems += [
            f"{worker.name}: its evidence has {said['samples'] if said else 'no'} samples of the probes, not {samples}"
            for worker, said, samples in zip(workers, looked, wanted, strict=True)
            if said is None or said["samples"] < samples
        ]
        return process_checks.alive(problems, len(workers))

    async def _sample(self, round_: Round) -> None:
        said = await self._ask("sample", "sample")
        self._samples += [
            Sample(
                worker=worker.name,
                round=round_.number,
                rss_kb=found["rss_kb"],
                descriptors=found["descriptors"],
                threads=found["threads"],
            )
            for worker, found in zip(self._fleet.workers, said, strict=True)
            if found is not None
        ]

    async def _ask(self, what: str, answer: str) -> list[dict[str, int] | None]:
        for worker in self._fleet.workers:
            worker.tell(do=what)
        said = [await worker.hear(answer, 10.0) for worker in self._fleet.workers]
        return [None if each is None else dict(each) for each in said]

    # -- looking -------------------------------------------------------------------------------------------------------

    async def _settled(self, since: int, journal: Journal) -> Records:
        """The records as soon as nothing is on its way any more, and after a while as they are."""
        told = {id_ for ack in journal.acks for id_, _status, _cost in ack.ended}
        until = time.monotonic() + SETTLE_S
        while True:
            records = await asyncio.to_thread(self._lookout.read, since)
            missing = told - {row.id for row in records.executions}
            if not (records.open_starts or records.reservations or missing) or time.monotonic() > until:
                return records
            await asyncio.sleep(0.5)

    async def _aggregates(self) -> Verdict:
        """Folded to the end and added up anew by the store that is under test."""
        store = SqlStore(self._options.store, SystemClock())
        await store.open()
        try:
            while True:
                while await store.fold():
                    continue
                cursor, folded = await store.dailies()
                upto, recomputed = await store.recomputed()
                if cursor == upto:
                    return record_checks.aggregates(folded, recomputed)
        finally:
            await store.close()

    async def _end(self) -> RoundReport:
        """Stop everything, and look once more: now nothing at all may be open."""
        journal = Journal()
        self._fleet.begin_round(journal)
        since = await asyncio.to_thread(self._lookout.newest)
        journal.troubles += await self._fleet.stop()
        records = await self._settled(since, journal)
        scene = Scene(records=records, journal=journal, lives=self._fleet.lives)
        return RoundReport(
            round=None,
            verdicts=(
                *_of_scene(scene),
                await self._aggregates(),
                process_checks.standing(journal.troubles, len(self._fleet.workers)),
            ),
            counts=_counts(scene),
        )


def _of_scene(scene: Scene) -> tuple[Verdict, ...]:
    return (
        money_checks.limits(scene),
        money_checks.books(scene),
        key_checks.keys(scene),
        record_checks.acknowledged(scene),
        record_checks.living(scene),
        record_checks.ends(scene),
    )


def _counts(scene: Scene) -> dict[str, int]:
    return {
        "calls": len(scene.journal.waits),
        "reports": len(scene.journal.acks),
        "executions": len(scene.records.executions),
    }
