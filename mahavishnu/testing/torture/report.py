"""What a run of the kit found: for people at 80 columns, and as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mahavishnu.testing.torture.plan import Round
from mahavishnu.testing.torture.verdicts import SHOWN, Verdict

WIDTH = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundReport:
    """One round; `round` is None for the last look, after all workers have ended.

    `answers` says how many calls ended in which way: "ok", or by the code of which error.
    """

    round: Round | None
    verdicts: tuple[Verdict, ...]
    counts: Mapping[str, int]
    answers: Mapping[str, int] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    repeat: str = ""

    @property
    def holds(self) -> bool:
        return all(verdict.holds for verdict in self.verdicts)

    @property
    def broken(self) -> frozenset[str]:
        """The names of the promises that did not hold."""
        return frozenset(verdict.name for verdict in self.verdicts if not verdict.holds)

    def shape(self) -> dict[str, Any]:
        return {
            "round": self.round.shape() if self.round else None,
            "holds": self.holds,
            "verdicts": [verdict.shape() for verdict in self.verdicts],
            "counts": dict(self.counts),
            "answers": dict(self.answers),
            "remarks": list(self.remarks),
            "repeat": self.repeat,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    store: str
    seed: int
    processes: int
    seconds: float
    rounds: tuple[RoundReport, ...]
    folder: str = ""

    @property
    def holds(self) -> bool:
        return all(each.holds for each in self.rounds)

    @property
    def broken(self) -> frozenset[str]:
        return frozenset(name for each in self.rounds for name in each.broken)

    def shape(self) -> dict[str, Any]:
        return {
            "store": self.store,
            "seed": self.seed,
            "processes": self.processes,
            "seconds": round(self.seconds, 1),
            "holds": self.holds,
            "broken": sorted(self.broken),
            "folder": self.folder,
            "rounds": [each.shape() for each in self.rounds],
        }


def announced(round_: Round) -> Iterator[str]:
    """The schedule of a round, before it begins."""
    yield ""
    yield f"Round {round_.number}: {' and '.join(round_.kinds) or 'no faults'}, {round_.seconds:g} s"
    for fault in round_.faults:
        yield f"  {fault}"


def told(report: RoundReport) -> Iterator[str]:
    """The verdicts of a round, with what broke each."""
    if report.round is None:
        yield ""
        yield "After all workers have ended"
    yield "  " + ", ".join(f"{count:,} {what}" for what, count in report.counts.items())
    if report.answers:
        answers = sorted(report.answers.items(), key=lambda answer: -answer[1])
        yield from wrapped("  answers: " + ", ".join(f"{count:,} {how}" for how, count in answers), indent=2)
    for verdict in report.verdicts:
        yield from wrapped(f"  {'pass' if verdict.holds else 'FAIL'}  {verdict.promise}", indent=8)
        if figures := _figures(verdict.figures):
            yield from wrapped(f"        {figures}", indent=8)
        for problem in verdict.problems[:SHOWN]:
            yield from wrapped(f"        - {problem}", indent=10)
        if len(verdict.problems) > SHOWN:
            yield f"          and {len(verdict.problems) - SHOWN:,} more"
    for remark in report.remarks:
        yield from wrapped(f"  note  {remark}", indent=8)
    if report.repeat:
        # On one line of its own, to be copied.
        yield "  Repeat this round with:"
        yield f"  {report.repeat}"


def concluded(report: Report) -> Iterator[str]:
    failed = sum(not each.holds for each in report.rounds)
    yield ""
    if not failed:
        played = len(report.rounds) - 1
        yield f"All promises held in {played:,} round{'' if played == 1 else 's'} (seed {report.seed})."
        return
    yield from wrapped(f"Broken: {', '.join(sorted(report.broken))} (seed {report.seed}).")
    if report.folder:
        yield f"What the workers said and did is kept in {report.folder}"


def wrapped(line: str, *, indent: int = 0) -> Sequence[str]:
    return textwrap.wrap(line, WIDTH, subsequent_indent=" " * indent, break_long_words=True) or [""]


def _figures(figures: Mapping[str, int | float | None]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:,}" for name, value in figures.items() if value is not None)
