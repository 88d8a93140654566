"""Where the schedule of a store is kept: which server, which folder, and that only one process serves it here."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mahavishnu.cli.common.arguments import bad
from mahavishnu.cli.common.flags import Flags
from mahavishnu.errors import Refused, SettingsError

if TYPE_CHECKING:
    from mahavishnu.ports import Scheduler
    from mahavishnu.settings import Settings

NAME = "prefect"
FOLDER = "mahavishnu-schedule"

_SERVER = "server.json"
_OPTIONS = ("api_key_env", "basic_auth_env")


def folder_of(settings: Settings) -> Path:
    """Beside the file of the store; in the working directory where the store is none. Raises a usage error."""
    from mahavishnu.storage.sql.connection.address import parse

    _check_shared(settings)
    address = parse(settings.store.url)
    return (address.path.parent if address.is_sqlite else Path.cwd()).absolute() / FOLDER


def made_folder_of(settings: Settings) -> Path:
    """The same, made if need be. Raises SettingsError where it cannot be."""
    folder = folder_of(settings)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f"cannot be made ({error.strerror}); give yourself permission to, or name another store"
        raise SettingsError(where=str(folder), problem=problem) from None
    return folder


def named(api_url: str | None, settings: Settings) -> str | None:
    """The server that was named, or the one of the configuration."""
    return api_url or settings.adapters.get(NAME, {}).get("api_url")


def known(api_url: str | None, settings: Settings) -> str:
    """That, or the server that `schedule serve` has started here. Raises a usage error where there is none."""
    found = named(api_url, settings) or _started(folder_of(settings))
    if found is None:
        raise bad(
            "--api-url",
            "no Prefect server is known; name it, put api_url into [adapters.prefect], or run schedule serve",
        )
    return found


def scheduler_of(flags: Flags, settings: Settings, api_url: str | None, *, folder: Path | None = None) -> Scheduler:
    """The scheduler of this store; `folder` is where its jobs find a configuration, if not here."""
    from mahavishnu.plugins import load_scheduler, make
    from mahavishnu.settings import find_config, without_password
    from mahavishnu.storage.sql.connection.address import wherever

    _check_shared(settings)
    config = find_config(flags.config, os.environ) if folder is None else None
    given = settings.adapters.get(NAME, {})
    options: dict[str, Any] = {each: given[each] for each in _OPTIONS if each in given}
    options["store_url"] = without_password(wherever(settings.store.url))
    if config is not None:
        options["config"] = str(config.absolute())
    if api_url is not None:
        options["api_url"] = api_url
    return make(load_scheduler(NAME), options, where=f"[adapters.{NAME}]")


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Raises Refused where another process serves the schedule of this store."""
    with (folder / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(
                f"the jobs of this store are served by another process already, from {folder}; stop that one first"
            ) from None
        yield


@contextmanager
def announced(folder: Path, url: str) -> Iterator[None]:
    """For as long as it is there, whoever asks for the schedule of this store finds the server."""
    place = folder / _SERVER
    place.write_text(json.dumps({"api_url": url, "pid": os.getpid()}), encoding="utf-8")
    try:
        yield
    finally:
        place.unlink(missing_ok=True)


def _started(folder: Path) -> str | None:
    try:
        found = json.loads((folder / _SERVER).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return str(found["api_url"])


def _check_shared(settings: Settings) -> None:
    if settings.store.url.startswith("memory:"):
        raise bad("--store", "a store in memory is seen by one process only; name another one")
