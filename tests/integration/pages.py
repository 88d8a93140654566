"""The fenced blocks of a page of the documentation, and a small shell that runs them as a reader would.

- ```` ```sh ```` is run line by line. A line that ends with "# exits with 5" must exit with 5, every other with 0.
- ```` ```python ```` and ```` ```toml ```` whose first line is a comment with a file's name are saved under that name.
- A block after `<!-- not run: why -->` is not run; its commands and options must exist.
- `DECISION_ID`, `EXECUTION_ID`, `RUN_ID` and `QUEUED_ID` stand for the newest one.
"""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mahavishnu.cli.main import _command, run

_FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_NOT_RUN = re.compile(r"<!-- not run: (?P<why>[^>]+) -->\n$")
_FILE = re.compile(r"^# (?P<name>[\w./-]+\.(?:py|toml))\n")
_EXITS = re.compile(r"# exits with (?P<code>\d+)$")
_NEWEST = {
    "DECISION_ID": (("decisions", "--last", "1"), "decision_id"),
    "EXECUTION_ID": (("executions", "--last", "1"), "execution_id"),
    "RUN_ID": (("workflow", "list", "--last", "1"), "run_id"),
    "QUEUED_ID": (("budgets", "queue"), "queued_id"),
}
_PLACEHOLDER = re.compile("|".join(_NEWEST))
_WITHIN = frozenset({"mahavishnu", "cd", "export", "mkdir"})
"""What begins a line that this shell takes apart; every other line goes to sh as it is."""


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    line: int
    not_run: str | None

    @property
    def file(self) -> str | None:
        found = _FILE.match(self.text)
        return found["name"] if found else None


def blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for fence in _FENCE.finditer(text):
        mark = _NOT_RUN.search(text, 0, fence.start())
        yield Block(
            fence["language"], fence["text"], text.count("\n", 0, fence.start()) + 1, mark["why"] if mark else None
        )


def commands_of(script: str) -> Iterator[str]:
    """The commands of a script: a line with its continuations, or with its here-document."""
    lines = iter(script.splitlines())
    for line in lines:
        command = line
        while command.endswith("\\"):
            command = command[:-1] + next(lines).strip()
        if found := re.search(r"<<'?(\w+)'?", command):
            for more in lines:
                command += f"\n{more}"
                if more == found[1]:
                    break
        if command.strip() and not command.lstrip().startswith("#"):
            yield command


class Shell:
    """Runs blocks in the working directory, `mahavishnu` within this process. `instead` stands in for a command."""

    def __init__(self, instead: dict[str, Callable[[], None]] | None = None) -> None:
        self._instead = instead or {}

    def run(self, page: Path) -> None:
        for block in blocks_of(page):
            where = f"{page.name}:{block.line}"
            match block.language:
                case "sh":
                    for command in commands_of(block.text):
                        self._check(command, where) if block.not_run else self._run(command, where)
                case "python" | "toml":
                    if block.language == "toml":
                        tomllib.loads(block.text)
                    if block.file is not None and block.not_run is None:
                        path = Path(block.file)
                        path.parent.mkdir(parents=True, exist_ok=True)
                        path.write_text(block.text, encoding="utf-8")

    def _run(self, command: str, where: str) -> None:
        wanted = int(found["code"]) if (found := _EXITS.search(command)) else 0
        command = _PLACEHOLDER.sub(lambda found: _newest(found[0]), command)
        parts = _parts(command)
        for number, words in enumerate(parts, 1):
            code, said = self._one(words, command)
            expected = wanted if number == len(parts) else 0
            assert code == expected, f"{where}: {command!r} exited with {code}, not {expected}: {said}"

    def _one(self, words: list[str], command: str) -> tuple[int, str]:
        line = " ".join(words)
        if line in self._instead:
            self._instead[line]()
            return 0, ""
        match words:
            case ["cd", folder]:
                os.chdir(folder)
                return 0, ""
            case ["export", *settings]:
                os.environ.update(dict(each.split("=", 1) for each in settings))
                return 0, ""
            case ["mahavishnu", *arguments] if "\n" not in command and not {">", "|"} & set(words):
                return self._mahavishnu(arguments)
        done = subprocess.run(
            ["sh", "-c", command if words == [command] or {">", "|"} & set(words) else shlex.join(words)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        )
        return done.returncode, done.stdout + done.stderr

    def _mahavishnu(self, arguments: list[str]) -> tuple[int, str]:
        out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
        with redirect_stdout(out), redirect_stderr(out):
            code = run(arguments)
        out.seek(0)
        return code, out.read()

    def _check(self, command: str, where: str) -> None:
        """The commands and options of what is not run exist."""
        for words in _parts(command):
            if words[:1] == ["mahavishnu"]:
                _known(words[1:], f"{where}: {command!r}")


def _parts(command: str) -> list[list[str]]:
    """A line, split where the shell would begin another command."""
    if "\n" in command or command.split()[0] not in _WITHIN:
        return [[command]]
    lexer = shlex.shlex(command, posix=True, punctuation_chars=";&")
    lexer.whitespace_split = True
    parts: list[list[str]] = [[]]
    for word in lexer:
        if word in (";", "&&"):
            parts.append([])
        else:
            parts[-1].append(word)
    return parts


def _newest(placeholder: str) -> str:
    arguments, key = _NEWEST[placeholder]
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    with redirect_stdout(out):
        assert run([*arguments, "--json"]) == 0
    out.seek(0)
    rows: list[dict[str, Any]] = json.load(out)
    return str(rows[0][key])


def _known(words: list[str], where: str) -> None:
    """Raises AssertionError for a command or an option that does not exist."""
    command = _command()
    takes_value = _options(command)
    left = iter(words)
    for word in left:
        option, given, _ = word.partition("=")
        if word.startswith("-"):
            assert option in takes_value, f"{where}: there is no option {option}"
            if takes_value[option] and not given:
                next(left, None)
        elif hasattr(command, "get_command"):
            command = command.get_command(None, word)
            assert command is not None, f"{where}: there is no command {word}"
            takes_value |= _options(command)


def _options(command: Any) -> dict[str, bool]:
    """The options of a command, and whether each takes a value."""
    return {name: not getattr(each, "is_flag", False) for each in command.params for name in each.opts}
