"""The PostgreSQL of a test's own does what outages are made of, and leaves nothing behind."""

import asyncio

import psutil
import psycopg
import pytest

from tests.running.place import run_folder
from tests.servers.postgres import shared_postgres


def value(url):
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT value FROM kept").fetchone()
        assert row is not None
        return row[0]


def keep(url, number):
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept (value int)")
        connection.execute("INSERT INTO kept VALUES (%s)", [number])


def test_what_was_committed_is_there_under_the_same_url_after_a_stop_and_a_kill(own_postgres):
    url = own_postgres.url()
    keep(url, 7)
    own_postgres.stop()
    with pytest.raises(psycopg.OperationalError):
        value(url)
    own_postgres.start()
    assert value(url) == 7
    own_postgres.kill()
    with pytest.raises(psycopg.OperationalError):
        value(url)
    own_postgres.start()
    assert value(url) == 7


async def test_a_frozen_server_answers_when_it_is_thawed_and_not_before(own_postgres):
    url = own_postgres.url()
    keep(url, 7)
    processes = psutil.Process(own_postgres.pid).children(recursive=True)
    own_postgres.freeze()
    asked = asyncio.create_task(asyncio.to_thread(value, url))
    await asyncio.wait([asked], timeout=0.3)
    assert not asked.done()
    states = {process.status() for process in processes if process.is_running()} - {psutil.STATUS_ZOMBIE}
    own_postgres.thaw()
    assert await asked == 7
    assert states == {psutil.STATUS_STOPPED}


def test_each_url_is_an_empty_database_of_its_own(own_postgres):
    first, second = own_postgres.url(), own_postgres.url()
    assert first != second
    keep(first, 1)
    keep(second, 2)
    assert (value(first), value(second)) == (1, 2)


def test_a_frozen_server_can_be_stopped_and_killed(own_postgres):
    own_postgres.freeze()
    own_postgres.stop()
    assert not own_postgres.running
    own_postgres.start()
    own_postgres.freeze()
    processes = psutil.Process(own_postgres.pid).children(recursive=True)
    own_postgres.kill()
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes)


def test_processes_of_one_run_share_a_server_and_the_databases_of_a_test_are_dropped(postgres, pytestconfig):
    again = shared_postgres(run_folder(pytestconfig) / "postgres")
    with again.databases() as fresh:
        keep(postgres(), 7)
        url = fresh()
        assert url.partition("?")[2] == postgres().partition("?")[2]
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(url)
