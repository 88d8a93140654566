"""The configuration file that finds engines of the sandbox."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mahavishnu.cli.common.toml import key_text, table
from mahavishnu.cli.targets.sandbox_processes import Sandbox
from mahavishnu.errors import SettingsError
from mahavishnu.model import Target

HEAD = '# Written by "mahavishnu engines up", which writes it anew every time.'


def check_writable(path: Path) -> None:
    """Raises SettingsError for a file that somebody else has written."""
    if path.exists() and not path.read_text(encoding="utf-8", errors="replace").startswith(HEAD):
        problem = "already exists and is left as it is; name another file with --config-out"
        raise SettingsError(where=str(path), problem=problem)


def write(path: Path, sandboxes: Sequence[Sandbox]) -> None:
    """Raises SettingsError where the file cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(_lines(sandboxes)) + "\n", encoding="utf-8")
    except OSError as error:
        problem = f"cannot be written ({error.strerror}); name another file with --config-out"
        raise SettingsError(where=str(path), problem=problem) from None


def _lines(sandboxes: Sequence[Sandbox]) -> Iterator[str]:
    yield HEAD
    yield "# It is good for as long as those engines run."
    for sandbox in sandboxes:
        yield f"\n# {sandbox.name}: {sandbox.engine.simulated}."
        yield from table(f"adapters.{sandbox.name}", sandbox.engine.settings)
        for target in sandbox.engine.targets:
            yield ""
            yield from table(f"targets.{key_text(target.name)}", _told(target))


def _told(target: Target) -> Mapping[str, Any]:
    """What differs from what a target has anyway."""
    told = {
        "adapter": target.adapter,
        "run": target.run,
        "task_types": sorted(target.task_types),
        "capabilities": sorted(target.capabilities),
        "timeout_ms": target.timeout_ms,
        "max_concurrent": target.max_concurrent,
        "options": target.options,
    }
    return {name: value for name, value in told.items() if value}
