"""What a store's URL means, and what people get to see of it."""

import pytest

from mahavishnu.errors import StoreUnavailable
from mahavishnu.storage.sql.connection.address import parse, shown_url


@pytest.mark.parametrize(
    ("url", "driver", "database"),
    [
        ("sqlite:///a.db", "sqlite+pysqlite", "a.db"),
        ("sqlite+aiosqlite:////srv/a.db", "sqlite+pysqlite", "/srv/a.db"),
        ("postgresql://ada@host/db", "postgresql+psycopg", "db"),
        ("postgres://ada@host/db", "postgresql+psycopg", "db"),
        ("postgresql+asyncpg://postgres@/postgres?host=/run/db", "postgresql+psycopg", "postgres"),
    ],
)
def test_the_driver_is_ours_whichever_the_url_names(url, driver, database):
    address = parse(url)
    assert (address.url.drivername, address.url.database, address.shown) == (driver, database, url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ada:s3cret@host/db", "postgresql://ada:***@host/db"),
        ("postgresql://ada:s3@cr:et@host/db", "postgresql://ada:***@host/db"),
        ("postgresql://:s3cret@host/db", "postgresql://:***@host/db"),
        ("postgresql://h/db?password=s3cret&user=ada", "postgresql://h/db?password=***&user=ada"),
        ("nonsense//ada:s3cret@host", "nonsense//ada:***@host"),
        ("sqlite:///a:b.db", "sqlite:///a:b.db"),
    ],
)
def test_a_password_is_never_shown(url, shown):
    assert shown_url(url) == shown


def test_words_of_a_driver_are_shown_without_the_password():
    address = parse("postgresql://ada:s3cret@host/db?sslpassword=hush")
    assert address.conceal("s3cret and hush are wrong") == "*** and *** are wrong"


@pytest.mark.parametrize(
    "url",
    ["", "nothing", "mysql://ada:s3cret@host/db", "sqlite://", "sqlite:///:memory:", "sqlite://ada:s3cret@host/a.db"],
)
def test_what_is_no_store_is_refused_with_what_to_write_instead(url):
    with pytest.raises(StoreUnavailable, match=r"write sqlite:///file\.db") as refused:
        parse(url)
    assert "s3cret" not in str(refused.value)
