"""A run of tests ends, whatever a test does to its process, names what was to blame and leaves nothing running."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
HOLDS_THE_PIPES = """
import os, signal, time
def test_dies_but_its_child_keeps_the_pipe_to_the_controller():
    if os.fork() == 0:
        time.sleep(60)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def start(folder: Path, source: str, *arguments: str, **limits: float) -> subprocess.Popen[str]:
    (folder / "test_it.py").write_text("import pytest\n" + source, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "TESTS_"))}
    # The fewer plugins, the sooner it starts.
    environment |= {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environment |= {f"TESTS_{name.upper()}_S": str(value) for name, value in limits.items()}
    command = [sys.executable, "-m", "pytest", "-p", "xdist", "-p", "pytest_timeout", "-p", "tests.running.limits"]
    command += ["-p", "no:cacheprovider", "--timeout-method=thread", *arguments]
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ended(run: subprocess.Popen[str]) -> str:
    out, _ = run.communicate(timeout=60)
    assert run.returncode != 0
    return out


def test_a_test_that_hangs_or_stops_or_kills_its_process_is_named_and_the_others_are_run(tmp_path):
    source = """
import os, re, signal, threading
@pytest.mark.timeout(1)
def test_waits_for_ever():
    threading.Event().wait()
@pytest.mark.timeout(1)
def test_loops_in_c_and_holds_the_lock():
    re.match("(a+)+$", "a" * 64 + "b")
@pytest.mark.timeout(1)
def test_stops_its_process():
    os.kill(os.getpid(), signal.SIGSTOP)
def test_kills_its_process():
    os.kill(os.getpid(), signal.SIGKILL)
def test_passes():
    pass
"""
    out = ended(start(tmp_path, source, "-n2", grace=0.5))
    assert "test_stops_its_process has run for" in out
    # Where it stood, which only a thread in C can say.
    assert "Timeout (0:00:01)!" in out
    assert "in test_loops_in_c_and_holds_the_lock" in out
    assert "in test_waits_for_ever" in out
    for name in ("waits_for_ever", "loops_in_c_and_holds_the_lock", "stops_its_process", "kills_its_process"):
        assert f"FAILED test_it.py::test_{name}" in out
    assert "4 failed, 1 passed" in out


def test_a_run_that_does_not_notice_the_death_of_its_worker_is_ended(tmp_path):
    out = ended(start(tmp_path, HOLDS_THE_PIPES, "-n1", unnoticed=0.5))
    assert "died while it ran test_it.py::test_dies_but_its_child_keeps_the_pipe_to_the_controller" in out


def test_a_run_over_its_limit_says_what_each_worker_runs(tmp_path):
    source = """
import time
def test_sleeps():
    time.sleep(60)
"""
    out = ended(start(tmp_path, source, "-n2", run_limit=0.5))
    assert "the run is ended: the run has taken" in out
    assert "runs test_it.py::test_sleeps" in out


def test_what_a_killed_run_had_started_does_not_outlive_it(tmp_path):
    source = """
import subprocess, sys, time
def test_starts_a_server():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    open("pid", "w").write(str(child.pid))
    time.sleep(60)
"""
    run = start(tmp_path, source, "-n1")
    pid = tmp_path / "pid"
    for _ in range(600):
        if pid.exists() and pid.read_text():
            break
        time.sleep(0.05)
    child = psutil.Process(int(pid.read_text()))
    folder = Path(child.environ()["TESTS_RUN"])
    assert folder.exists()
    run.send_signal(signal.SIGKILL)
    run.communicate(timeout=60)
    for _ in range(600):
        if not folder.exists():
            break
        time.sleep(0.05)
    assert not folder.exists()
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
