"""Engines in the sandbox: started in order, stopped without a trace, and found by the configuration that is written."""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mahavishnu.cli.common import toml
from mahavishnu.cli.targets import sandbox_processes, sandbox_settings
from mahavishnu.cli.targets.health_hints import mend_of
from mahavishnu.cli.targets.sandbox_processes import Sandbox, bring_up, sandbox_of, stop_all
from mahavishnu.errors import Crashed, SettingsError, Transient
from mahavishnu.model import Health, HealthStatus, Target
from mahavishnu.ports import Program, SandboxEngine
from mahavishnu.settings import load_settings

STAYS = """
import os, sys, time
from pathlib import Path
print("here I am", flush=True)
Path(sys.argv[1]).write_text(str(os.getpid()))
time.sleep(600)
"""

# It turns a deaf ear to whoever asks it to stop, and so does what it has started in a session of its own.
STUBBORN = """
import os, signal, subprocess, sys, time
from pathlib import Path
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if len(sys.argv) == 3:
    subprocess.Popen([sys.executable, __file__, sys.argv[2]], start_new_session=True)
Path(sys.argv[1]).write_text(str(os.getpid()))
time.sleep(600)
"""

Make = Callable[..., Program]


@pytest.fixture
def program(tmp_path: Path) -> Make:
    """A program that writes its process id into the file of its name, and stays."""

    def make(name: str, script: str = STAYS, *more: Path, **fields: Any) -> Program:
        mark = tmp_path / name
        (tmp_path / f"{name}.py").write_text(script)
        command = [sys.executable, str(tmp_path / f"{name}.py"), str(mark), *map(str, more)]
        fields = {"is_up": lambda: mark.exists() and mark.read_text() != "", **fields}
        return Program(name=name, command=command, **fields)

    return make


def engine(*programs: Program, **fields: Any) -> SandboxEngine:
    given = {"url": "http://127.0.0.1:1", "settings": {}, "targets": [], "simulated": "all of it", **fields}
    return SandboxEngine(programs=programs, **given)


def runs(mark: Path) -> bool:
    return Path(f"/proc/{mark.read_text()}").exists()


# -- processes ---------------------------------------------------------------------------------------------------------


def test_programs_start_one_after_the_other_and_what_is_prepared_comes_last(tmp_path, program):
    seen: list[tuple[str, bool]] = []

    def looks_for(mark: Path) -> Callable[[], bool]:
        def is_up() -> bool:
            seen.append((mark.name, (tmp_path / "second").exists()))
            return mark.exists()

        return is_up

    async def prepare() -> None:
        assert (tmp_path / "second").exists()
        seen.append(("prepared", True))

    first, second = (program(name, is_up=looks_for(tmp_path / name)) for name in ("first", "second"))
    with sandbox_of("two", engine(first, second, prepare=prepare), tmp_path) as sandbox:
        assert {started for name, started in seen if name == "first"} == {False}
        assert seen[-1] == ("prepared", True)
        assert [each.name for each in sandbox.running] == ["first", "second"]
        assert sandbox.ended is None
        assert sandbox.running[0].log.read_text() == "here I am\n"
    assert not runs(tmp_path / "first")
    assert not runs(tmp_path / "second")


def test_it_starts_again_after_it_was_stopped_and_after_it_was_killed(tmp_path, program):
    with sandbox_of("one", engine(program("one")), tmp_path) as sandbox:
        for end in (sandbox.stop, sandbox.kill):
            before = (tmp_path / "one").read_text()
            end()
            assert not runs(tmp_path / "one")
            (tmp_path / "one").unlink()
            sandbox.start()
            assert (tmp_path / "one").read_text() != before
            assert runs(tmp_path / "one")


def test_a_kill_ends_also_what_will_not_be_asked_and_what_it_started_out_of_its_group(tmp_path, program):
    child = tmp_path / "child"
    stubborn = program("stubborn", STUBBORN, child, is_up=lambda: child.exists() and child.read_text() != "")
    with sandbox_of("one", engine(stubborn), tmp_path) as sandbox:
        assert runs(child)
        sandbox.kill()
        assert not runs(tmp_path / "stubborn")
        assert not runs(child)


def test_one_that_ends_at_once_is_told_with_the_end_of_its_log(tmp_path, program):
    broken = program("broken", "import sys\nprint('the port is taken', file=sys.stderr)\nsys.exit(3)")
    with pytest.raises(Crashed, match=r"broken did not come up: it ended with 3; .*broken\.log.* the port is taken"):
        Sandbox("one", engine(broken), tmp_path).start()


