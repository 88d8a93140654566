"""A backup holds all that a store is; restoring it is whole or not there, and says what the copy believes."""

import asyncio
import json
import os
import resource
import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mahavishnu.errors import BackupFailed, BackupRefused, BackupUnusable, RestoreRefused, StoreUnavailable
from mahavishnu.model import Status
from mahavishnu.ports import StoreLocation
from mahavishnu.storage.backup import restore_backup, restoring
from mahavishnu.storage.backup.archive import opened as opened_archive
from mahavishnu.storage.backup.locks import locked
from mahavishnu.storage.spool import Spooled, line_of, spool_of
from mahavishnu.testing.clock import ManualClock
from mahavishnu.testing.samples import Samples
from tests.backups import CLOCK, back_up, check, failed, left_in, location, opened, restore, rows, spend, sql


def test_a_restored_store_is_equal_row_by_row_and_passes_every_check(at, file, tmp_path):
    new = location(tmp_path, name="new")
    restored = restore(file, new)
    assert rows(new) == rows(at)
    assert failed(new) == {}
    assert restored.manifest.position == check(new).position
    assert restored.manifest.lake_parts == len(list(Path(new.lake).glob("*/*"))) > 0
    assert left_in(tmp_path) == {"copy", "new.db", "new-lake"}


async def test_what_a_copy_of_the_file_alone_lacks_is_in_a_backup(whole, at, tmp_path):
    """The log beside the file, the lake, and what waits in the spool."""
    store = await opened(at)
    make = Samples(CLOCK)
    decision = make.decision()
    spool = spool_of(at.url, "gone", at.spool)
    assert spool is not None
    waiting = make.end(make.start(decision, "gone"))
    ended = Spooled((decision, waiting))
    spool.add(ended, line_of(ended))
    spool.flush()
    spool.close()
    with spool.path.open("ab") as half:
        half.write(b'{"facts": [')
    logged = make.decision()
    await store.record([logged])
    shutil.copy(tmp_path / "copy" / "store.db", tmp_path / "alone.db")
    manifest = back_up(at, tmp_path / "x.backup")
    await store.close()
    assert manifest.spooled == 1
    alone = await opened(location(tmp_path, name="alone"))
    assert logged.id not in {each.id for each in await alone.decisions(1)}
    with pytest.raises(StoreUnavailable, match=r"its lake in .* cannot be used"):
        await alone.execution(whole[1].moved.id)
    await alone.close()
    new = location(tmp_path, name="new")
    restore(tmp_path / "x.backup", new)
    copy = await opened(new)
    assert await copy.decision(logged.id) == logged
    assert await copy.execution(whole[1].moved.id) == whole[1].moved
    await copy.close()
    taken_over = spool_of(new.url, "other", new.spool).abandoned()
    assert [execution.id for each in taken_over.spooled for execution in each.executions] == [waiting.id]
    taken_over.close()


async def test_in_the_copy_what_was_running_is_lost_its_money_free_and_its_key_free(whole, file, tmp_path):
    new = location(tmp_path, name="new")
    restore(file, new)
    kept = whole[1]
    store = await opened(new)
    try:
        assert [each.id for each in await store.reap()] == [kept.running.id]
        lost = await store.execution(kept.running.id)
        assert (lost.status, lost.error) == (Status.LOST, kept_error(lost.error))
        (balance,) = await store.balances(CLOCK.now_us())
        assert (balance.spent_micros, balance.reserved_micros) == (4000, 0)
        claim = await store.claim("open", "print", CLOCK.new_id())
        assert claim.mine
        assert (await store.claim("key", "print", CLOCK.new_id())).over
    finally:
        await store.close()
    assert failed(new) == {}


def kept_error(error: str) -> str:
    assert error.startswith(f"the process that ran it (pid {os.getpid()} on ")
    return error


async def test_processes_that_still_live_where_the_backup_is_restored_are_not_taken_for_those_of_the_copy(tmp_path):
    at = location(tmp_path)
    store = await opened(at)
    _charged, running = await spend(store)
    back_up(at, tmp_path / "x.backup")
    restore(tmp_path / "x.backup", location(tmp_path, name="new"))
    copy = await opened(location(tmp_path, name="new"))
    assert [each.id for each in await copy.reap()] == [running.id]
    assert (await store.execution(running.id)).status is Status.RUNNING
    await copy.close()
    await store.close()


def test_a_copy_that_shares_the_lakes_folder_has_parts_of_its_own(at, file, tmp_path):
    shared = StoreLocation(f"sqlite:///{tmp_path}/new.db", at.lake, at.spool)
    before = set(Path(at.lake).glob("*/*"))
    restore(file, shared)
    assert len(set(Path(at.lake).glob("*/*")) - before) == len(before)
    assert failed(shared) == failed(at) == {}


# -- writing ---------------------------------------------------------------------------------------------------------


