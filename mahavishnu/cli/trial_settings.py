"""The configuration file that finds engines on trial."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mahavishnu.cli.trials import Trial
from mahavishnu.errors import SettingsError
from mahavishnu.model import Target

HEAD = '# Written by "mahavishnu engines up", which writes it anew every time.'

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def check_writable(path: Path) -> None:
    """Raises SettingsError for a file that somebody else has written."""
    if path.exists() and not path.read_text(encoding="utf-8", errors="replace").startswith(HEAD):
        problem = "already exists and is left as it is; name another file with --config-out"
        raise SettingsError(where=str(path), problem=problem)


def write(path: Path, trials: Sequence[Trial]) -> None:
    """Raises SettingsError where the file cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(_lines(trials)) + "\n", encoding="utf-8")
    except OSError as error:
        problem = f"cannot be written ({error.strerror}); name another file with --config-out"
        raise SettingsError(where=str(path), problem=problem) from None


def _lines(trials: Sequence[Trial]) -> Iterator[str]:
    yield HEAD
    yield "# It is good for as long as those engines run."
    for trial in trials:
        yield f"\n# {trial.name}: {trial.engine.simulated}."
        yield from _table(f"adapters.{trial.name}", trial.engine.settings)
        for target in trial.engine.targets:
            yield ""
            yield from _table(f"targets.{_key(target.name)}", _told(target))


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


def _table(name: str, values: Mapping[str, Any]) -> Iterator[str]:
    yield f"[{name}]"
    for key, value in values.items():
        yield f"{_key(key)} = {_value(value)}"


def _value(value: Any) -> str:
    r"""As TOML has it.

    >>> _value({"a b": ['one "word"', 2, True]})
    '{ "a b" = ["one \\"word\\"", 2, true] }'
    """
    match value:
        case Mapping():
            return "{ " + ", ".join(f"{_key(key)} = {_value(each)}" for key, each in value.items()) + " }"
        case list() | tuple():
            return "[" + ", ".join(_value(each) for each in value) + "]"
        case str():
            return _text(value)
        case _:
            return json.dumps(value, allow_nan=False)


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _text(name)


def _text(text: str) -> str:
    """JSON's text is TOML's but for one character, which JSON need not escape and TOML wants escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