def test_one_that_is_never_ready_is_given_up_and_nothing_of_it_is_left(tmp_path, program, monkeypatch):
    monkeypatch.setattr(sandbox_processes, "COMES_UP_WITHIN_S", 0.0)
    sandbox = Sandbox("one", engine(program("first"), program("second", is_up=lambda: False)), tmp_path)
    with pytest.raises(Crashed, match="was not ready after 0 s"):
        sandbox.start()
    assert sandbox.running == []
    assert not (tmp_path / "first").exists() or not runs(tmp_path / "first")


def test_what_cannot_be_prepared_leaves_nothing_running(tmp_path, program):
    async def prepare() -> None:
        raise Transient("busy")

    sandbox = Sandbox("one", engine(program("one"), prepare=prepare), tmp_path)
    with pytest.raises(Transient, match="busy"):
        sandbox.start()
    assert not runs(tmp_path / "one")


def test_one_that_dies_is_seen_and_the_others_run_on(tmp_path, program):
    both = [Sandbox(name, engine(program(name)), tmp_path) for name in ("one", "other")]
    try:
        assert {each.name for each in bring_up(both)} == {"one", "other"}
        os.kill(int((tmp_path / "one").read_text()), 9)
        both[0].running[0].wait()
        assert both[0].ended is not None
        assert both[0].ended.ended == 128 + 9
        assert both[1].ended is None
    finally:
        stop_all(both)
    assert not runs(tmp_path / "other")


def test_a_program_sees_what_was_set_for_it_and_not_what_was_taken_away(tmp_path, program, monkeypatch):
    monkeypatch.setenv("OTHERS_KEY", "secret")
    monkeypatch.setenv("HOME", "/kept")
    script = STAYS.replace("str(os.getpid())", "repr([os.environ.get(each) for each in ('OTHERS_KEY', 'OWN', 'HOME')])")
    told = program("told", script, environment={"OTHERS_KEY": None, "OWN": "mine"})
    with sandbox_of("one", engine(told), tmp_path):
        assert (tmp_path / "told").read_text() == "[None, 'mine', '/kept']"


# -- the configuration -------------------------------------------------------------------------------------------------

Values = st.recursive(
    st.booleans() | st.integers(-(2**53), 2**53) | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(Values)
def test_whatever_is_written_is_read_back(value: Any):
    assert tomllib.loads(f"value = {toml.value_text(value)}")["value"] == value


def test_what_is_written_is_a_configuration_with_the_engines_and_their_targets(tmp_path):
    settings = {"base_url": 'http://127.0.0.1:1/"v1"', "api_key_env": "KEY"}
    targets = [
        Target(
            name="a.b/c",
            adapter="openai",
            run="echo",
            task_types=frozenset({"chat", "*"}),
            capabilities=frozenset({"fast"}),
            timeout_ms=5,
            max_concurrent=2,
            options={"extra": {"top p": [1, 2]}},
        )
    ]
    written = tmp_path / "new" / "mahavishnu.toml"
    sandbox_settings.check_writable(written)
    for _ in range(2):
        sandbox_settings.write(written, [Sandbox("openai", engine(settings=settings, targets=targets), tmp_path)])
        sandbox_settings.check_writable(written)
    read = load_settings(written, {}, {})
    assert dict(read.adapters) == {"openai": settings}
    assert list(read.targets.values()) == targets
    assert "# openai: all of it.\n" in written.read_text()


def test_what_somebody_else_has_written_is_left_as_it_is(tmp_path):
    theirs = tmp_path / "mahavishnu.toml"
    theirs.write_text("[store]\n")
    with pytest.raises(SettingsError, match="--config-out"):
        sandbox_settings.check_writable(theirs)
    with pytest.raises(SettingsError, match="cannot be written"):
        sandbox_settings.write(theirs / "below.toml", [])


# -- what to do about it -----------------------------------------------------------------------------------------------


def test_each_kind_of_ill_health_wants_something_else_done():
    target = Target(name="t", adapter="agno", run="agents/t", task_types=frozenset({"chat"}))
    mends = {status: mend_of(Health(status), target) for status in HealthStatus}
    assert mends.pop(HealthStatus.HEALTHY) == ""
    assert len(set(mends.values())) == 4
    assert "start its engine" in mends[HealthStatus.UNREACHABLE]
    assert "environment variable" in mends[HealthStatus.UNAUTHORISED]
    assert "mahavishnu targets show t" in mends[HealthStatus.MISCONFIGURED]
