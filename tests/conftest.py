"""Servers that the tests start themselves."""

import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mahavishnu.redaction import forget_secrets
from tests.examples import load_profile
from tests.running.place import run_folder
from tests.servers.postgres import Postgres, running_postgres, shared_postgres

pytest_plugins = ["tests.running.limits"]


load_profile()

# pytest-xdist tells its workers a width, by which tables and sentences would be fitted.
os.environ.pop("COLUMNS", None)

# A shell that starts something in the background makes it deaf to Ctrl-C, and its children with it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _no_secret_of_another_test() -> Iterator[None]:
    """Tests share a process, which would go on hiding what one of them called its password."""
    yield
    forget_secrets()


SERVERS = frozenset({"postgres", "own_postgres", "engines"})


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a server, and keep on one worker what shares something that takes long to start."""
    for item in items:
        asked = set(getattr(item, "fixturenames", ()))
        if asked & SERVERS:
            item.add_marker("server")
        group = "engines" if "engines" in asked else _shared_by_file(item)
        if group is not None:
            item.add_marker(pytest.mark.xdist_group(group))
    # The group that takes longest begins first; what is short fills what is left at the end.
    items.sort(key=_place)


def _shared_by_file(item: pytest.Item) -> str | None:
    """The file of a test that shares a fixture with others of its file."""
    definitions = getattr(item, "_fixtureinfo", None)
    if definitions is None:
        return None
    made = [found[-1] for found in definitions.name2fixturedefs.values() if found]
    return item.location[0] if any(fixture.scope == "module" for fixture in made) else None


def _place(item: pytest.Item) -> int:
    group = item.get_closest_marker("xdist_group")
    if group is not None:
        return 0 if group.args == ("engines",) else 1
    return 2 if item.location[0].startswith(("tests/integration", "tests/acceptance")) else 3


@pytest.fixture(scope="session")
def _postgres(pytestconfig: pytest.Config) -> Postgres:
    return shared_postgres(run_folder(pytestconfig) / "postgres")


@pytest.fixture
def postgres(_postgres: Postgres) -> Iterator[Callable[[], str]]:
    """A real PostgreSQL that the whole run shares; each call makes a fresh database on it and returns its URL."""
    with _postgres.databases() as fresh:
        yield fresh


@pytest.fixture
def own_postgres(pytestconfig: pytest.Config) -> Iterator[Postgres]:
    """A PostgreSQL of the test's own, to stop, start, kill and freeze; `url()` makes a fresh database on it."""
    folder = run_folder(pytestconfig)
    with running_postgres(Path(tempfile.mkdtemp(prefix="pg-", dir=folder)), template=folder / "template") as server:
        yield server
