"""One import for one job: what `mahavishnu` hands on, what importing it costs, and the synchronous door."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from importlib.metadata import version
from pathlib import Path

import pytest

import mahavishnu
from mahavishnu.errors import TaskFailed, UnknownName
from mahavishnu.model import registry
from mahavishnu.settings import load_settings

ROOT = Path(__file__).parents[2]
PACKAGES = [ROOT / "mahavishnu", *(ROOT / "adapters").glob("mahavishnu_*"), *(ROOT / "flows").glob("mahavishnu_*")]


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})


@pytest.fixture
def settings(tmp_path: Path):
    return load_settings(None, {}, {"store": {"url": f"sqlite:///{tmp_path / 'router.db'}"}})


def test_every_name_that_is_announced_is_there_and_nothing_is_imported_before_it_is_asked_for():
    program = (
        "import sys, mahavishnu; early = sorted(each for each in sys.modules if each.startswith('mahavishnu.')); "
        "names = [getattr(mahavishnu, name) for name in mahavishnu.__all__]; "
        "print(early, len(names) == len(mahavishnu.__all__), 'mahavishnu_local' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] True False"
    assert {"Task", "Result", "Target", "open_app", "open", "target", "App"} <= set(mahavishnu.__all__)
    assert set(mahavishnu.__all__) <= set(dir(mahavishnu))


def test_it_says_its_version():
    assert mahavishnu.__version__ == version("mahavishnu")


def test_a_name_that_does_not_exist_is_answered_with_the_nearest():
    with pytest.raises(AttributeError, match='has no attribute "Taks"; did you mean "Task"'):
        mahavishnu.Taks  # noqa: B018


def test_the_synchronous_door_executes_learns_and_closes(settings):
    @mahavishnu.target(task_types=["greet"], name="by-door")
    def greet(text: str) -> str:
        return f"Hello {text}"

    with mahavishnu.open(settings) as app:
        report = app.execute(mahavishnu.Task(type="greet", text="Ann"))
        assert report.value == "Hello Ann"
        assert app.route(mahavishnu.Task(type="greet", text="Ann")).selected == "by-door"
        app.record_outcome(report.decision.id, completed=False)
        (stat,) = app.run(lambda inner: _stats(inner))
        assert stat.estimate.samples == 1
        with pytest.raises(UnknownName):
            app.execute(mahavishnu.Task(type="unheard-of", text="x"))
    with pytest.raises(RuntimeError, match="closed"):
        app.execute(mahavishnu.Task(type="greet", text="Ann"))


async def _stats(app: mahavishnu.App):
    return app.orchestrator.stats("greet")


def test_the_synchronous_door_may_be_opened_where_a_loop_runs_and_hands_errors_on(settings):
    @mahavishnu.target(task_types=["greet"], name="by-door")
    def greet(text: str) -> str:
        raise ValueError("not today")

    async def main() -> None:
        with mahavishnu.open(settings) as app, pytest.raises(TaskFailed, match="not today"):
            app.execute(mahavishnu.Task(type="greet", text="Ann"))

    asyncio.run(main())


def test_what_cannot_be_opened_raises_in_the_caller_and_leaves_no_thread(tmp_path: Path):
    broken = load_settings(None, {}, {"store": {"url": f"sqlite:///{tmp_path}"}})
    with pytest.raises(mahavishnu.errors.RepositoryError), mahavishnu.open(broken):
        pytest.fail("it cannot be opened")
    assert "mahavishnu" not in [thread.name for thread in threading.enumerate()]


def test_every_package_says_that_it_is_typed():
    assert [each.name for each in PACKAGES if not (each / "py.typed").is_file()] == []
