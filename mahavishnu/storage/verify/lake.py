"""Whether the lake is what the database says: every part there and as it was written, and nothing besides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from mahavishnu.storage.lake.duck import duck, parquet
from mahavishnu.storage.lake.folder import SEAL, Folder, digest_of
from mahavishnu.storage.sql.lake_manifest import Part
from mahavishnu.storage.verify.findings import Finding, Subject

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_NUMBERED = ("executions", "decisions", "assignments", "outcomes")


def lake_equals_manifest(subject: Subject, finding: Finding) -> None:
    missing = set(subject.moment.missing)
    with duck() as connection:
        for part in subject.parts:
            finding.looked_at += 1
            if part.name in missing:
                finding.fail(f"{part.name} is not there")
                continue
            problem = _broken_seal(subject.moment.lake.root / part.name) or _unreadable(connection, subject, part)
            if problem is not None:
                finding.fail(f"{part.name}: {problem}")


def lake_has_no_strays(subject: Subject, finding: Finding) -> None:
    """A part that is young may be about to be named, or about to be removed."""
    named = {part.name for part in subject.parts}
    finding.looked_at += len(named)
    for name in Folder(subject.moment.root).strays(subject.store, named.__contains__):
        finding.fail(name)


def _broken_seal(part: Path) -> str | None:
    """What is not as it was when the part was written; None also for a part that is older than seals."""
    try:
        sealed = json.loads((part / SEAL).read_text())
    except FileNotFoundError:
        return None
    except ValueError:
        return f"{SEAL} cannot be read"
    there = {file.name for file in part.glob("*.parquet")}
    if there != set(sealed):
        odd = min(there ^ set(sealed))
        return f"{odd} is {'missing' if odd in sealed else 'not from here'}"
    changed = next((name for name, digest in sealed.items() if digest_of(part / name) != digest), None)
    return None if changed is None else f"{changed} is not what was written"


def _unreadable(connection: DuckDBPyConnection, subject: Subject, part: Part) -> str | None:
    """Reads every value of every file once, which finds what a file's own checksums find."""
    import duckdb

    for file in sorted((subject.moment.lake.root / part.name).glob("*.parquet")):
        source = parquet([str(file)])
        most = "max(position)" if file.stem in _NUMBERED else "NULL"
        try:
            found = connection.execute(f"SELECT bit_xor(hash(t)), {most} FROM {source} AS t").fetchone()  # noqa: S608
        except duckdb.Error as error:
            return f"{file.name} cannot be read ({str(error).partition(chr(10))[0]})"
        if found is not None and (found[1] or 0) > part.upto:
            return f"{file.name} has position {found[1]}, beyond {part.upto}"
    return None
