"""The file of `mahavishnu run`: one task a line, all of them checked before anything runs."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from mahavishnu.cli.common.arguments import STDIN, bad, stdin_text
from mahavishnu.errors import InputError, InvalidTask, nearest_name
from mahavishnu.model import Task
from mahavishnu.model.objective import objective_of
from mahavishnu.settings import MOST_LINES_BYTES, text_of, told
from mahavishnu.settings.tables import Usd

ARGUMENT = "TASKS.jsonl"

SHOWN = 3
"""How many bad lines are named: enough to see what is wrong with all of them."""


class TaskLine(BaseModel):
    """One line of the file."""

    model_config = ConfigDict(extra="forbid", strict=True)

    type: str = Field(validation_alias=AliasChoices("type", "task_type"))
    text: str = ""
    payload: dict[str, Any] = Field(default_factory=dict)
    capabilities: list[str] = Field(default_factory=list)
    target: str | None = None
    exclude: list[str] = Field(default_factory=list)
    deadline_ms: int | None = None
    max_latency_ms: int | None = None
    max_cost_usd: Usd | None = None
    min_success_rate: float | None = None
    min_quality: float | None = None
    objective: str | dict[str, float] | None = None
    idempotency_key: str | None = None
    repeatable: bool = True
    tags: dict[str, str] = Field(default_factory=dict)

    def task(self) -> Task:
        """Raises InvalidTask."""
        return Task(
            type=self.type,
            text=self.text,
            payload=self.payload,
            capabilities=frozenset(self.capabilities),
            target=self.target,
            exclude=frozenset(self.exclude),
            deadline_ms=self.deadline_ms,
            max_latency_ms=self.max_latency_ms,
            max_cost_usd=self.max_cost_usd,
            min_success_rate=self.min_success_rate,
            min_quality=self.min_quality,
            objective=None if self.objective is None else objective_of(self.objective),
            idempotency_key=self.idempotency_key,
            repeatable=self.repeatable,
            tags=self.tags,
        )


@dataclass(frozen=True, slots=True)
class Numbered:
    """A task and the line that it stands on."""

    line: int
    task: Task


def read_tasks(path: Path, *, again: bool) -> list[Numbered]:
    """Every task of the file, under a key of its own; all lines are looked at before any of them runs.

    What comes on stdin has no place that would tell the next batch from this one: its tasks run again, like those of a
    file with `again`, but for those that have a key of their own.
    """
    text = _text(path)
    keys = _Keys(path, salted=again or is_stdin(path), over_own=again)
    found: list[Numbered] = []
    wrong: list[tuple[int, str]] = []
    # Only a line feed ends a line: JSON may hold the other separators that splitlines() knows.
    for number, each in enumerate(text.split("\n"), start=1):
        if not (each := each.strip()):
            continue
        try:
            found.append(Numbered(number, keys.give(each, parse(each))))
        except (ValueError, InvalidTask) as error:
            wrong.append((number, str(error).rstrip(".")))
    _refuse(path, wrong)
    return found


def is_stdin(path: Path) -> bool:
    return str(path) == STDIN


def shown(path: Path) -> str:
    return "stdin" if is_stdin(path) else str(path)


def _text(path: Path) -> str:
    if is_stdin(path):
        return stdin_text(ARGUMENT, "send it in parts")
    try:
        return text_of(path, MOST_LINES_BYTES)
    except OSError as error:
        raise bad(ARGUMENT, f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise bad(ARGUMENT, f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8") from None


def parse(text: str) -> Task:
    """The task of one line; a ValueError or InvalidTask says what is wrong with it."""
    try:
        return TaskLine.model_validate(json.loads(text)).task()
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON: {error.msg} at column {error.colno}") from None
    except RecursionError:
        raise ValueError("is not JSON that can be read: it is nested too deeply") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0]) if first["loc"] else ""
        match first["type"]:
            case "extra_forbidden":
                raise ValueError(f'has the unknown key "{key}"{_offer(key, TaskLine.model_fields)}') from None
            case "missing":
                raise ValueError(f'lacks the key "{key}"') from None
            case _ if not key:
                raise ValueError('must be an object such as {"type": "summarise", "text": "…"}') from None
            case _:
                raise ValueError(f'"{key}" {told(first, first["input"])}') from None


class _Keys:
    """Gives each task the key under which the same command finds it again.

    A line without a key of its own gets one from the file's place, from what it says, and from how often the same was
    said above it: not from its number, so that lines which are added or taken away leave the keys of the others alone.
    """

    def __init__(self, path: Path, *, salted: bool, over_own: bool) -> None:
        self._place = str(path.resolve())
        self._salt = secrets.token_hex(16) if salted else ""
        self._over_own = over_own
        self._above: Counter[str] = Counter()
        self._own: dict[str, str] = {}

    def give(self, text: str, task: Task) -> Task:
        """Raises ValueError where two different tasks have one key."""
        key = task.idempotency_key
        if key is None:
            key = self._derived(text, str(self._above[text]))
            self._above[text] += 1
        elif self._own.setdefault(key, task.fingerprint()) != task.fingerprint():
            raise ValueError(f'"idempotency_key" {key!r:.80} belongs to a different task above; use another')
        elif self._over_own:
            key = self._derived(key)
        return replace(task, idempotency_key=key)

    def _derived(self, *parts: str) -> str:
        whole = json.dumps([self._place, self._salt, *parts])
        return f"run:{hashlib.sha256(whole.encode()).hexdigest()}"


def check_names(path: Path, lines: Sequence[Numbered], check: Callable[[Task], None]) -> None:
    """Refuse what no target takes, or what names one that is not there, before anything runs."""
    wrong: list[tuple[int, str]] = []
    for each in lines:
        try:
            check(each.task)
        except InputError as error:
            wrong.append((each.line, str(error).rstrip(".")))
    _refuse(path, wrong)


def _offer(word: str, known: Iterable[str]) -> str:
    near = nearest_name(word, known)
    return f' (did you mean "{near}"?)' if near else ""


def _refuse(path: Path, wrong: Sequence[tuple[int, str]]) -> None:
    if not wrong:
        return
    named = "; ".join(f"line {number}: {problem}" for number, problem in wrong[:SHOWN])
    more = f"; and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
    raise bad(ARGUMENT, f"{shown(path)}, {named}{more}; nothing was run")
