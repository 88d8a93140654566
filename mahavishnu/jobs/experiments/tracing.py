"""Tracing: how the e-values of an experiment went, in a few hundred points, however many outcomes there were."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from mahavishnu.model.reading import Point

MOST_POINTS = 400


@dataclass(slots=True)
class _Mark:
    """A point, and the position of its outcome. `settled` once every assignment before that has been counted."""

    point: Point
    position: int
    settled: bool = False


class Trace:
    """A point after every outcome, then after every second, every fourth: at counts that are the same in every run.

    Assignments are counted later than outcomes are heard. The ratio of a point is that of all assignments from before
    its outcome, and is put in when they have been counted.

    >>> trace = Trace()
    >>> for outcomes in range(1, 2_000):
    ...     if trace.due(outcomes):
    ...         trace.add(Point(outcomes=outcomes, treated=0, worse=1, better=1, ratio=1, share=0.1), outcomes)
    >>> [each.outcomes for each in trace.path(None)][-3:], len(trace.path(None)) <= MOST_POINTS
    ([1976, 1984, 1992], True)
    """

    def __init__(self) -> None:
        self._stride = 1
        self._marks: list[_Mark] = []
        self._unsettled = 0

    def due(self, outcomes: int) -> bool:
        return outcomes % self._stride == 0

    def add(self, point: Point, position: int) -> None:
        self._marks.append(_Mark(point, position))
        if len(self._marks) >= MOST_POINTS:
            self._stride *= 2
            self._marks = [mark for mark in self._marks if self.due(mark.point.outcomes)]
            self._seek()

    def pass_by(self, position: int, ratio: float) -> None:
        """Everything assigned before this position is in this ratio."""
        while self._unsettled < len(self._marks) and self._marks[self._unsettled].position < position:
            mark = self._marks[self._unsettled]
            mark.point, mark.settled = replace(mark.point, ratio=ratio), True
            self._unsettled += 1

    def path(self, now: Point | None) -> tuple[Point, ...]:
        """With how it stands now at its end. The last points have the ratio that is known so far."""
        points = [
            mark.point if mark.settled or now is None else replace(mark.point, ratio=now.ratio) for mark in self._marks
        ]
        if now is not None and now.outcomes and (not points or points[-1].outcomes < now.outcomes):
            points.append(now)
        return tuple(points)

    def kept(self) -> dict[str, Any]:
        """What is not settled yet has no ratio: which one it had meanwhile depends on when it was looked at."""
        marks = [
            [*asdict(mark.point if mark.settled else replace(mark.point, ratio=0.0)).values(), mark.position]
            for mark in self._marks
        ]
        return {"stride": self._stride, "settled": self._unsettled, "marks": marks}

    @classmethod
    def resumed(cls, kept: Mapping[str, Any]) -> Trace:
        trace = cls()
        trace._stride, trace._unsettled = kept["stride"], kept["settled"]
        trace._marks = [
            _Mark(
                Point(outcomes=outcomes, treated=treated, worse=worse, better=better, ratio=ratio, share=share),
                position,
                place < trace._unsettled,
            )
            for place, (outcomes, treated, worse, better, ratio, share, position) in enumerate(kept["marks"])
        ]
        return trace

    def _seek(self) -> None:
        self._unsettled = sum(mark.settled for mark in self._marks)
