"""Every adapter keeps the promises of mahavishnu.testing.adapter: ours, and one that a stranger wrote."""

import asyncio
import runpy
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mahavishnu.errors import Refused
from mahavishnu.model import Target, Task
from mahavishnu.testing.adapter import ADAPTER_PROMISES, AdapterCase, Example, Promise
from mahavishnu_local import LocalAdapter

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "third_party_adapter"

calls: list[str] = []


def shout(s):
    return s.upper()


def fail(s):
    calls.append(s)
    raise ValueError(f"cannot do {s}")


def refuse():
    raise Refused("nobody would do that")


def hang():
    threading.Event().wait()


async def shout_soon(s):
    await asyncio.sleep(0)
    return s.upper()


async def fail_soon(s):
    fail(s)


async def refuse_soon():
    refuse()


async def hang_soon():
    await asyncio.Event().wait()


def example(run: str, text: str = "hello", value: Any = None) -> Example:
    return Example(
        target=Target(name="tried", adapter="local", run=run, task_types=frozenset({"any"})),
        task=Task(type="any", text=text),
        value=value,
    )


def local(suffix: str) -> AdapterCase:
    return AdapterCase(
        adapter=LocalAdapter(),
        succeeds=example(f"{__name__}:shout{suffix}", value="HELLO"),
        fails=example(f"{__name__}:fail{suffix}"),
        hangs=example(f"{__name__}:hang{suffix}"),
        refused=example(f"{__name__}:refuse{suffix}"),
        misconfigured=example(f"{__name__}:no_such_function"),
        numbered=lambda number: example(f"{__name__}:shout{suffix}", text=f"n{number}", value=f"N{number}"),
        calls=lambda: len(calls),
    )


def local_in_threads(tmp_path: Path) -> AdapterCase:
    return local("")


def local_on_the_loop(tmp_path: Path) -> AdapterCase:
    return local("_soon")


def third_party(tmp_path: Path) -> AdapterCase:
    sys.path.insert(0, str(EXAMPLE))
    proof = runpy.run_path(str(EXAMPLE / "tests" / "test_promises.py"))
    make: Callable[[Path], AdapterCase] = proof["case"].__wrapped__
    return make(tmp_path)


@pytest.fixture(params=[local_in_threads, local_on_the_loop, third_party], ids=lambda make: make.__name__)
async def case(request, tmp_path, monkeypatch) -> Any:
    monkeypatch.setattr(sys, "path", list(sys.path))
    made = request.param(tmp_path)
    yield made
    await made.adapter.close()


@pytest.mark.parametrize("promise", ADAPTER_PROMISES, ids=lambda promise: promise.__name__)
async def test_an_adapter_keeps_the_promise(promise: Promise, case: AdapterCase) -> None:
    await promise(case)
