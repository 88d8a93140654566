"""What went wrong in a database, in words that say what to do about it."""

from __future__ import annotations

import re

from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
    SQLAlchemyError,
)

from mahavishnu.errors import StoreUnavailable
from mahavishnu.storage.sql.connection.address import Address

_SQLITE = {
    "file is not a database": "it is not an SQLite database; name another file, or move this one away",
    "is locked": "another process has kept it locked for too long; wait a moment, or find out which one and end it",
    "database or disk is full": "the disk is full; make room and try again",
    "readonly database": "it is read-only; make the file and its folder writable",
    "no such table": "its tables are not there; run: mahavishnu store upgrade",
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
    "53200": "the server is out of memory; wait a moment, or give it more",
    "53300": "the server has too many connections; wait a moment, raise max_connections or close some",
    "25006": "it is read-only, as a standby is; name the primary server in the URL",
    "55000": "the database takes no connections; let it: ALTER DATABASE … ALLOW_CONNECTIONS true",
    "57P01": "the server is going down; start it again or wait until it is back",
    "57P02": "the server is recovering from a crash; wait until it has",
    "57P03": "the server is not ready; wait a moment and try again",
}

# A server that refuses a connection is quoted by the driver without its state. What it says, without the names in it;
# the first that fits holds. The state says what to do, unless the words say it better.
_REFUSALS = (
    ("is starting up", "57P03", "the server is starting up; wait a moment and try again"),
    ("not yet accepting connections", "57P03", "the server is starting up; wait a moment and try again"),
    ("is shutting down", "57P03", "the server is shutting down; start it again or wait until it is back"),
    ("in recovery mode", "57P03", _POSTGRES["57P02"]),
    ("system is not accepting connections", "57P03", "it is a standby without hot_standby; name the primary server"),
    ("not currently accepting connections", "55000", ""),
    ("terminating connection", "57P01", ""),
    ("too many clients", "53300", ""),
    ("too many connections", "53300", ""),
    ("connection slots", "53300", ""),
    (
        "no more connections",
        "53300",
        "its pooler takes no more connections; try again in a moment, or let it take more",
    ),
    ("password", "28P01", _POSTGRES["28P01"]),
    ("authentication failed", "28000", ""),
    ("pg_hba.conf", "28000", ""),
    ("not permitted to log in", "28000", ""),
    ("role does not exist", "28000", ""),
    ("database does not exist", "3D000", ""),
    ("permission denied", "42501", ""),
)

# How libpq and psycopg begin when no connection was made: they have no state for that, only words.
_CONNECTING = ("connection failed", "connection is bad", "connection timeout", "could not connect", "failed to resolve")

# The server went away, is coming back, or asks to be asked again.
_PASSING_STATES = ("08", "57P", "40001", "40P01", "53300")

# Data exception, integrity constraint violation, program limit exceeded: they lie in the values of the row.
_STATES_OF_A_ROW = ("22", "23", "54")


def is_passing(error: BaseException) -> bool:
    """Whether the same transaction may go through in a moment: the connection broke, or the server said so."""
    if not isinstance(error, DBAPIError):
        return False
    state = _state(error)
    refusal = _refusal(message_of(error)) if state is None else None
    if refusal is not None:
        state = refusal[0]
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


def lies_in_the_row(error: BaseException) -> bool:
    """Whether the database refuses what was to be written, and would refuse it again.

    Anything else may pass: a disk has room again, a right is granted. A short write may go through while a longer one
    does not, so that an answer to some other question proves nothing.
    """
    if is_passing(error):
        return False
    state = _state(error)
    if state is not None:
        return state.startswith(_STATES_OF_A_ROW)
    return isinstance(error, DataError | IntegrityError | InterfaceError | ProgrammingError)


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
    refusal = _refusal(message)
    if refusal is not None:
        return refusal[1]
    _before, refused, why = message.partition("FATAL: ")
    if refused:
        return f"the server refuses ({why.strip()}); correct the URL, or try again in a moment"
    return f"the server cannot be reached ({message}); start it or correct the URL"


def _refusal(message: str) -> tuple[str, str] | None:
    """The state and the mend of a server's refusal; None where it is no known one."""
    if not message.startswith(_CONNECTING):
        return None
    _before, refused, why = message.partition("FATAL: ")
    # A name may say anything: a role may be called "is starting up".
    words = " ".join(re.sub(r'"[^"]*"', "", why if refused else message).split())
    for part, state, mend in _REFUSALS:
        if part in words and (refused or state == "28P01"):
            return state, mend or _quoting(why, _POSTGRES[state])
    return None


def _quoting(why: str, mend: str) -> str:
    """The mend with the server's own words, which have the name in them, where there are any."""
    return f"the server refuses ({why.strip()}); {mend.partition('; ')[2]}" if why else mend


def _state(error: BaseException) -> str | None:
    """The five letters in which PostgreSQL says what is wrong; None elsewhere."""
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    return state if isinstance(state, str) else None
