"""The promises about idempotency keys: one run at a time, none after a success, and none held for nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from mahavishnu.testing.torture.records import Effect, Scene
from mahavishnu.testing.torture.verdicts import Verdict, verdict


@dataclass(frozen=True, slots=True)
class KeyRun:
    """One run of a keyed target. It ends with its process where that was killed; None where it has not ended."""

    worker: str
    begin_ns: int
    end_ns: int | None


def keys(scene: Scene) -> Verdict:
    runs = key_runs(scene.journal.effects, {life.worker: life.killed_ns for life in scene.lives})
    problems = [*_overlaps(runs), *_repeats(scene, runs), *_held(scene)]
    return verdict(
        "keys",
        "A key runs once while its holder lives, never after a success, and is free once its run is over",
        problems,
        keys=len(runs),
        runs=sum(len(each) for each in runs.values()),
    )


def key_runs(effects: Sequence[Effect], killed: Mapping[str, int | None]) -> dict[str, list[KeyRun]]:
    """The runs of each key, by when they began."""
    ends = {(effect.worker, effect.run): effect.at_ns for effect in effects if not effect.begins}
    runs: dict[str, list[KeyRun]] = {}
    for effect in effects:
        if effect.begins:
            end_ns = ends.get((effect.worker, effect.run), killed.get(effect.worker))
            runs.setdefault(effect.key, []).append(KeyRun(effect.worker, effect.at_ns, end_ns))
    for of_key in runs.values():
        of_key.sort(key=lambda run: run.begin_ns)
    return runs


def _overlaps(runs: Mapping[str, Sequence[KeyRun]]) -> Iterator[str]:
    for key, of_key in runs.items():
        holder: KeyRun | None = None
        for run in of_key:
            if holder is not None and run.begin_ns < _end(holder):
                early_ms = (_end(holder) - run.begin_ns) / 1e6
                until = "has not ended" if holder.end_ns is None else f"ended {early_ms:,.0f} ms later"
                yield f"key {key}: {run.worker} began while {holder.worker} was running it, which {until}"
            if holder is None or _end(run) > _end(holder):
                holder = run


def _end(run: KeyRun) -> float:
    return inf if run.end_ns is None else run.end_ns


def _repeats(scene: Scene, runs: Mapping[str, Sequence[KeyRun]]) -> Iterator[str]:
    acked: dict[str, dict[str, int]] = {}
    for ack in scene.journal.acks:
        if ack.key is not None and ack.succeeded:
            of_key = acked.setdefault(ack.key, {})
            of_key[ack.decision_id] = min(ack.at_ns, of_key.get(ack.decision_id, ack.at_ns))
    for key, decisions in acked.items():
        if len(decisions) > 1:
            yield f"key {key}: {len(decisions)} decisions were each acknowledged as its success"
        first_ns = min(decisions.values())
        for run in runs.get(key, ()):
            if run.begin_ns > first_ns:
                late_ms = (run.begin_ns - first_ns) / 1e6
                yield f"key {key}: {run.worker} began {late_ms:,.0f} ms after its success was acknowledged"


def _held(scene: Scene) -> Iterator[str]:
    """By a process that runs and is idle: it would be refused for as long as that one lives."""
    for held in scene.records.held_keys:
        if held.process_id in scene.running:
            yield f"key {held.key}: held by decision {held.decision_id}, whose process is idle"
