"""The command, run the way its users run it, in a folder of its own with real functions to send tasks to."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mahavishnu.cli.main import run

FUNCTIONS = '''
import asyncio, os, signal
from pathlib import Path
from mahavishnu.errors import Refused

def shout(text):
    return text.upper()

def whisper(text):
    return {"quietly": text.lower()}

def broken(text):
    raise ValueError("it is\\nbroken")

def picky(text):
    raise Refused("I do not take that")

def write_down(text):
    """Leaves a trace of every run; "die" kills the whole process, once."""
    if text == "die" and not Path("died").exists():
        Path("died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    with open("written", "a") as file:
        file.write(text + "\\n")
    return text

async def interrupt(text):
    os.kill(os.getpid(), signal.SIGINT)
    await asyncio.sleep(60)
'''

CONSOLE_SCRIPT = Path(sys.executable).with_name("mahavishnu")


@dataclass(frozen=True)
class Ended:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def sentence(self) -> str:
        """What stands on stderr, which must be one line and no traceback; of an error as JSON, its message."""
        assert self.err.count("\n") == 1, self.err
        assert "Traceback" not in self.err
        if self.err.startswith('{"error":'):
            return str(json.loads(self.err)["error"]["message"])
        return self.err.rstrip("\n")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory but for functions.py; nothing of it stays in this process."""
    for variable in [name for name in os.environ if name.startswith("MAHAVISHNU_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    Path("functions.py").write_text(FUNCTIONS, encoding="utf-8")
    yield tmp_path
    sys.modules.pop("functions", None)


class Cli:
    """Command lines: `cli(…)` within this process, `cli.process(…)` as a real one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def __call__(self, *arguments: object, stdin: bytes = b"") -> Ended:
        out, err = _captured(), _captured()
        with self._monkeypatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
            code = run([str(each) for each in arguments])
        return Ended(code, _text(out), _text(err))

    def ok(self, *arguments: object) -> Any:
        """The JSON that a command prints which must succeed."""
        ended = self(*arguments, "--json")
        assert ended.code == 0, ended.err
        return ended.json

    def process(self, *arguments: object, stdin: bytes = b"", **environ: str) -> Ended:
        done = subprocess.run(
            [CONSOLE_SCRIPT, *(str(each) for each in arguments)],
            input=stdin,
            capture_output=True,
            timeout=60,
            check=False,
            env={**os.environ, **environ},
        )
        return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())

    def add(self, *names: str, task_type: str = "say", **options: str) -> None:
        for name in names:
            flags = [f"--{key.replace('_', '-')}={value}" for key, value in options.items()]
            ended = self("targets", "add", name, "--run", f"functions:{name}", "--task-type", task_type, *flags)
            assert ended.code == 0, ended.err


def _captured() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)


def _text(stream: io.TextIOWrapper) -> str:
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch) -> Cli:
    return Cli(monkeypatch)


@pytest.fixture
def tasks(folder: Path) -> Any:
    """Writes a file of tasks, one text a line."""

    def write(*texts: str, name: str = "tasks.jsonl", mode: str = "w", **fields: Any) -> Path:
        path = folder / name
        with path.open(mode, encoding="utf-8") as file:
            file.writelines(json.dumps({"type": "say", "text": text, **fields}) + "\n" for text in texts)
        return path

    return write
