"""The proof: the adapter keeps every promise that mahavishnu asks of an adapter."""

import shlex
import sys
from pathlib import Path

import pytest
from mahavishnu_command import CommandAdapter

from mahavishnu.model import Target, Task
from mahavishnu.testing.adapter import ADAPTER_PROMISES, AdapterCase, Example, Promise


def example(code: str, text: str = "hello", value: object = None) -> Example:
    return program(shlex.join([sys.executable, "-I", "-S", "-c", code]), text, value)


def program(run: str, text: str = "hello", value: object = None) -> Example:
    target = Target(name="program", adapter="command", run=run, task_types=frozenset({"any"}))
    return Example(target=target, task=Task(type="any", text=text), value=value)


@pytest.fixture
def case(tmp_path: Path) -> AdapterCase:
    called = tmp_path / "called"
    return AdapterCase(
        adapter=CommandAdapter(folder=str(tmp_path)),
        succeeds=example("print(input().upper())", value="HELLO"),
        fails=example("open('called', 'a').write('.'); raise SystemExit('it is broken')"),
        hangs=example("import time; time.sleep(60)"),
        refused=example("raise SystemExit(65)"),
        misconfigured=program("no-such-program-anywhere"),
        numbered=lambda number: example("print(input())", text=f"number {number}", value=f"number {number}"),
        calls=lambda: len(called.read_text()) if called.exists() else 0,
    )


@pytest.mark.parametrize("promise", ADAPTER_PROMISES, ids=lambda promise: promise.__name__)
async def test_the_adapter_keeps_the_promise(promise: Promise, case: AdapterCase) -> None:
    await promise(case)
