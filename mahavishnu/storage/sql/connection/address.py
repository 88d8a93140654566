"""Where a store is: its URL understood, shown without its password, and looked at before it is opened."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from mahavishnu.errors import StoreUnavailable, nearest_name
from mahavishnu.redaction import HIDDEN, redacted, shown_url

__all__ = ["Address", "check_file", "parse", "shown_url", "wherever"]

FORMS = "write sqlite:///file.db, postgresql://user@host/database or memory:"

_SECRET_OPTIONS = ("password", "sslpassword")
_OF_LIBPQ = frozenset(
    [
        "application_name",
        "channel_binding",
        "client_encoding",
        "connect_timeout",
        "dbname",
        "fallback_application_name",
        "gssdelegation",
        "gssencmode",
        "gsslib",
        "host",
        "hostaddr",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "krbsrvname",
        "load_balance_hosts",
        "options",
        "passfile",
        "password",
        "port",
        "require_auth",
        "requirepeer",
        "service",
        "ssl_max_protocol_version",
        "ssl_min_protocol_version",
        "sslcert",
        "sslcertmode",
        "sslcompression",
        "sslcrl",
        "sslcrldir",
        "sslkey",
        "sslmode",
        "sslnegotiation",
        "sslpassword",
        "sslrootcert",
        "sslsni",
        "target_session_attrs",
        "tcp_user_timeout",
        "user",
    ]
)
"""What a URL of PostgreSQL may say after its "?": the ordinary options of libpq, which has the last word on values."""

_MAY_COME_TWICE = frozenset({"host", "port"})


@dataclass(frozen=True, slots=True)
class Address:
    """A store's URL with the driver of ours in it. `shown` is what people may see."""

    url: URL = field(repr=False)
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
        """The words of a driver without secrets; ours are hidden also where they are too short to be known."""
        for secret in (self.url.password, *(self.url.query.get(name) for name in _SECRET_OPTIONS)):
            if isinstance(secret, str) and secret:
                text = text.replace(secret, HIDDEN)
        return redacted(text)


def parse(url: str) -> Address:
    """The address that a URL means, whichever driver it names. Raises `StoreUnavailable` for what is none."""
    shown = shown_url(url)
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise StoreUnavailable(url=shown, problem=f"that is not the URL of a store; {FORMS}") from None
    scheme = parsed.drivername.partition("+")[0]
    if scheme in ("postgresql", "postgres"):
        return _checked(Address(parsed.set(drivername="postgresql+psycopg"), shown), _OF_LIBPQ)
    if scheme != "sqlite":
        raise StoreUnavailable(url=shown, problem=f'there is no store for "{scheme}"; {FORMS}')
    address = Address(parsed.set(drivername="sqlite+pysqlite"), shown)
    if parsed.host or not parsed.database or parsed.database == ":memory:":
        raise address.unavailable("it names no file; write sqlite:///file.db, or memory: to keep nothing")
    return _checked(address, frozenset())


def _checked(address: Address, known: frozenset[str]) -> Address:
    """Raises `StoreUnavailable` for the first option that a store of this kind does not have, or has twice."""
    for problem in _problems(address, known):
        raise address.unavailable(problem)
    return address


def _problems(address: Address, known: frozenset[str]) -> Iterator[str]:
    for name, value in address.url.query.items():
        if not known:
            plain = address.url.set(drivername="sqlite", query={}).render_as_string()
            yield f'a store in a file has no options, and "{name}" is one; write {plain}'
        if name not in known:
            near = nearest_name(name, known)
            yield f'PostgreSQL has no option "{name}"; {f"write {near} instead" if near else "take it out"}'
        if not isinstance(value, str) and name not in _MAY_COME_TWICE:
            yield f'the option "{name}" is given more than once; give it once'


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


def interrupted_restore(path: Path) -> Path:
    """The folder in which a store is put together before its file gets its name."""
    return path.with_name(f"{path.name}.restoring")


def check_file(address: Address) -> None:
    """Refuse a file that cannot work, saying why better than the database would."""
    path = address.path
    folder = path.parent
    if not folder.is_dir():
        missing = f'the folder "{folder}" does not exist' if not folder.exists() else f'"{folder}" is not a folder'
        raise address.unavailable(f"{missing}; create it, or name another file")
    if path.is_dir():
        raise address.unavailable(f'"{path}" is a folder; name a file in it')
    if not path.exists() and (staging := interrupted_restore(path)).exists():
        raise address.unavailable(
            f"restoring it was interrupted, or is under way; run `mahavishnu store restore` again, "
            f'or remove the folder "{staging}" to begin with an empty store'
        )
    if not _writable(folder):
        raise address.unavailable(f'the folder "{folder}" is read-only; run: chmod u+w "{folder}"')
    if path.exists() and not _writable(path):
        raise address.unavailable(f'the file "{path}" is read-only; run: chmod u+w "{path}"')


def _writable(path: Path) -> bool:
    """Whether somebody may write here, and we are one of them: root may everywhere, and is refused all the same."""
    return bool(path.stat().st_mode & 0o222) and os.access(path, os.W_OK)
