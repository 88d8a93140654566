"""Servers that the tests start themselves."""

import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mahavishnu.redaction import forget_secrets
from tests.examples import load_profile
from tests.servers.postgres import Postgres, running_postgres

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
def _postgres() -> Iterator[Postgres]:
    with running_postgres(Path(tempfile.mkdtemp(prefix="pg-"))) as server:
        yield server


@pytest.fixture
def postgres(_postgres: Postgres) -> Callable[[], str]:
    """A real PostgreSQL that others use as well; each call makes a fresh database on it and returns its URL."""
    return _postgres.url


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A PostgreSQL of the test's own, to stop, start, kill and freeze; `url()` makes a fresh database on it."""
    with running_postgres(Path(tempfile.mkdtemp(prefix="pg-"))) as server:
        yield server
