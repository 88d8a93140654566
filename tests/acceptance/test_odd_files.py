"""Files that a command is given and that are none of its kind: one sentence, exit code 2, and no end of waiting."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from mahavishnu.settings import files, load_settings

TARGET = '[targets.a]\nrun = "m:f"\ntask_types = "t"\n'

BOMBS = {
    "nested lists": "a = " + "[" * 100_000,
    "nested tables": "a = " + "{a = " * 100_000,
    "a key of a million parts": ".".join(["a"] * 1_000_000) + " = 1",
    "a header of a million parts": "[" + ".".join(['"a"'] * 1_000_000) + "]",
    "a long key within": "a = { " + ".".join(["a"] * 1_000_000) + " = 1 }",
    "deep options": TARGET + f"options = {'{a = ' * 200}1{'}' * 200}",
    "deep options of an adapter": "[adapters.local]\n" + ".".join(["a"] * 99) + " = 1\n[adapters.local.b]\nc = 1",
    "a number of thousands of digits": "[attempts]\nretries = " + "9" * 5000,
    "a huge hexadecimal number": "[attempts]\nretries = 0x" + "f" * 20_000,
    "a list of such": "[attempts]\nretries = [0x" + "f" * 20_000 + "]",
    "eleven megabytes": "# " + "x" * 11_000_000,
    "eleven megabytes of zeros": "\x00" * 11_000_000,
}

COMMANDS = {
    "config": ("targets", "list", "--config"),
    "tasks": ("run",),
    "workflow": ("workflow", "run"),
    "experiment": ("experiments", "start", "e", "--file"),
    "bills": ("budgets", "bill", "--csv"),
}


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(files, "PATIENCE_S", 0.05)


def refused(cli: Any, what: str, path: str | Path) -> str:
    ended = cli(*COMMANDS[what], str(path))
    assert ended.code == 2, ended.err
    assert len(ended.sentence) < 600
    return ended.sentence


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("what", ["config", "workflow", "experiment"])
def test_a_bomb_is_one_sentence_and_exit_code_2(cli: Any, what: str, bomb: str):
    Path("bomb.toml").write_text(BOMBS[bomb])
    refused(cli, what, "bomb.toml")


@pytest.mark.parametrize("what", COMMANDS)
def test_what_is_no_file_is_one_sentence_and_exit_code_2(cli: Any, what: str):
    os.mkfifo("pipe")
    Path("folder").mkdir()
    Path("latin").write_bytes(b"a = '\xff'\n")
    Path("locked").write_text("")
    assert "nothing came out of it within" in refused(cli, what, "pipe")
    assert "it holds more than" in refused(cli, what, "/dev/zero")
    for name in ("folder", "latin", "nowhere", "folder/none", "latin/none", "x" * 300):
        refused(cli, what, name)


@pytest.mark.parametrize(
    "line", ['{"a": ' * 5000, '{"type": "t", "payload": {"a": ' + "9" * 5000 + "}}", "[NaN]", "\x00"]
)
def test_a_line_that_is_a_bomb_is_named_by_its_number(cli: Any, line: str):
    Path("tasks.jsonl").write_text('{"type": "shout", "text": "x"}\n' + line + "\n")
    assert "line 2: " in refused(cli, "tasks", "tasks.jsonl")


def test_a_config_that_comes_through_a_pipe_is_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(
        target=(tmp_path / "pipe").write_text, args=("[attempts]\nretries = 7\n" + "#" * 200_000,)
    )
    writer.start()
    assert files.text_of(tmp_path / "pipe", patience_s=30).startswith("[attempts]")
    writer.join()


def test_the_empty_device_is_an_empty_config():
    assert load_settings(Path("/dev/null"), {}, {}) == load_settings(None, {}, {})


def test_dots_in_a_text_are_no_key():
    text = f'[store]\nurl = "{"." * 500}"\n[policies.x]\na = """\n{"It is so. " * 500}\n"""\nb = "{"x" * 100_000}"'
    assert files.toml_of(text)["store"]["url"] == "." * 500