def test_a_file_that_exists_is_replaced_only_when_asked_to(at, tmp_path):
    file = tmp_path / "x.backup"
    file.write_text("precious")
    with pytest.raises(BackupRefused, match="it exists already; name another file, or add --force"):
        back_up(at, file)
    assert file.read_text() == "precious"
    back_up(at, file, force=True)
    with opened_archive(file) as archive:
        archive.check()
    assert file.stat().st_mode & 0o777 == 0o600
    assert left_in(tmp_path) == {"copy", "x.backup"}


def test_the_store_itself_is_never_replaced_and_a_folder_must_be_there(at, tmp_path):
    store = Path(at.url.removeprefix("sqlite:///"))
    with pytest.raises(BackupRefused, match="that is the store itself"):
        back_up(at, store, force=True)
    with pytest.raises(BackupRefused, match="does not exist; create it"):
        back_up(at, tmp_path / "absent" / "x.backup")
    with pytest.raises(BackupRefused, match="it is a folder; name a file in it"):
        back_up(at, tmp_path)


def test_what_a_killed_backup_left_is_overwritten_and_one_under_way_is_left_alone(at, tmp_path):
    for name in ("x.backup.partial", "x.backup.partial.db", "x.backup.partial.db-journal"):
        (tmp_path / name).write_bytes(b"half" * 1_000_000)
    with locked(tmp_path / "x.backup.partial"), pytest.raises(BackupRefused, match="another process is writing it"):
        back_up(at, tmp_path / "x.backup")
    back_up(at, tmp_path / "x.backup")
    assert left_in(tmp_path) == {"copy", "x.backup"}
    assert (tmp_path / "x.backup").stat().st_size < 1_000_000


def test_a_backup_for_which_there_is_no_room_leaves_nothing(at, tmp_path):
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, old[1]))
    try:
        with pytest.raises((BackupFailed, StoreUnavailable), match=r"the disk"):
            back_up(at, tmp_path / "x.backup")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, ignored)
    assert left_in(tmp_path) == {"copy"}
    assert not [path for path in Path(at.lake).iterdir() if path.name.startswith(".held")]


def test_a_store_that_is_not_there_is_empty_or_has_lost_a_part_is_not_backed_up(at, tmp_path):
    with pytest.raises(StoreUnavailable, match="there is no file"):
        back_up(location(tmp_path, name="absent"), tmp_path / "x.backup")
    (tmp_path / "empty.db").touch()
    with pytest.raises(StoreUnavailable, match="there is no store in it"):
        back_up(location(tmp_path, name="empty"), tmp_path / "x.backup")
    with pytest.raises(StoreUnavailable, match="gone with its process"):
        back_up(StoreLocation("memory:"), tmp_path / "x.backup")
    shutil.rmtree(next(Path(at.lake).glob("*/*")))
    with pytest.raises(BackupFailed, match=r"lacks .*; bring that folder back .*mahavishnu store verify"):
        back_up(at, tmp_path / "x.backup")
    assert left_in(tmp_path) == {"copy", "empty.db"}


def test_what_a_killed_process_held_of_the_lake_goes_with_the_next_backup(at, tmp_path):
    left = Path(at.lake) / ".held-0123"
    left.mkdir()
    left.with_suffix(".lock").touch()
    held = Path(at.lake) / ".held-4567"
    held.mkdir()
    with locked(held.with_suffix(".lock")):
        back_up(at, tmp_path / "x.backup")
        assert (left.exists(), held.exists()) == (False, True)


# -- restoring -------------------------------------------------------------------------------------------------------


def test_a_store_that_is_not_empty_is_kept_or_goes_aside_with_its_lake(at, file):
    folder = Path(at.url.removeprefix("sqlite:///")).parent
    sql(at, "UPDATE switches SET enabled = 0", "INSERT INTO switches (target, enabled) VALUES ('mine', 1)")
    before = rows(at)
    with pytest.raises(RestoreRefused, match="it is not empty; name another store, or add --force"):
        restore(file, at)
    assert rows(at) == before
    restored = restore(file, at, force=True)
    assert rows(at)["switches"] == []
    aside = StoreLocation(f"sqlite:///{restored.aside}")
    assert rows(aside) == before
    assert failed(aside) == failed(at) == {}
    assert len(list(folder.glob("*.replaced-*"))) == 2
    assert len(list(Path(at.lake).glob("*/*"))) == restored.manifest.lake_parts


def test_two_stores_that_go_aside_in_the_same_second_are_both_kept(at, file):
    kept, clock = [], ManualClock()
    for name in ("first", "second"):
        sql(at, f"INSERT INTO switches (target, enabled) VALUES ('{name}', 1)")
        clock.advance(0.001)
        kept.append((name, restore_backup(file, at, clock, force=True).aside))
    for name, aside in kept:
        assert [row[0] for row in rows(StoreLocation(f"sqlite:///{aside}"))["switches"] if row[0] == name] == [name]


