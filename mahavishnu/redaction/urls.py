"""Passwords in URLs: well formed or not, and in the middle of other text."""

from __future__ import annotations

import re
from urllib.parse import unquote

from mahavishnu.redaction.names import HIDDEN, holds_secret

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*+:?(?=[/\\])|[A-Za-z][A-Za-z0-9+.-]*+:")
_SLASHES = re.compile(r"[/\\]*+")
_FILE = re.compile(r"(?i)sqlite(\+\w+)?:///")
_PORT = re.compile(r"\d{0,5}(?=$|[/?#,\\])")

_TOKEN = re.compile(r"""[^\s"'<>`]++""")
# Servers and drivers of databases are named with one slash too many or too few; elsewhere that is no URL.
_START = re.compile(
    r"(?i)(?:(?<![a-z0-9])(?:postgres|postgresql|psycopg|mysql|mariadb|mssql|oracle|mongodb|redis|rediss|amqps?|https?)"
    r"(?:\+[a-z0-9_]{1,20})?:[/\\]*+|[/\\]{2,}+|(?:%2F){2})"
)
_USER = re.compile(r"[^/\\@:?#%]*+(?:%(?!3A|40)[^/\\@:?#%]*+)*+", re.IGNORECASE)
_DATABASE = re.compile(r"(?i)(postgres|psycopg|mysql|mariadb|mssql|oracle|mongodb|redis|amqp)")


def shown_url(url: str) -> str:
    """A URL as it may be shown: the password is hidden, whatever else is wrong with the URL.

    >>> shown_url("postgresql://ada:secret@host/db?sslmode=require&PASSWORD=secret")
    'postgresql://ada:***@host/db?sslmode=require&PASSWORD=***'
    >>> shown_url("postgresql:/ada:secret@host/db")
    'postgresql:/ada:***@host/db'
    >>> shown_url("sqlite:///mahavishnu.db")
    'sqlite:///mahavishnu.db'
    """
    scheme = _SCHEME.match(url)
    begin = _SLASHES.match(url, scheme.end() if scheme else 0).end()  # type: ignore[union-attr]
    place, rest = url[:begin], url[begin:]
    if not _FILE.match(url):
        rest = _without_userinfo(rest, bare=place.endswith(":"))
    before, mark, query = rest.partition("?")
    return f"{place}{before}{mark}{_without_parameters(query)}"


def _without_userinfo(rest: str, *, bare: bool) -> str:
    """As SQLAlchemy reads it: a password ends at the last "@" and may hold anything, also a slash.

    What stands before it without any slash may be a scheme, or the user.
    """
    user, colon, after = rest.partition(":")
    if bare and not colon and "@" in rest:
        return f"{HIDDEN}@{rest.rpartition('@')[2]}"
    if not colon or user.startswith("["):
        return rest
    if "@" in after:
        password, at, host = after.rpartition("@")
        return f"{user}:{HIDDEN if password else ''}{at}{host}"
    if "@" in user or _PORT.match(after):
        return rest
    # The "@" was forgotten, so that the password stands where a port should.
    end = re.search(r"[/?#]|$", after).start()  # type: ignore[union-attr]
    return f"{user}:{HIDDEN}{after[end:]}"


def _without_parameters(query: str) -> str:
    parts = re.split("([&;])", query)
    return "".join(_without_value(part) for part in parts)


def _without_value(part: str) -> str:
    name, equals, value = part.partition("=")
    return f"{name}={HIDDEN}" if equals and value and holds_secret(unquote(name)) else part


def without_userinfo(text: str) -> str:
    """Text with the passwords in its URLs hidden; the names of users stay, except where they may be a key themselves.

    >>> without_userinfo("GET http://ann:pw@host/x failed, and so did https://key@host:80/y")
    'GET http://ann:***@host/x failed, and so did https://***@host:80/y'
    >>> without_userinfo("see http://host:4200/api/a@b or mail ann@host")
    'see http://host:4200/api/a@b or mail ann@host'
    """
    if "@" not in text and "%40" not in text:
        return text
    return _TOKEN.sub(_cleaned, text)


def _cleaned(found: re.Match[str]) -> str:
    token = found.group()
    last = max(token.rfind("@"), token.rfind("%40"))
    if last < 0:
        return token
    at = 0
    kept: list[str] = []
    while start := _START.search(token, at, last):
        if token.startswith("[", start.end()):
            # An IPv6 address, whose colons are its own.
            kept.append(token[at : start.end() + 1])
            at = start.end() + 1
            continue
        user = _USER.match(token, start.end())
        begin = user.end() if user else start.end()
        if token.startswith((":", "%3A", "%3a"), begin) and begin < last:
            colon = begin + (1 if token[begin] == ":" else 3)
            if _DATABASE.match(start.group()) or not _PORT.match(token, colon):
                return f"{''.join(kept)}{token[at:colon]}{HIDDEN}{token[last:]}"
        if token.startswith(("@", "%40"), begin) and _is_web(token, start) and begin > start.end():
            kept.append(f"{token[at : start.end()]}{HIDDEN}")
            at = begin
            continue
        # What was looked at holds no other start, except where the scheme's own colon is followed by one.
        kept.append(token[at : max(begin, start.end())])
        at = max(begin, start.end())
    return f"{''.join(kept)}{token[at:]}"


def _is_web(token: str, start: re.Match[str]) -> bool:
    """Whether it is an address of the web, where a user without a password is mostly a key."""
    return start.group()[:4].lower() == "http" or token[max(0, start.start() - 6) : start.start()].lower().endswith(
        ("http:", "https:")
    )
