"""A whole store, made once for the tests that copy, break or restore it."""

import asyncio
import shutil
from pathlib import Path

import pytest

from mahavishnu.ports import StoreLocation
from tests.backups import Kept, build, location


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Kept]:
    """A folder with a store that was closed and a backup of it, and what is in it."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, asyncio.run(build(folder))


@pytest.fixture
def at(whole: tuple[Path, Kept], tmp_path: Path) -> StoreLocation:
    """A copy of that store."""
    shutil.copytree(whole[0], tmp_path / "copy")
    return location(tmp_path / "copy")


@pytest.fixture
def file(whole: tuple[Path, Kept]) -> Path:
    """The backup."""
    return whole[0] / "good.backup"
