"""The plots of an experiment's report, as SVG: how the evidence grew, who was treated, where the guardrails stand.

The page colours them by their classes; lines differ in their dashes as well, so that they can be told apart on paper.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

from mahavishnu.model.reading import GuardrailReading, Point, Reading

_WIDE, _HIGH = 720, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 36, 44

_LEAST_E, _MOST_E = 1e-3, 1e9
"""Beyond these an e-value is drawn at the edge."""

_ROW = 34

Scale = Callable[[float], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    name: str
    style: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Level:
    """A value that means something, across the whole plot."""

    name: str
    style: str
    value: float


def evidence_plot(reading: Reading) -> str:
    """The e-values after so many outcomes, on a logarithmic scale, with where is acted."""
    path = reading.path
    lines = [
        _Line(name="worse (all guardrails)", style="worse", points=_points(path, lambda each: _in_view(each.worse))),
        _Line(
            name="better (primary measure)", style="better", points=_points(path, lambda each: _in_view(each.better))
        ),
        _Line(name="arms filled wrongly", style="ratio", points=_points(path, lambda each: _in_view(each.ratio))),
    ]
    levels = [
        _Level(name=f"acted on at {reading.needed:g}", style="worse", value=reading.needed),
        _Level(name=f"broken at {reading.ratio_needed:g}", style="ratio", value=reading.ratio_needed),
    ]
    values = [value for line in lines for _, value in line.points] + [each.value for each in levels]
    low, high = floor(log10(min(values)) - 0.01), ceil(log10(max(values)) + 0.01)
    step = ceil((high - low) / 8)

    def up(value: float) -> float:
        return (log10(value) - low) / (high - low)

    ticks = [(10.0**power, f"{10.0**power:g}") for power in range(low, high + 1, step)]
    return _plot("E-values", "e-value (logarithmic)", lines, levels, up, ticks)


def shares_plot(reading: Reading) -> str:
    """The treatment's share of all outcomes so far: what was to be expected of its probabilities, and what was seen."""
    expected: list[tuple[float, float]] = []
    seen: list[tuple[float, float]] = []
    due = 0.0
    before = 0
    for each in reading.path:
        due += each.share * (each.outcomes - before)
        before = each.outcomes
        expected.append((each.outcomes, due / each.outcomes))
        seen.append((each.outcomes, each.treated / each.outcomes))
    lines = [
        _Line(name="expected", style="expected", points=expected),
        _Line(name="seen", style="seen", points=seen),
    ]
    highest = max([value for line in lines for _, value in line.points], default=0.1)
    step = _round_step(highest / 4)
    top = step * ceil(highest / step + 0.01)
    ticks = [(place * step, f"{100 * place * step:.3g} %") for place in range(round(top / step) + 1)]
    return _plot("Share of the treatment", "share of outcomes", lines, (), lambda value: value / top, ticks)


def guardrails_plot(guardrails: Sequence[GuardrailReading]) -> str:
    """Where the difference of each rate may lie, and how much of it its margin allows; none where none is of rates."""
    found = [each for each in guardrails if each.lo is not None and each.hi is not None]
    if not found:
        return ""
    ends = [abs(end) for each in found for end in (each.lo or 0.0, each.hi or 0.0, each.margin)]
    reach = min(1.0, max(max(ends) * 1.15, 0.05))
    high = _TOP + _ROW * len(found) + _BOTTOM

    def across(value: float) -> float:
        return _LEFT + 60 + (min(max(value, -reach), reach) + reach) / (2 * reach) * (_WIDE - _LEFT - 60 - _RIGHT)

    parts = list(_opening("Differences, treatment less control", high))
    legend = "where the difference may lie (bar), and how much of it the margin allows (dotted)"
    parts.append(f'<text x="{_LEFT}" y="20">{legend}</text>')
    foot = high - _BOTTOM
    step = _round_step(reach / 3)
    for place in range(-floor(reach / step), floor(reach / step) + 1):
        x, value = across(place * step), 100 * place * step
        parts.append(f'<path class="grid" d="M{x:.1f} {_TOP}V{foot}"/>')
        name = f"{value:+.3g}" if place else "0"
        parts.append(f'<text x="{x:.1f}" y="{foot + 18}" text-anchor="middle">{name}</text>')
    parts.append(f'<path class="axis" d="M{across(0):.1f} {_TOP}V{foot}"/>')
    parts.append(f'<text x="{across(0):.1f}" y="{foot + 36}" text-anchor="middle">points</text>')
    for row, each in enumerate(found):
        y = _TOP + _ROW * row + _ROW / 2
        x0, x1, allowed = across(each.lo or 0.0), across(each.hi or 0.0), across(-each.margin)
        told = f"{each.measure.value}: {100 * (each.lo or 0):+.3g} to {100 * (each.hi or 0):+.3g} points"
        parts.append(f'<text x="8" y="{y + 4:.1f}">{escape(each.measure.value)}</text>')
        parts.append(f'<path class="span" d="M{x0:.1f} {y:.1f}H{x1:.1f}"><title>{escape(told)}</title></path>')
        parts.append(f'<path class="level worse" d="M{allowed:.1f} {y - 12:.1f}V{y + 12:.1f}"/>')
    return "\n".join([*parts, "</svg>"])


