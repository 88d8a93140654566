"""What went wrong in a database, in words that say what to do about it."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from mahavishnu.errors import StoreUnavailable
from mahavishnu.storage.address import Address

_SQLITE = {
    "file is not a database": "it is not an SQLite database; name another file, or move this one away",
    "database is locked": "another process has kept it locked for too long; find out which one and end it",
    "database or disk is full": "the disk is full; make room and try again",
    "readonly database": "it is read-only; make the file and its folder writable",
    "unable to open": "the file cannot be opened; check that its folder exists and that you may write there",
    "disk I/O error": "the disk cannot be read or written; check it, and that the file was not moved away",
    "malformed": "the database is damaged; restore it from a backup",
}

_POSTGRES = {
    "28P01": "the password is wrong; set MAHAVISHNU_STORE_PASSWORD or correct the URL",
    "28000": "the server does not let this user in; check the user, the password and pg_hba.conf",
    "3D000": "there is no such database on the server; create it or correct the URL",
    "42501": "the database user lacks a right; grant it CREATE and USAGE on the schema",
    "53100": "the server's disk is full; make room and try again",
    "53300": "the server has too many connections; raise max_connections or close some",
}

# How libpq and psycopg begin when no connection was made: they have no state for that, only words.
_CONNECTING = ("connection failed", "connection is bad", "connection timeout", "could not connect", "failed to resolve")

# The server went away, is coming back, or asks to be asked again.
_PASSING_STATES = ("08", "57P", "40001", "40P01", "53300")


def is_passing(error: BaseException) -> bool:
    """Whether the same transaction may go through in a moment: the connection broke, or the server said so."""
    if not isinstance(error, DBAPIError):
        return False
    state = _state(error)
    if state is not None:
        return state.startswith(_PASSING_STATES)
    return error.connection_invalidated or message_of(error).startswith(_CONNECTING)


def is_duplicate(error: Exception) -> bool:
    """Whether the driver itself complains of a key that is there already."""
    return getattr(error, "sqlstate", None) == "23505"


def strikes_everybody(error: BaseException) -> bool:
    """Whether any other transaction would have failed as well: a full disk, a locked file, a server that is away.

    What PostgreSQL calls a limit (54) lies in the rows that were written, although its class says otherwise.
    """
    if isinstance(error, OperationalError):
        return not (_state(error) or "").startswith("54")
    return is_passing(error)


def message_of(error: SQLAlchemyError) -> str:
    """What the database itself said, on one line."""
    cause = getattr(error, "orig", None) or error
    return " ".join(str(cause).split()).rstrip(".")


def unavailable(address: Address, error: SQLAlchemyError) -> StoreUnavailable:
    """The error that leaves the store."""
    return address.unavailable(problem_of(error, address.conceal(message_of(error))))


def problem_of(error: SQLAlchemyError, message: str) -> str:
    """One clause for people, with the mend in it, about an error whose `message` may be shown."""
    state = _state(error)
    if state in _POSTGRES:
        return _POSTGRES[state]
    if message.startswith(_CONNECTING):
        return _connecting(message)
    for part, problem in _SQLITE.items():
        if part in message:
            return problem
    return f"the database said: {message}"


def _connecting(message: str) -> str:
    if "password" in message:
        return _POSTGRES["28P01"]
    _before, refused, why = message.partition("FATAL: ")
    if refused:
        return f"the server refuses ({why.strip()}); correct the URL"
    return f"the server cannot be reached ({message}); start it or correct the URL"


def _state(error: BaseException) -> str | None:
    """The five letters in which PostgreSQL says what is wrong; None elsewhere."""
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    return state if isinstance(state, str) else None
