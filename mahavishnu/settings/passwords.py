"""The password of a store's URL: taken from the environment, never shown."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from mahavishnu.redaction import holds_secret, shown_url

# As SQLAlchemy reads URLs: a user has neither colon nor slash, and a password may have anything, up to the last "@".
_USERINFO = re.compile(r"^([^:/]+:/*[^:/@]*):(.+)@", re.DOTALL)


def holds_password(url: str) -> bool:
    """Whether there is something in it that is hidden when it is shown, also where it is no valid URL."""
    return shown_url(url) != url


def password_in(url: str) -> tuple[str, ...]:
    """The passwords in a URL, as they are and as they are written there.

    >>> password_in("postgresql://me:s%2Fcret@host/db?sslpassword=hush")
    ('s%2Fcret', 's/cret', 'hush')
    """
    userinfo = _USERINFO.match(url)
    written = [userinfo[2]] if userinfo else []
    parameters = (parameter.partition("=") for parameter in url.partition("?")[2].split("&"))
    written += [value for name, _, value in parameters if value and holds_secret(unquote(name))]
    return tuple(dict.fromkeys(spelling for each in written for spelling in (each, unquote(each))))


def without_password(url: str) -> str:
    """The URL as it may be told to others, who put the password in themselves.

    >>> without_password("postgresql://me:s3cret@host/db?password=s3cret&sslmode=require")
    'postgresql://me@host/db?sslmode=require'
    >>> without_password("postgresql://me@host/db?password=s3cret")
    'postgresql://me@host/db'
    """
    place, mark, query = _USERINFO.sub(r"\1@", url).partition("?")
    kept = "&".join(each for each in query.split("&") if not holds_secret(unquote(each.partition("=")[0])))
    return f"{place}{mark}{kept}" if kept else place


def with_password(url: str, password: str) -> str:
    """The URL with the password put in. One that it has itself stands, and a store that is a file needs none.

    What is no URL stays as it is, for the store to refuse.

    >>> with_password("postgresql://me@host/db", "a/b")
    'postgresql://me:a%2Fb@host/db'
    """
    scheme, slashes, rest = url.partition("://")
    if not password or not slashes or not scheme.startswith("postgres") or holds_password(url):
        return url
    place, mark, query = rest.partition("?")
    user, _, host = place.rpartition("@")
    return f"{scheme}://{user.rstrip(':')}:{quote(password, safe='')}@{host}{mark}{query}"
