"""The password of a store's URL: taken from the environment, never shown."""

from __future__ import annotations

import re
from urllib.parse import quote

HIDDEN = "***"

# As SQLAlchemy reads URLs: a user has neither colon nor slash, and a password may have anything. Up to the last "@", so
# that also a password that should have been escaped is hidden whole.
_USERINFO = re.compile(r"^([^:/]+://[^:/@]*):(.+)@", re.DOTALL)
_PARAMETER = re.compile(r"([?&](?:ssl)?password=)([^&]+)", re.IGNORECASE)


def redact_url(url: str) -> str:
    """The URL with its passwords hidden, wherever they stand.

    >>> redact_url("postgresql://me:s3cret@host/db?password=s3cret&sslmode=require")
    'postgresql://me:***@host/db?password=***&sslmode=require'
    """
    return _PARAMETER.sub(rf"\1{HIDDEN}", _USERINFO.sub(rf"\1:{HIDDEN}@", url))


def holds_password(url: str) -> bool:
    return bool(_USERINFO.search(url) or _PARAMETER.search(url))


def without_password(url: str) -> str:
    """The URL as it may be told to others, who put the password in themselves.

    >>> without_password("postgresql://me:s3cret@host/db?password=s3cret&sslmode=require")
    'postgresql://me@host/db?sslmode=require'
    >>> without_password("postgresql://me@host/db?password=s3cret")
    'postgresql://me@host/db'
    """
    place, mark, query = _USERINFO.sub(r"\1@", url).partition("?")
    kept = "&".join(each for each in query.split("&") if not _PARAMETER.match(f"?{each}"))
    return f"{place}{mark}{kept}" if kept else place


def with_password(url: str, password: str) -> str:
    """The URL with the password put in. One that it has itself stands, and a store that is a file needs none.

    >>> with_password("postgresql://me@host/db", "a/b")
    'postgresql://me:a%2Fb@host/db'
    """
    scheme, _, rest = url.partition("://")
    if not password or not scheme.startswith("postgres") or holds_password(url):
        return url
    place, mark, query = rest.partition("?")
    user, _, host = place.rpartition("@")
    return f"{scheme}://{user.rstrip(':')}:{quote(password, safe='')}@{host}{mark}{query}"
