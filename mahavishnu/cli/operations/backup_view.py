"""How backups, restores and checks of a store are shown."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mahavishnu.cli.common.printing import line, on_one_line, prose
from mahavishnu.ports import BackupManifest, Check, Progress, Restored, Verification
from mahavishnu.ports.backups import silent


@contextmanager
def progress_shown(*, quiet: bool) -> Iterator[Progress]:
    """One line on stderr that says what is being done and how far it is, where a person looks at it."""
    if quiet or not sys.stderr.isatty():
        yield silent
        return
    from rich.console import Console

    with Console(stderr=True).status("Opening the store …") as status:

        def show(stage: str, done: int, total: int) -> None:
            share = f" {100 * done // total} %" if total else ""
            status.update(f"{stage} …{share}")

        yield show


def manifest_shape(manifest: BackupManifest) -> dict[str, Any]:
    return asdict(manifest)


def show_manifest(file: Path, manifest: BackupManifest) -> None:
    line(
        f"{file}: {_holds(manifest)}; {file.stat().st_size:,} bytes. "
        "What waits in the spools of other machines is not in it."
        if manifest.source == "postgresql"
        else f"{file}: {_holds(manifest)}; {file.stat().st_size:,} bytes."
    )


def restored_shape(restored: Restored) -> dict[str, Any]:
    return {**asdict(restored), "lake": str(restored.lake)}


def show_restored(restored: Restored) -> None:
    prose(f"{restored.url}: {_holds(restored.manifest)}, as of {restored.manifest.created_at}.")
    if restored.manifest.lake_parts:
        prose(f"Its lake is in {restored.lake}.")
    if restored.upgraded_from is not None:
        prose(f"The backup had schema {restored.upgraded_from}; it was upgraded to that of this version.")
    if restored.aside is not None:
        prose(f"The store that was there before is now {restored.aside}.")
    line("Executions that ran at the time of the backup count as lost. To check the store: mahavishnu store verify")


def verification_shape(verification: Verification) -> dict[str, Any]:
    checks = [{**asdict(check), "examples": list(check.examples), "ok": check.ok} for check in verification.checks]
    return {"url": verification.url, "ok": verification.ok, "position": verification.position, "checks": checks}


def show_verification(verification: Verification) -> None:
    for check in verification.checks:
        line(_check_line(check))
    passed = sum(check.ok for check in verification.checks)
    prose(f"{passed} of {len(verification.checks)} checks passed, at position {verification.position}.")


def _check_line(check: Check) -> str:
    if check.ok:
        return f"ok      {check.name} ({check.looked_at:,} compared)"
    examples = "; ".join(on_one_line(example) for example in check.examples)
    more = " …" if check.failures > len(check.examples) else ""
    return f"FAILED  {check.name}: {check.failures:,} wrong: {examples}{more}. To mend it, {check.mend}"


def _holds(manifest: BackupManifest) -> str:
    rows = sum(manifest.tables.values())
    spooled = f", {manifest.spooled:,} transactions from the spool" if manifest.spooled else ""
    return f"{rows:,} rows up to position {manifest.position:,}, {manifest.lake_parts:,} parts of the lake{spooled}"
