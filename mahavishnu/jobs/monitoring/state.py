"""What is remembered of what is watched, between checks and in the store."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from pydantic import TypeAdapter

from mahavishnu.stats.detector import Detector, Suspicion


@dataclass(slots=True)
class Track:
    """One share that is watched. Once it has raised the alarm it looks for the end of it, and counts on."""

    suspicion: Suspicion = field(default_factory=Suspicion)
    alarmed: bool = False
    samples: int = 0
    hits: int = 0

    def seen(self, detector: Detector, hit: bool) -> bool:
        """Count one more; whether that changed what is thought of it."""
        if not self.alarmed:
            self.suspicion = detector.seen(self.suspicion, hit)
            self.samples, self.hits = self.suspicion.samples, self.suspicion.hits
            changed = detector.alarmed(self.suspicion)
        else:
            recovery = _recovery(detector)
            self.suspicion = recovery.seen(self.suspicion, hit)
            self.samples, self.hits = self.samples + 1, self.hits + hit
            changed = recovery.alarmed(self.suspicion)
        if changed:
            self.alarmed, self.suspicion = not self.alarmed, Suspicion()
        return changed

    @property
    def share(self) -> float:
        return self.hits / self.samples if self.samples else 0.0


@dataclass(slots=True)
class Block:
    """Counts of something over so many executions; `micros` is what they cost, where that is what is counted."""

    counts: dict[int, int] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)
    samples: int = 0
    micros: int = 0


@dataclass(slots=True)
class History:
    """Two whole blocks that ended before now, and one that is being filled."""

    older: Block = field(default_factory=Block)
    newer: Block = field(default_factory=Block)
    filling: Block = field(default_factory=Block)

    def turn(self, block: int) -> bool:
        """Begin another block where this one is full; whether it was."""
        if self.filling.samples < block:
            return False
        self.older, self.newer, self.filling = self.newer, self.filling, Block()
        return True

    @property
    def samples(self) -> int:
        return self.older.samples + self.newer.samples

    @property
    def micros(self) -> int:
        return self.older.micros + self.newer.micros

    def named(self, name: str) -> int:
        return self.older.names.get(name, 0) + self.newer.names.get(name, 0)

    def counts(self) -> dict[int, int]:
        both = dict(self.older.counts)
        for bucket, count in self.newer.counts.items():
            both[bucket] = both.get(bucket, 0) + count
        return both


@dataclass(slots=True)
class Level:
    """The share of costs in buckets after `limit`; `micros` is what the suspected ones cost."""

    track: Track = field(default_factory=Track)
    limit: int | None = None
    micros: int = 0


@dataclass(slots=True)
class Cost:
    """The costs of one cell, against two percentiles that are learnt: all of them may rise, or only some."""

    middle: Level = field(default_factory=Level)
    tail: Level = field(default_factory=Level)
    history: History = field(default_factory=History)

    @property
    def alarmed(self) -> Level | None:
        """The level that raised the alarm; None while neither has."""
        return next((each for each in (self.middle, self.tail) if each.track.alarmed), None)


@dataclass(slots=True)
class Routing:
    """How tasks of one type are spread: `fallbacks` among all executions, `shares` of targets among the first ones."""

    fallbacks: Track = field(default_factory=Track)
    attempts: History = field(default_factory=History)
    shares: dict[str, Track] = field(default_factory=dict)
    tasks: History = field(default_factory=History)


@dataclass(slots=True)
class Lost:
    count: int = 0
    last_at_us: int = 0


@dataclass(slots=True)
class State:
    """Everything that is remembered between checks; cells by task type, then by target."""

    began_at_us: int | None = None
    failures: dict[str, dict[str, Track]] = field(default_factory=dict)
    costs: dict[str, dict[str, Cost]] = field(default_factory=dict)
    routing: dict[str, Routing] = field(default_factory=dict)
    lost: dict[str, Lost] = field(default_factory=dict)


_DOCUMENTS = TypeAdapter(State)


def state_json(state: State) -> str:
    return _DOCUMENTS.dump_json(state).decode()


def state_of(document: str) -> State:
    return _DOCUMENTS.validate_json(document) if document else State()


@lru_cache(maxsize=4096)
def _recovery(detector: Detector) -> Detector:
    return detector.mirrored()
