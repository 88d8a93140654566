"""What a PostgreSQL server says when it refuses: the mend for each, and whether the same may go through in a moment."""

import socket
import struct
import threading
from contextlib import contextmanager

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from mahavishnu.engine.clock import SystemClock
from mahavishnu.errors import StoreUnavailable
from mahavishnu.storage import open_store
from mahavishnu.storage.sql.connection.db_errors import (
    is_passing,
    lies_in_the_row,
    message_of,
    problem_of,
    strikes_everybody,
)


@contextmanager
def refusing(code, message):
    """A server that refuses every connection as PostgreSQL does; gives its port."""

    def refuse(connection):
        with connection:
            while True:
                (size,) = struct.unpack("!I", connection.recv(4, socket.MSG_WAITALL))
                (version,) = struct.unpack("!I", connection.recv(size - 4, socket.MSG_WAITALL)[:4])
                if version >> 16 == 3:
                    break
                connection.sendall(b"N")  # neither TLS nor GSS
            fields = {"S": "FATAL", "V": "FATAL", "C": code, "M": message}
            body = b"".join(key.encode() + text.encode() + b"\0" for key, text in fields.items()) + b"\0"
            connection.sendall(b"E" + struct.pack("!I", len(body) + 4) + body)

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            refuse(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


REFUSALS = [
    ("57P03", "the database system is starting up", "is starting up; wait a moment and try again", True),
    ("57P03", "the database system is not yet accepting connections", "is starting up; wait a moment", True),
    ("57P03", "the database system is shutting down", "is shutting down; start it again or wait", True),
    ("57P03", "the database system is in recovery mode", "is recovering from a crash; wait until it has", True),
    ("57P03", "the database system is not accepting connections", "is a standby", True),
    ("57P01", "terminating connection due to administrator command", "start it again or wait until it is back", True),
    ("53300", "sorry, too many clients already", "(sorry, too many clients already); wait a moment", True),
    (
        "53300",
        "remaining connection slots are reserved for roles with the SUPERUSER attribute",
        "raise max_connections",
        True,
    ),
    ("53300", 'too many connections for role "u"', "too many connections", True),
    ("08P01", "no more connections allowed (max_client_conn)", "try again in a moment", True),
    (
        "28P01",
        'password authentication failed for user "u"',
        "the password is wrong; set MAHAVISHNU_STORE_PASSWORD",
        False,
    ),
    ("28000", 'role "is starting up" does not exist', '(role "is starting up" does not exist); check the user', False),
    ("28000", 'no pg_hba.conf entry for host "127.0.0.1", user "u", database "d", no encryption', "pg_hba", False),
    (
        "3D000",
        'database "too many clients" does not exist',
        '(database "too many clients" does not exist); create it',
        False,
    ),
    ("42501", 'permission denied for database "d"', "grant it CREATE", False),
    ("55000", 'database "d" is not currently accepting connections', "ALLOW_CONNECTIONS", False),
]


@pytest.mark.parametrize(("code", "message", "mend", "passes"), REFUSALS, ids=[each[1][:30] for each in REFUSALS])
def test_a_refusal_comes_with_its_own_mend_and_passes_only_where_waiting_helps(code, message, mend, passes):
    with refusing(code, message) as port:
        engine = create_engine(f"postgresql+psycopg://u:pw@127.0.0.1:{port}/d")
        with pytest.raises(OperationalError) as caught:
            engine.connect()
    error = caught.value
    assert mend in problem_of(error, message_of(error))
    assert is_passing(error) is passes
    assert strikes_everybody(error)


async def test_a_store_that_is_starting_up_says_wait_and_not_that_the_url_is_wrong():
    with refusing("57P03", "the database system is starting up") as port:
        store = open_store(f"postgresql://u@127.0.0.1:{port}/d", SystemClock())
        with pytest.raises(StoreUnavailable) as caught:
            await store.open()
    assert str(caught.value).endswith("cannot be used: the server is starting up; wait a moment and try again.")


@pytest.mark.parametrize(
    ("host", "mend"),
    [("127.0.0.1:1", "the server cannot be reached (connection failed"), ("no.such.invalid", "correct the URL")],
)
def test_a_server_that_is_not_there_is_told_from_one_that_refuses(host, mend):
    with pytest.raises(OperationalError) as caught:
        create_engine(f"postgresql+psycopg://u@{host}/d").connect()
    problem = problem_of(caught.value, message_of(caught.value))
    assert mend in problem
    assert problem.endswith("start it or correct the URL")
    assert is_passing(caught.value)


@pytest.mark.parametrize(
    ("statement", "lies"),
    [
        ("INSERT INTO t VALUES (1)", True),
        ("INSERT INTO t VALUES (zeroblob(2000000000))", True),
        ("INSERT INTO t VALUES (zeroblob(100000))", False),
        ("INSERT INTO gone VALUES (1)", False),
    ],
    ids=["a key that is there", "a row that is too large", "a disk that is full", "a table that is not there"],
)
def test_only_what_lies_in_the_row_is_taken_for_final(statement, lies):
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE t (a PRIMARY KEY)")
        connection.exec_driver_sql("INSERT INTO t VALUES (1)")
        connection.exec_driver_sql("PRAGMA max_page_count = 4")
        with pytest.raises(SQLAlchemyError) as caught:
            connection.exec_driver_sql(statement)
    engine.dispose()
    assert lies_in_the_row(caught.value) is lies


def test_a_right_that_is_not_granted_may_be_granted_later(postgres):
    url = postgres().replace("postgresql:", "postgresql+psycopg:")
    with create_engine(url, poolclass=NullPool).connect() as connection:
        for statement in ("CREATE TABLE t (a int)", "CREATE ROLE poor", "SET ROLE poor"):
            connection.exec_driver_sql(statement)
        with pytest.raises(SQLAlchemyError) as caught, connection.begin_nested():
            connection.exec_driver_sql("INSERT INTO t VALUES (1)")
        assert not lies_in_the_row(caught.value)
        with pytest.raises(SQLAlchemyError) as caught, connection.begin_nested():
            connection.exec_driver_sql("SELECT 1/0")
        assert lies_in_the_row(caught.value)
        connection.exec_driver_sql("RESET ROLE")
        connection.exec_driver_sql("DROP ROLE poor")