def test_a_damaged_store_goes_aside_as_it_is(at, file):
    path = Path(at.url.removeprefix("sqlite:///"))
    path.write_bytes(b"damaged" * 1000)
    with pytest.raises(RestoreRefused, match="--force"):
        restore(file, at)
    restored = restore(file, at, force=True)
    assert Path(restored.aside).read_bytes() == b"damaged" * 1000
    assert failed(at) == {}


async def test_a_store_in_use_is_refused_also_with_force_and_an_empty_one_is_filled(file, tmp_path):
    at = location(tmp_path)
    store = await opened(at)
    for force in (False, True):
        with pytest.raises(RestoreRefused, match=rf"in use \(pid {os.getpid()} on .*\); stop what uses it first"):
            restore(file, at, force=force)
    await store.close()
    assert restore(file, at).aside is None
    assert failed(at) == {}
    assert left_in(tmp_path) == {"store.db", "store-lake"}


def test_an_interrupted_restore_is_recognised_refused_and_done_again(at, file, tmp_path, monkeypatch):
    new = location(tmp_path, name="new")

    class Killed(BaseException):
        pass

    def die(stage, _done, _total):
        if stage == "Putting it in place":
            raise Killed

    monkeypatch.setattr(restoring.shutil, "rmtree", lambda *_args, **_options: None)
    monkeypatch.setattr(restoring.Folder, "remove_all", lambda *_args: None)
    with pytest.raises(Killed):
        restore(file, new, progress=die)
    monkeypatch.undo()
    assert left_in(tmp_path) == {"copy", "new.db.restoring", "new-lake"}
    stale = set(Path(new.lake).glob("*/*"))
    assert stale
    with pytest.raises(StoreUnavailable, match="restoring it was interrupted, or is under way; run `mahavishnu store"):
        asyncio.run(opened(new))
    assert not (tmp_path / "new.db").exists()
    with (
        locked(tmp_path / "new.db.restoring" / "lock"),
        pytest.raises(RestoreRefused, match="another process restores into it"),
    ):
        restore(file, new)
    restore(file, new)
    assert failed(new) == {}
    assert not any(path.exists() for path in stale)
    assert left_in(tmp_path) == {"copy", "new.db", "new-lake"}


def test_the_log_of_an_older_file_is_not_replayed_into_the_new_one(at, file, tmp_path):
    new = location(tmp_path, name="new")
    shutil.copy(Path(at.url.removeprefix("sqlite:///")), tmp_path / "new.db")
    with closing(sqlite3.connect(tmp_path / "new.db")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("DELETE FROM executions")
        connection.commit()
        shutil.copy(tmp_path / "new.db-wal", tmp_path / "log")
    (tmp_path / "new.db").unlink()
    shutil.move(tmp_path / "log", tmp_path / "new.db-wal")
    restore(file, new)
    assert rows(new) == rows(at)
    assert failed(new) == {}


def test_a_damaged_backup_changes_nothing(at, file, tmp_path):
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 1
    (tmp_path / "damaged").write_bytes(content)
    before = rows(at)
    for target, force in ((at, True), (location(tmp_path, name="new"), False)):
        with pytest.raises(BackupUnusable, match=r"it is damaged .*; use another backup"):
            restore(tmp_path / "damaged", target, force=force)
    assert rows(at) == before
    assert left_in(tmp_path) == {"copy", "damaged"}


def test_a_backup_of_an_older_schema_is_upgraded_on_the_way_and_one_of_a_newer_is_refused(file, tmp_path):
    old = tmp_path / "old.db"
    as_it_was(old, "0002")
    manifest = back_up(location(tmp_path, name="old"), tmp_path / "old.backup")
    assert manifest.schema == "0002"
    new = location(tmp_path, name="new")
    assert restore(tmp_path / "old.backup", new).upgraded_from == "0002"
    assert failed(new) == {}
    with closing(sqlite3.connect(old)) as connection:
        connection.execute("UPDATE mahavishnu_schema SET version_num = '9999'")
        connection.commit()
    with pytest.raises(StoreUnavailable, match="schema 9999 is newer than this version"):
        back_up(location(tmp_path, name="old"), tmp_path / "newer.backup")
    newer(file, tmp_path / "newer.backup")
    with pytest.raises(BackupUnusable, match=r"mahavishnu 7\.0 wrote it with schema 9999.*restore it with mahav"):
        restore(tmp_path / "newer.backup", location(tmp_path, name="other"))


def as_it_was(path: Path, revision: str) -> None:
    from mahavishnu.storage.sql.connection import schema
    from mahavishnu.storage.sql.connection.address import parse
    from mahavishnu.storage.sql.connection.database import Database

    database = Database(parse(f"sqlite:///{path}"))
    with database.connect_to_write() as connection, connection.begin():
        schema.set_up(database, connection, at=revision)
    database.close()


def newer(file: Path, into: Path) -> None:
    from zipfile import ZipFile

    with ZipFile(file) as source, ZipFile(into, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "manifest.json":
                content = json.dumps({**json.loads(content), "schema": "9999", "version": "7.0"}).encode()
            target.writestr(name, content)
