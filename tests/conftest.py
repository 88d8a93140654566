"""Servers that the tests start themselves."""

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

# A shell that starts something in the background makes it deaf to Ctrl-C, and its children with it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _no_secret_of_another_test() -> Iterator[None]:
    """Tests share a process, which would go on hiding what one of them called its password."""
    yield
    forget_secrets()


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
