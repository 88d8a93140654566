"""stdout belongs to the answer: what anything else prints during a command goes to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

TALKATIVE = '''
import logging, os, subprocess, sys, warnings

print("imported", flush=True)
logging.basicConfig(stream=sys.stdout, level=logging.INFO)

def talk(text):
    print("printed")
    sys.stdout.write("written\\n")
    logging.getLogger("talk").info("logged")
    return text.upper()

def deep(text):
    """Writes past everything that Python knows of stdout."""
    os.write(1, b"by descriptor\\n")
    subprocess.run([sys.executable, "-c", "print('by a child')"], check=True)
    print("to the first stdout", file=sys.__stdout__, flush=True)
    warnings.warn("warned")
    return talk(text)

def failing(text):
    print("printed")
    raise ValueError("no")
'''

POLICIES = """
from mahavishnu.policies.preference import Preference

print("policy imported")

class Chatty(Preference):
    name = "chatty"
    def rank(self, *given):
        print("policy printed")
        return super().rank(*given)
"""

ADAPTER = """
from mahavishnu_local import LocalAdapter

class Chatty(LocalAdapter):
    name = "chatty"
    async def health(self, target):
        print("health printed")
        return await super().health(target)
"""

ENTRIES = """
[mahavishnu.policies]
chatty = chatty_policies:Chatty
[mahavishnu.adapters]
chatty = chatty_adapter:Chatty
"""


@pytest.fixture(autouse=True)
def talkative(folder: Path) -> Iterator[None]:
    site = folder / "site"
    info = site / "chatty-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: chatty\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRIES)
    (site / "chatty_policies.py").write_text(POLICIES)
    (site / "chatty_adapter.py").write_text(ADAPTER)
    Path("talkative.py").write_text(TALKATIVE)
    sys.path.append(str(site))
    yield
    for name in ("talkative", "chatty_policies", "chatty_adapter"):
        sys.modules.pop(name, None)


def add(cli: Any, name: str, **flags: str) -> None:
    options = [f"--{key}={value}" for key, value in flags.items()]
    ended = cli("targets", "add", name, "--run", f"talkative:{name}", "--task-type", name, "--json", *options)
    assert ended.json["name"] == name


def test_what_a_target_prints_goes_to_stderr_and_the_answer_alone_to_stdout(cli: Any):
    add(cli, "talk")
    ended = cli("execute", "a", "-t", "talk", "--json")
    assert ended.json["value"] == "A"
    assert "printed\nwritten\n" in ended.err
    assert cli("execute", "a", "-t", "talk").out == "A\n"


def test_what_a_target_prints_while_it_streams_is_not_in_the_stream(cli: Any):
    add(cli, "talk")
    ended = cli("execute", "a", "-t", "talk", "--stream")
    assert ended.out == "A\n"
    assert "printed\n" in ended.err
    lines = cli("execute", "a", "-t", "talk", "--stream", "--json").out.splitlines()
    assert [json.loads(line).get("text") for line in lines] == ["A", None]


def test_what_a_target_prints_in_a_batch_and_before_it_fails_goes_to_stderr(cli: Any, tasks: Any):
    add(cli, "talk")
    add(cli, "failing")
    assert cli("run", tasks("a", "b", type="talk"), "--json").json["done"] == 2
    failed = cli("execute", "a", "-t", "failing", "--json")
    assert failed.json["error"]
    assert "printed\n" in failed.err


def test_what_policies_and_health_checks_print_goes_to_stderr(cli: Any):
    add(cli, "talk", adapter="chatty")
    for command in (("targets", "list"), ("doctor",), ("route", "a", "-t", "talk", "--policy", "chatty")):
        ended = cli(*command, "--json")
        assert ended.json
        assert "printed" in ended.err


def test_stdout_of_the_process_is_the_answer_also_where_a_target_writes_past_python(cli: Any):
    add(cli, "deep")
    ended = cli.process("execute", "a", "-t", "deep", "--json")
    assert ended.json["value"] == "A"
    for words in ("imported", "by descriptor", "by a child", "to the first stdout", "printed", "written", "logged"):
        assert words in ended.err, ended.err
    assert "warned" in ended.err
