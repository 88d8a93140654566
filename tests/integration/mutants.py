"""Breaks one line of the source at a time, in a process of its own, and says whether the named tests notice.

`python -m tests.integration.mutants` reads mutants as JSON lines from stdin and answers each with pytest's exit code: 1
where a test failed. Libraries are imported once; each mutant is a fork of that process, in which the finder below
compiles the changed source, so that no file is written. `MUTANTS_LOG` names a file for what pytest prints.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

ROOT = Path(__file__).parents[2]
FOLDERS = (ROOT, ROOT / "adapters", ROOT / "flows")
LIBRARIES = ("alembic", "duckdb", "httpx", "numpy", "pydantic", "pytest", "scipy.stats",
             "sqlalchemy.ext.asyncio", "typer.testing", "yaml")  # fmt: skip
"""What the house imports and no mutant changes."""

BROKEN = 70
"""The exit code where the mutant itself cannot be made."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """`before` must stand in the file exactly once. `row` is the row of the table of requirements that names it."""

    row: str
    path: str
    before: str
    after: str
    test: str

    def __str__(self) -> str:
        return f"{self.row}: {self.before.strip()} -> {self.after.strip()}"


class Changed(SourceFileLoader):
    """Compiles one module with the mutant's text; a module that was compiled before is not asked for."""

    def __init__(self, name: str, path: str, mutant: Mutant) -> None:
        super().__init__(name, path)
        self._mutant = mutant

    def get_code(self, fullname: str) -> CodeType:
        source = Path(self.path).read_text(encoding="utf-8")
        if source.count(self._mutant.before) != 1:
            raise ImportError(
                f"{self._mutant.before!r} stands {source.count(self._mutant.before)} times in {self.path}"
            )
        return compile(source.replace(self._mutant.before, self._mutant.after), self.path, "exec")


class Finder(MetaPathFinder):
    """Finds the module of the mutant's file before any other finder does."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant
        self._path = ROOT / mutant.path

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.rpartition(".")[2] not in (self._path.stem, self._path.parent.name):
            return None
        spec = PathFinder.find_spec(fullname, path)
        if spec is None or spec.origin is None or Path(spec.origin) != self._path:
            return None
        loader = Changed(fullname, spec.origin, self._mutant)
        return importlib.util.spec_from_file_location(
            fullname, spec.origin, loader=loader, submodule_search_locations=spec.submodule_search_locations
        )


def noticed(mutant: Mutant) -> int:
    """The exit code of pytest over its tests, in a fork of this process."""
    child = os.fork()
    if child == 0:
        os._exit(_run(mutant))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _run(mutant: Mutant) -> int:
    import pytest

    try:
        if (ROOT / mutant.path).read_text(encoding="utf-8").count(mutant.before) != 1:
            return BROKEN
        sys.meta_path.insert(0, Finder(mutant))
        with Path(os.environ.get("MUTANTS_LOG", os.devnull)).open("a") as log, redirect_stdout(log):
            print("==", mutant)
            options = [
                "-o",
                "addopts=",
                "--import-mode=importlib",
                "-p",
                "no:cacheprovider",
                "-p",
                "no:xdist",
                "-q",
                "-x",
            ]
            code = int(pytest.main([*options, str(ROOT / mutant.test)]))
            log.flush()
        return code
    except BaseException as problem:
        print(f"{mutant}: {problem!r}", file=sys.stderr)
        return BROKEN


def main() -> None:
    sys.path[:0] = [str(folder) for folder in FOLDERS]
    os.chdir(ROOT)
    for library in LIBRARIES:
        importlib.import_module(library)
    for line in sys.stdin:
        mutant = Mutant(**json.loads(line))
        print(json.dumps({**asdict(mutant), "code": noticed(mutant)}), flush=True)


if __name__ == "__main__":
    main()
