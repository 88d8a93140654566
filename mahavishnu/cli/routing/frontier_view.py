"""A frontier as rows, as a plot of letters, and as a drawing."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from math import log10
from string import ascii_lowercase

from mahavishnu.model.plan import Frontier, Standing

WIDE, HIGH = 60, 12
"""Letters across and down."""

_LEAST_MICROS = 0.1
"""On a logarithmic scale nothing is free: what is stands at its left end."""


def row(each: Standing) -> tuple[object, ...]:
    return (
        each.target,
        "yes" if each.on_frontier else "no",
        round(each.probability, 3),
        round(each.samples),
        round(each.success, 4),
        round(each.cost_micros / 1e6, 6),
        None if each.latency_ms is None else round(each.latency_ms, 1),
        None if each.quality is None else round(each.quality, 3),
        ", ".join(each.dominated_by),
    )


def plot(found: Frontier) -> Iterator[str]:
    """Success upwards, cost to the right (by its logarithm); a capital letter is on the frontier.

    >>> one = Standing(target="a", samples=9, success=0.5, cost_micros=10, latency_ms=1, quality=None, dominated_by=(),
    ...                probability=1)
    >>> [line.strip() for line in plot((one,))][-1]
    'A = a'
    """
    rows = [[" "] * WIDE for _ in range(HIGH)]
    named: list[str] = []
    for each, (across, up), letter in zip(found, _places(found), ascii_lowercase, strict=False):
        shown = letter.upper() if each.on_frontier else letter
        rows[HIGH - 1 - round(up * (HIGH - 1))][round(across * (WIDE - 1))] = shown
        named.append(f"{shown} = {each.target}")
    rates = [each.success for each in found]
    for number, cells in enumerate(rows):
        edge = {0: f"{max(rates):.3f}", HIGH - 1: f"{min(rates):.3f}"}.get(number, "")
        yield f"{edge:>7} |{''.join(cells)}".rstrip()
    costs = [each.cost_micros / 1e6 for each in found]
    yield f"{'success':>7} +{'-' * WIDE}"
    yield f"{'':8} {f'${min(costs):g}':<{WIDE - 12}}{f'${max(costs):g}':>12}  cost of a run"
    yield "  ".join(named)


def drawing(task_type: str, found: Frontier) -> str:
    """An SVG: filled circles are on the frontier, and the surer that is the darker they are."""
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 420" font-family="sans-serif" font-size="12">',
        f"<title>Frontier of {escape(task_type)}</title>",
        '<rect width="640" height="420" fill="white"/>',
        '<path d="M60 20V360H620" fill="none" stroke="black"/>',
        '<text x="340" y="400" text-anchor="middle">cost of a run in dollars (logarithmic)</text>',
        '<text x="20" y="190" text-anchor="middle" transform="rotate(-90 20 190)">success rate</text>',
    ]
    for each, (across, up) in zip(found, _places(found), strict=True):
        x, y = 80 + across * 500, 340 - up * 300
        fill = f"rgb(20 90 160 / {max(each.probability, 0.1):.2f})" if each.on_frontier else "none"
        told = f"{each.target}: {each.success:.3f} for ${each.cost_micros / 1e6:g}, on it with {each.probability:.0%}"
        circle = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" fill="{fill}" stroke="black">'
        parts.append(f"{circle}<title>{escape(told)}</title></circle>")
        parts.append(f'<text x="{x + 10:.1f}" y="{y - 8:.1f}">{escape(each.target)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _places(found: Frontier) -> list[tuple[float, float]]:
    """Where each lies between 0 and 1, across and upwards."""
    across = _spread([log10(max(each.cost_micros, _LEAST_MICROS)) for each in found])
    up = _spread([each.success for each in found])
    return list(zip(across, up, strict=True))


def _spread(values: list[float]) -> list[float]:
    if not values:
        return []
    low, high = min(values), max(values)
    return [(value - low) / (high - low) if high > low else 0.5 for value in values]
