"""All four engines, started once for the tests of this folder, by what `mahavishnu engines up` starts them with."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from mahavishnu.cli.targets import sandbox_settings
from mahavishnu.cli.targets.sandbox_processes import Sandbox, bring_up, free_port, stop_all
from mahavishnu.model import Target
from mahavishnu.plugins import load_adapter
from mahavishnu.settings import Settings, load_settings

NAMES = ("agno", "llamaindex", "openai", "prefect")


class Engines(Mapping[str, Sandbox]):
    """The engines by the names of their adapters; each can be killed, stopped and started again where it was.

    `start` takes its time and runs a loop of its own: in an async test, `await asyncio.to_thread(sandbox.start)`. A
    test that kills one starts it again before it is over; a test that finds one down starts it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sandboxes = {name: self._sandbox(name) for name in NAMES}

    def __getitem__(self, name: str) -> Sandbox:
        return self._sandboxes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sandboxes)

    def __len__(self) -> int:
        return len(self._sandboxes)

    def url(self, name: str) -> str:
        return self[name].url

    @property
    def targets(self) -> Sequence[Target]:
        """Those that `engines up` would write into its configuration."""
        return [target for sandbox in self.values() for target in sandbox.engine.targets]

    @property
    def adapters(self) -> Mapping[str, Mapping[str, Any]]:
        """The tables `[adapters.*]` that find these engines."""
        return {name: sandbox.engine.settings for name, sandbox in self.items()}

    def settings(self, **tables: Any) -> Settings:
        """What `engines up` would write, read back, with what a test wants otherwise: `settings(store={"url": …})`."""
        written = self._folder / "mahavishnu.toml"
        sandbox_settings.write(written, list(self.values()))
        return load_settings(written, {}, tables)

    def start(self) -> None:
        """Those that do not run, all at once."""
        down = [each for each in self.values() if each.ended is not None or not each.running]
        for each in down:
            each.kill()
        for each in bring_up(down):
            assert each.ended is None

    def stop(self) -> None:
        stop_all(list(self.values()))

    def _sandbox(self, name: str) -> Sandbox:
        folder = self._folder / name
        folder.mkdir()
        adapter = load_adapter(name)()
        return Sandbox(name, adapter.sandbox(folder, free_port()), folder)


@pytest.fixture(scope="session")
def _engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    engines = Engines(tmp_path_factory.mktemp("engines"))
    try:
        engines.start()
        yield engines
    finally:
        engines.stop()


@pytest.fixture
def engines(_engines: Engines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engines:
    """All four, up, and nothing in the environment that points to others."""
    for variable in [each for each in os.environ if each.startswith(("MAHAVISHNU_", "PREFECT_"))]:
        monkeypatch.delenv(variable)
    _engines.start()
    return _engines