def _plot(
    title: str,
    measured: str,
    lines: Sequence[_Line],
    levels: Sequence[_Level],
    up: Scale,
    ticks: Sequence[tuple[float, str]],
) -> str:
    outcomes = max((x for line in lines for x, _ in line.points), default=1.0)

    def across(value: float) -> float:
        return _LEFT + value / outcomes * (_WIDE - _LEFT - _RIGHT)

    def down(value: float) -> float:
        return _HIGH - _BOTTOM - up(value) * (_HIGH - _TOP - _BOTTOM)

    parts = [*_opening(title, _HIGH), *_axes(outcomes, across, down, ticks)]
    foot = f'<text x="{_WIDE / 2}" y="{_HIGH - 8}" text-anchor="middle">outcomes</text>'
    side = f'<text x="14" y="{_HIGH / 2}" text-anchor="middle" transform="rotate(-90 14 {_HIGH / 2})">{measured}</text>'
    parts += [foot, side]
    lowest = min((each.value for each in levels), default=0.0) if len(levels) > 1 else None
    for each in levels:
        y = down(each.value)
        # The names of two that lie close together are not to cover each other.
        beside = y + 14 if each.value == lowest else y - 4
        parts.append(f'<path class="level {each.style}" d="M{_LEFT} {y:.1f}H{_WIDE - _RIGHT}"/>')
        parts.append(f'<text x="{_WIDE - _RIGHT}" y="{beside:.1f}" text-anchor="end">{escape(each.name)}</text>')
    for place, line in enumerate(lines):
        parts += _drawn(line, across, down)
        x = _LEFT + 210 * place
        parts.append(f'<path class="line {line.style}" d="M{x} 20H{x + 28}"/>')
        parts.append(f'<text x="{x + 34}" y="24">{escape(line.name)}</text>')
    return "\n".join([*parts, "</svg>"])


def _opening(title: str, high: float) -> Iterator[str]:
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDE} {high:g}" role="img">'
    yield f"<title>{escape(title)}</title>"


def _axes(outcomes: float, across: Scale, down: Scale, ticks: Sequence[tuple[float, str]]) -> Iterator[str]:
    right, foot = _WIDE - _RIGHT, _HIGH - _BOTTOM
    for value, name in ticks:
        y = down(value)
        yield f'<path class="grid" d="M{_LEFT} {y:.1f}H{right}"/>'
        yield f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{name}</text>'
    step = _round_step(outcomes / 6)
    for place in range(floor(outcomes / step) + 1):
        x = across(place * step)
        yield f'<text x="{x:.1f}" y="{foot + 18}" text-anchor="middle">{place * step:,.0f}</text>'
    yield f'<path class="axis" d="M{_LEFT} {_TOP}V{foot}H{right}"/>'


def _drawn(line: _Line, across: Scale, down: Scale) -> Iterator[str]:
    if line.points:
        places = " ".join(f"{across(x):.1f},{down(y):.1f}" for x, y in line.points)
        yield f'<polyline class="line {line.style}" points="{places}"/>'


def _points(path: Sequence[Point], value: Callable[[Point], float]) -> list[tuple[float, float]]:
    return [(float(each.outcomes), value(each)) for each in path]


def _in_view(e_value: float) -> float:
    return min(max(e_value, _LEAST_E), _MOST_E)


def _round_step(least: float) -> float:
    """The next of 1, 2, 5, 10, 20, 50, … (or .1, .2, .5) from here.

    >>> _round_step(3), _round_step(170), round(_round_step(0.03), 9)
    (5.0, 200.0, 0.05)
    """
    size = 10.0 ** floor(log10(max(least, 1e-9)))
    return next(factor * size for factor in (1.0, 2.0, 5.0, 10.0) if factor * size >= least * (1 - 1e-9))
