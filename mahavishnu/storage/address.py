"""Where a store is: its URL understood, shown without its password, and looked at before it is opened."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from mahavishnu.errors import StoreUnavailable

FORMS = "write sqlite:///file.db, postgresql://user@host/database or memory:"

_USERINFO = re.compile(r"//([^/@:]*):.*@")
_HIDDEN = "***"
_SECRET_OPTIONS = ("password", "sslpassword")


@dataclass(frozen=True, slots=True)
class Address:
    """A store's URL with the driver of ours in it. `shown` is what people may see."""

    url: URL
    shown: str

    @property
    def is_sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    @property
    def path(self) -> Path:
        return Path(self.url.database or "")

    @property
    def lake(self) -> Path:
        """Where its lake is unless the settings say otherwise: beside the file, or in the working directory."""
        name = self.path.stem or "mahavishnu"
        return self.path.with_name(f"{name}-lake") if self.is_sqlite else Path(f"{name}-lake")

    def unavailable(self, problem: str) -> StoreUnavailable:
        return StoreUnavailable(url=self.shown, problem=problem)

    def conceal(self, text: str) -> str:
        """Somebody else's words without our secrets in them."""
        for secret in (self.url.password, *(self.url.query.get(name) for name in _SECRET_OPTIONS)):
            if isinstance(secret, str) and secret:
                text = text.replace(secret, _HIDDEN)
        return text


def shown_url(url: str) -> str:
    """A URL as people may see it: the password is three stars, whatever else is wrong with it.

    >>> shown_url("postgresql://ada:secret@host/db")
    'postgresql://ada:***@host/db'
    >>> shown_url("sqlite:///mahavishnu.db")
    'sqlite:///mahavishnu.db'
    """
    hidden = _USERINFO.sub(rf"//\1:{_HIDDEN}@", url)
    for name in _SECRET_OPTIONS:
        hidden = re.sub(rf"([?&]{name}=)[^&]*", rf"\1{_HIDDEN}", hidden)
    return hidden


def parse(url: str) -> Address:
    """The address that a URL means, whichever driver it names. Raises `StoreUnavailable` for what is none."""
    shown = shown_url(url)
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise StoreUnavailable(url=shown, problem=f"that is not the URL of a store; {FORMS}") from None
    scheme = parsed.drivername.partition("+")[0]
    if scheme in ("postgresql", "postgres"):
        return Address(parsed.set(drivername="postgresql+psycopg"), shown)
    if scheme != "sqlite":
        raise StoreUnavailable(url=shown, problem=f'there is no store for "{scheme}"; {FORMS}')
    address = Address(parsed.set(drivername="sqlite+pysqlite"), shown)
    if parsed.host or not parsed.database or parsed.database == ":memory:":
        raise address.unavailable("it names no file; write sqlite:///file.db, or memory: to keep nothing")
    return address


def wherever(url: str) -> str:
    """The URL as it means the same store in every folder of this machine.

    >>> wherever("postgresql://ada@host/db")
    'postgresql://ada@host/db'
    >>> wherever("sqlite:////var/lib/m.db")
    'sqlite:////var/lib/m.db'
    """
    address = parse(url)
    if not address.is_sqlite:
        return url
    file = address.url.set(drivername="sqlite", database=str(address.path.absolute()))
    return file.render_as_string(hide_password=False)


def check_file(address: Address) -> None:
    """Refuse a file that cannot work, saying why better than the database would."""
    path = address.path
    folder = path.parent
    if not folder.is_dir():
        missing = f'the folder "{folder}" does not exist' if not folder.exists() else f'"{folder}" is not a folder'
        raise address.unavailable(f"{missing}; create it, or name another file")
    if path.is_dir():
        raise address.unavailable(f'"{path}" is a folder; name a file in it')
    if not _writable(folder):
        raise address.unavailable(f'the folder "{folder}" is read-only; run: chmod u+w "{folder}"')
    if path.exists() and not _writable(path):
        raise address.unavailable(f'the file "{path}" is read-only; run: chmod u+w "{path}"')


def _writable(path: Path) -> bool:
    """Whether somebody may write here, and we are one of them: root may everywhere, and is refused all the same."""
    return bool(path.stat().st_mode & 0o222) and os.access(path, os.W_OK)
