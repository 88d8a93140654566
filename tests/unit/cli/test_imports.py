"""What a command imports is what its user waits for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mahavishnu.cli.commands import COMMANDS
from mahavishnu.cli.common.lazy import Entry, build

HEAVY = {"alembic", "duckdb", "httpx", "numpy", "prefect", "scipy"}
"""What no command that only reads has a use for."""
OURS = {"mahavishnu.app", "mahavishnu.engine", "mahavishnu.model", "mahavishnu.ports", "mahavishnu.storage"}


def imported(folder: Path, *arguments: str) -> set[str]:
    """The modules of a process that ran one command."""
    program = (
        "import io, sys, contextlib\n"
        "from mahavishnu.cli.main import run\n"
        "with contextlib.redirect_stdout(io.StringIO()): code = run(sys.argv[1:])\n"
        "print(code, *sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    code, *modules = done.stdout.split()
    assert code == "0", done.stderr
    return set(modules)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with a store in it, of this version."""
    made = tmp_path_factory.mktemp("with_store")
    imported(made, "store", "upgrade")
    return made


def test_the_list_of_commands_imports_no_command_and_nothing_that_a_command_stands_on(tmp_path: Path):
    modules = imported(tmp_path, "--help")
    assert modules & (HEAVY | OURS | {"asyncio", "pydantic", "sqlalchemy"}) == set()
    ours = {name for name in modules if name.startswith("mahavishnu.cli.")}
    shared = {f"mahavishnu.cli.common.{name}" for name in ("answer", "exits", "flags", "layout", "lazy", "printing")}
    assert ours == {"mahavishnu.cli.commands", "mahavishnu.cli.common", "mahavishnu.cli.main"} | shared


def test_the_list_of_targets_imports_no_other_command_and_nothing_heavy(folder: Path):
    modules = imported(folder, "targets", "list")
    assert (
        modules & (HEAVY | {"sqlalchemy.orm", "sqlalchemy.dialects.postgresql", "mahavishnu.storage.memory.store"})
        == set()
    )
    others = ("money", "experiments", "tasks", "targets.sandbox")
    assert modules & {f"mahavishnu.cli.{name}" for name in others} == set()


def test_a_command_that_only_reads_the_store_imports_no_engine(folder: Path):
    modules = imported(folder, "decisions")
    assert modules & (HEAVY | {"mahavishnu.engine.orchestrator", "mahavishnu.jobs", "mahavishnu.policies"}) == set()


def entries(known: dict[str, Entry], path: str = "") -> list[tuple[str, Entry]]:
    """Every entry of the table with the words that call it, nested ones included."""
    rows = [(f"{path} {name}".strip(), entry) for name, entry in known.items()]
    return rows + [row for words, entry in rows for row in entries(dict(entry.groups), words)]


@pytest.mark.parametrize(("words", "entry"), [pytest.param(*row, id=row[0]) for row in entries(dict(COMMANDS))])
def test_the_list_says_of_a_command_what_its_own_help_begins_with(words: str, entry: Entry):
    first, _, _ = build(entry).help.partition("\n\n")
    assert " ".join(first.split()) == entry.summary
