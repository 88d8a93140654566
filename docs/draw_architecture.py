"""Draws docs/architecture.svg from the code: the floors of the import contract, and the rooms that stand on each.

python docs/draw_architecture.py
"""

from __future__ import annotations

import ast
import textwrap
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "architecture.svg"
WIDTH, MARGIN, GAP, LINE, PAD = 1040, 16, 12, 15, 10
LETTER = 6.3
"""About the width of a letter at the size of the text."""


@dataclass(frozen=True, slots=True)
class Room:
    name: str
    purpose: str
    inner: Sequence[str] = ()

    def lines(self, width: float) -> list[str]:
        letters = max(int((width - 2 * PAD) / LETTER), 12)
        inner = ", ".join(self.inner)
        return [*textwrap.wrap(self.purpose, letters), *(textwrap.wrap(f"in it: {inner}", letters) if inner else ())]


def floors() -> list[list[Room]]:
    """The floors of the import contract, the highest first; what stands on one does not import what is above it."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [[_room(name.strip(" ()")) for name in layer.split("|")] for layer in layers]


def guests() -> list[Room]:
    """The packages beside the house: adapters and flows."""
    inits = sorted((*ROOT.glob("adapters/*/__init__.py"), *ROOT.glob("flows/*/__init__.py")))
    return [Room(init.parent.name, _purpose(init)) for init in inits]


def _room(name: str) -> Room:
    path = ROOT / "mahavishnu" / name
    if not path.is_dir():
        return Room(name, _purpose(path.with_suffix(".py")))
    inner = [part.name for part in sorted(path.iterdir()) if (part / "__init__.py").exists()]
    return Room(name, _purpose(path / "__init__.py"), inner)


def _purpose(file: Path) -> str:
    written = ast.get_docstring(ast.parse(file.read_text())) or ""
    return written.partition("\n\n")[0].replace("\n", " ")


def draw() -> str:
    shapes: list[str] = []
    top = float(MARGIN)
    for heading, rooms in (*(("", floor) for floor in floors()), ("Beside the house: adapters and flows", guests())):
        if heading:
            shapes.append(_text(MARGIN, top + GAP + LINE, heading, bold=True))
            top += 2 * GAP + LINE
        width = (WIDTH - 2 * MARGIN - GAP * (len(rooms) - 1)) / len(rooms)
        height = 2 * PAD + LINE * (1 + max(len(room.lines(width)) for room in rooms))
        for column, room in enumerate(rooms):
            shapes += _box(room, MARGIN + column * (width + GAP), top, width, height)
        top += height + GAP
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top:.0f}" font-family="sans-serif">'
    title = "<title>The floors and rooms of mahavishnu: each imports only from floors below its own</title>"
    return "\n".join([head, title, '<rect width="100%" height="100%" fill="#ffffff"/>', *shapes, "</svg>", ""])


def _box(room: Room, left: float, top: float, width: float, height: float) -> Iterator[str]:
    yield (
        f'<rect x="{left:.0f}" y="{top:.0f}" width="{width:.0f}" height="{height:.0f}" rx="4" fill="#f4f6f8"'
        ' stroke="#5b6b7b"/>'
    )
    yield _text(left + PAD, top + PAD + LINE - 4, room.name, bold=True)
    for number, line in enumerate(room.lines(width), 2):
        yield _text(left + PAD, top + PAD + number * LINE - 4, line)


def _text(left: float, top: float, line: str, *, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{left:.0f}" y="{top:.0f}" font-size="12"{weight} fill="#1d2733">{escape(line)}</text>'


if __name__ == "__main__":
    PICTURE.write_text(draw())
