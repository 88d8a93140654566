"""Promises of the house that no other test sees."""

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*ROOT.glob("mahavishnu/**/*.py"), *ROOT.glob("adapters/**/*.py"), *ROOT.glob("flows/**/*.py")])
CONFORMANCE = ROOT / "docs" / "conformance.md"
NAMED_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def test_the_core_imports_no_engine_and_no_vendor():
    code = (
        "import sys, mahavishnu.app, mahavishnu.cli.main; "
        "print([m for m in ('prefect', 'agno', 'llama_index', 'openai') if m in sys.modules])"
    )
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert seen.stdout.strip() == "[]"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_file_is_longer_than_a_person_would_read(path):
    assert len(path.read_text().splitlines()) <= 400


def names_in(path):
    names = {
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    return {name for name in names if name.startswith(("test_", "promise_"))}


def test_every_test_that_the_conformance_table_names_exists():
    named = NAMED_TEST.findall(CONFORMANCE.read_text())
    assert named, "the table names no test at all"
    missing = [f"{path}::{name}" for path, name in named if name not in names_in(ROOT / path)]
    assert missing == []


def test_every_row_of_the_conformance_table_is_proven_open_or_narrative():
    rows = [line for line in CONFORMANCE.read_text().splitlines() if re.match(r"\| (\d{3}|conflict)-", line)]
    assert len(rows) > 300
    odd = [row for row in rows if not (row.endswith(("| open |", "| nothing to build |")) or NAMED_TEST.search(row))]
    assert odd == []


def test_every_place_that_the_conformance_table_names_exists():
    rows = [line for line in CONFORMANCE.read_text().splitlines() if re.match(r"\| (\d{3}|conflict)-", line)]
    places = [place for row in rows for place in re.findall(r"`([^`]+)`", re.split(r"(?<!\\)\|", row)[3])]
    assert len(places) > 100
    folders = (ROOT, ROOT / "mahavishnu")
    assert [place for place in places if not any((folder / place).exists() for folder in folders)] == []


def test_the_lock_names_no_registry():
    assert "://" not in (ROOT / "requirements.lock").read_text()


def test_the_picture_of_the_architecture_is_what_the_code_says():
    spec = importlib.util.spec_from_file_location("draw_architecture", ROOT / "docs" / "draw_architecture.py")
    drawing = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = drawing
    spec.loader.exec_module(drawing)
    assert drawing.PICTURE.read_text() == drawing.draw(), "run: python docs/draw_architecture.py"


def test_every_place_that_the_page_on_architecture_names_is_there_and_says_it():
    page = (ROOT / "docs" / "architecture.md").read_text()
    places = re.findall(r"`((?:mahavishnu|adapters|docs)/[\w/.]+)`", page)
    assert len(set(places)) > 20
    assert [place for place in places if not (ROOT / place).exists()] == []
    told = re.findall(r"`((?:mahavishnu|adapters)/[\w/]+\.py)`: `(\w+)`", page) + [
        (place, name) for name, place in re.findall(r"`(\w+)` in `(mahavishnu/[\w/]+\.py)`", page)
    ]
    assert len(told) >= 8
    missing = [
        f"{place}: {name}" for place, name in told if not re.search(rf"def {name}\b", (ROOT / place).read_text())
    ]
    assert missing == []
