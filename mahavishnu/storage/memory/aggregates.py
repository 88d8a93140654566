"""Daily aggregates and jobs of the store in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from mahavishnu.model import Daily
from mahavishnu.ports import Clock, Evidence, JobRun
from mahavishnu.stats.evidence import Tally, day_of_fact

Key = tuple[int, str, str]


@dataclass(slots=True)
class AggregateMemory:
    """Kept as cards that nobody changes, so that what was read stays what it was."""

    cursor: int = 0
    days: dict[Key, Daily] = field(default_factory=dict)

    def add(self, facts: Iterable[Evidence], upto: int) -> None:
        self.days.update(_folded(facts, self.days))
        self.cursor = upto

    def since(self, day: int | None) -> list[Daily]:
        return [each for _, each in sorted(self.days.items()) if day is None or each.day >= day]

    def replace(self, dailies: Sequence[Daily], since_day: int | None) -> None:
        kept = {} if since_day is None else {key: each for key, each in self.days.items() if key[0] < since_day}
        self.days = {**kept, **{_key(each): each for each in dailies}}


def recomputed(facts: Iterable[Evidence], since_day: int | None) -> list[Daily]:
    found = _folded((fact for fact in facts if since_day is None or day_of_fact(fact) >= since_day), {})
    return [each for _, each in sorted(found.items())]


def _folded(facts: Iterable[Evidence], before: dict[Key, Daily]) -> dict[Key, Daily]:
    tallies: dict[Key, Tally] = {}
    for fact in facts:
        key = day_of_fact(fact), fact.task_type, fact.target
        tally = tallies.get(key)
        if tally is None:
            known = before.get(key)
            tally = tallies[key] = Tally(None if known is None else known.card)
        tally.add(fact)
    return {key: Daily(day=key[0], card=tally.card(key[2], key[1])) for key, tally in tallies.items()}


def _key(daily: Daily) -> Key:
    return daily.day, daily.card.task_type, daily.card.target


@dataclass(slots=True)
class _Run:
    run: JobRun
    process_id: str
    until_s: float

    def goes_on(self, now_s: float) -> bool:
        return self.run.ended_at_us is None and self.until_s > now_s


@dataclass(slots=True)
class JobMemory:
    runs: dict[str, _Run] = field(default_factory=dict)

    def claim(
        self, name: str, run_id: str, process_id: str, clock: Clock, until_s: float, lives: Callable[[str], bool]
    ) -> str | None:
        held = self.runs.get(name)
        if held is not None and held.goes_on(clock.monotonic_s()) and lives(held.process_id):
            return None
        run = JobRun(
            name=name,
            run_id=run_id,
            started_at_us=clock.now_us(),
            ended_at_us=None,
            ok=None,
            note="",
            succeeded_at_us=None if held is None else held.run.succeeded_at_us,
        )
        self.runs[name] = _Run(run, process_id, until_s)
        return run_id

    def extend(self, run_id: str, until_s: float) -> bool:
        held = self._running(run_id)
        if held is not None:
            held.until_s = until_s
        return held is not None

    def finish(self, run_id: str, now_us: int, ok: bool, note: str) -> None:
        held = self._running(run_id)
        if held is not None:
            succeeded = now_us if ok else held.run.succeeded_at_us
            held.run = replace(held.run, ended_at_us=now_us, ok=ok, note=note, succeeded_at_us=succeeded)

    def newest(self) -> list[JobRun]:
        return [held.run for _, held in sorted(self.runs.items())]

    def _running(self, run_id: str) -> _Run | None:
        return next((h for h in self.runs.values() if h.run.run_id == run_id and h.run.ended_at_us is None), None)
