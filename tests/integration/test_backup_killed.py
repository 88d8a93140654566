"""Backups and restores while others write, while days move, from one database into the other, and killed anywhere."""

import asyncio
import json
import random
import subprocess
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import pytest

from mahavishnu.errors import MahavishnuError, RestoreRefused
from mahavishnu.ports import StoreLocation
from mahavishnu.storage.backup import moment
from tests.backups import (
    CLOCK,
    back_up,
    check,
    ended_ids,
    failed,
    left_in,
    location,
    opened,
    populate,
    restore,
    rows,
    spend,
    sql,
)
from tests.history import executions
from tests.integration.lakes import KEEPING, TODAY, check_days, publish, record

SPENDER = Path(__file__).with_name("spender.py")


class Keeper:
    """Another process, which takes or restores a backup, and is killed in the middle if asked to."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(self, act: str, file: Path, at: StoreLocation, die_at: int = 0, *, force: bool = False) -> int | None:
        """How often it reported progress; None where it was killed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([act, str(file), at.url, at.lake, at.spool, die_at, force]) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().strip()
        assert answer, "it failed, and said why on stderr"
        return None if answer == "killed" else int(answer)


@pytest.fixture(scope="module")
def keeper():
    command = [sys.executable, "-m", "tests.integration.backup_keeper"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Keeper(process)
        process.stdin.close()
        process.wait()


def places(seed: str, first: int, last: int, count: int) -> Sequence[int]:
    """At which reports to die: at the last, and at some before it."""
    return [last, *random.Random(seed).sample(range(first, last), count)]


async def built(at: StoreLocation) -> None:
    store = await opened(at)
    await populate(store)
    await store.close()


@pytest.fixture(params=["sqlite", "postgres"])
def anywhere(request):
    """Makes a location for a store: a file in a folder, or a database of its own with the lake in the folder."""
    if request.param == "sqlite":
        return location
    fresh = request.getfixturevalue("postgres")
    return lambda folder, name="store": location(folder, fresh(), name=name)


# -- from one into the other -----------------------------------------------------------------------------------------


async def test_a_store_goes_from_postgresql_to_sqlite_and_back_with_every_row_as_it_was(tmp_path, postgres):
    first, second, third = location(tmp_path, postgres()), location(tmp_path, name="b"), location(tmp_path, postgres())
    await built(first)
    back_up(first, tmp_path / "one.backup")
    restore(tmp_path / "one.backup", second)
    manifest = back_up(second, tmp_path / "two.backup")
    restore(tmp_path / "two.backup", third)
    assert rows(first) == rows(second) == rows(third)
    assert [failed(each) for each in (first, second, third)] == [{}, {}, {}]
    assert manifest.tables["executions"] == len(rows(third)["executions"]) > 0
    store = await opened(third)
    assert len(await store.reap()) == 1
    await spend(store)
    await store.close()
    assert failed(third) == {}


async def test_a_database_that_is_not_empty_is_kept_or_its_tables_go_into_a_schema_aside(tmp_path, postgres):
    at = location(tmp_path, postgres())
    await built(at)
    file = tmp_path / "x.backup"
    back_up(at, file)
    sql(at, "INSERT INTO switches (target, enabled) VALUES ('mine', 1)")
    before = rows(at)
    with pytest.raises(RestoreRefused, match="name another database, or add --force to move its tables into a schema"):
        restore(file, at)
    store = await opened(at)
    with pytest.raises(RestoreRefused, match="in use"):
        restore(file, at, force=True)
    await store.close()
    assert rows(at) == before
    restored = restore(file, at, force=True)
    assert rows(at)["switches"] == []
    aside = restored.aside.split()[1]
    copied = StoreLocation(f"{at.url}&options=-csearch_path%3D{aside}", restored.aside.split()[-1])
    assert rows(copied) == before
    assert failed(copied) == failed(at) == {}
    empty = location(tmp_path, postgres(), name="empty")
    store = await opened(empty)
    await store.close()
    restore(file, empty)
    assert failed(empty) == {}


# -- while others write and days move --------------------------------------------------------------------------------


def acknowledged(child: subprocess.Popen[str], lines: int | None = None) -> set[str]:
    """The executions that a process that spends said it had charged, in its next lines or until its end."""
    assert child.stdout is not None
    said = [line.split() for line in islice(child.stdout, lines)]
    return {words[1] for words in said if words[0] == "charged"}


async def test_under_load_from_two_processes_everything_acknowledged_before_is_in_the_backup(tmp_path, anywhere):
    at = anywhere(tmp_path)
    store = await opened(at)
    await spend(store)
    await publish(store)
    await store.close()
    commands = [[sys.executable, str(SPENDER), at.url, "100000", seed] for seed in ("1", "2")]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    try:
        before = set[str]().union(*(acknowledged(child, 60) for child in children))
        drains = [asyncio.create_task(asyncio.to_thread(acknowledged, child)) for child in children]
        manifest = await asyncio.to_thread(back_up, at, tmp_path / "x.backup")
        seen = await asyncio.to_thread(check, at)
        still = [child.poll() for child in children]
    finally:
        for child in children:
            child.kill()
            child.wait()
    assert still == [None, None], "both wrote until after the backup"
    assert [each.name for each in seen.checks if not each.ok] == []
    assert seen.position > manifest.position
    after = set[str]().union(*await asyncio.gather(*drains))
    for child in children:
        assert child.stdout is not None
        child.stdout.close()
    assert before
    assert after
    new = location(tmp_path, name="new")
    restore(tmp_path / "x.backup", new)
    assert failed(new) == {}
    copy = await opened(new)
    try:
        await copy.reap()
        assert before <= await ended_ids(copy)
        assert not any(each.reserved_micros for each in await copy.balances(CLOCK.now_us()))
    finally:
        await copy.close()
    assert failed(new) == {}


async def test_while_days_move_into_the_lake_and_out_of_it_every_backup_is_whole(tmp_path, anywhere):
    at = anywhere(tmp_path)
    store = await opened(at)
    await record(store, executions(600, TODAY - 7, 8, seed=4))
    expected = await publish(store)
    moved = [asyncio.Event(), asyncio.Event()]

    async def tidy() -> None:
        # Late facts bring parts of their own, which are made one with the first.
        while await store.retain(KEEPING, TODAY) is not None:
            moved[0].set()
            await asyncio.sleep(0)
        moved[1].set()

    tidying = asyncio.create_task(tidy())
    manifests = []
    await moved[0].wait()
    while not moved[1].is_set() or len(manifests) < 2:
        file = tmp_path / f"{len(manifests)}.backup"
        manifests.append(await asyncio.to_thread(back_up, at, file))
        assert [each.name for each in (await asyncio.to_thread(check, at)).checks if not each.ok] == []
    await tidying
    await store.close()
    for number in {0, len(manifests) - 1}:
        new = location(tmp_path, name=f"new-{number}")
        restore(tmp_path / f"{number}.backup", new)
        assert failed(new) == {}
        copy = await opened(new)
        await check_days(copy, expected)
        await copy.close()


def test_a_part_that_is_tidied_away_before_it_is_held_is_never_missed(tmp_path, monkeypatch):
    """Between reading which parts there are and holding them, the first one is replaced by another."""
    at = location(tmp_path)
    asyncio.run(built(at))
    real, calls = moment.link, []

    def late(part: Path, copy: Path) -> bool:
        if not calls:
            calls.append(part)
            name = f"{part.parent.name}/{part.name}"
            newer = part.with_name(f"{part.name[:-4]}beef")
            sql(at, f"UPDATE lake_parts SET name = '{newer.parent.name}/{newer.name}' WHERE name = '{name}'")
            part.rename(newer)
        return real(part, copy)

    monkeypatch.setattr(moment, "link", late)
    back_up(at, tmp_path / "x.backup")
    new = location(tmp_path, name="new")
    restore(tmp_path / "x.backup", new)
    assert failed(new) == {}
    assert calls


# -- killed ----------------------------------------------------------------------------------------------------------


async def test_a_killed_backup_leaves_nothing_that_looks_like_one(tmp_path, anywhere, keeper):
    at = anywhere(tmp_path)
    await built(at)
    file = tmp_path / "out" / "x.backup"
    file.parent.mkdir()
    reports = keeper("backup", file, at)
    assert left_in(file.parent) == {"x.backup"}
    file.unlink()
    for die_at in places(at.url[:6], 1, reports, 4):
        assert keeper("backup", file, at, die_at) is None
        assert left_in(file.parent) <= {"x.backup.partial", "x.backup.partial.db", "x.backup.partial.db-journal"}
    back_up(at, file)
    assert left_in(file.parent) == {"x.backup"}
    assert not list(Path(at.lake).glob(".held*"))
    restore(file, location(tmp_path, name="new"))
    assert failed(location(tmp_path, name="new")) == failed(at) == {}


async def test_a_killed_restore_leaves_no_store_and_is_done_again(tmp_path, anywhere, keeper):
    at = location(tmp_path, name="from")
    await built(at)
    file = tmp_path / "x.backup"
    back_up(at, file)
    reports = keeper("restore", file, anywhere(tmp_path, name="new"))
    # While the file is checked, nothing is written.
    assert keeper("restore", file, anywhere(tmp_path, name="untouched"), reports // 3) is None
    assert not [name for name in left_in(tmp_path) if name.startswith("untouched")]
    for die_at in places(at.url[:6], reports // 2 + 1, reports - 1, 3):
        new = anywhere(tmp_path, name=f"new-{die_at}")
        assert keeper("restore", file, new, die_at) is None
        # PostgreSQL has its old state; where a file is to come, an opening says what happened instead of making one.
        with pytest.raises(MahavishnuError, match=r"restoring it was interrupted|it is empty; there is no store"):
            check(new) if new.url.startswith("postgres") else await opened(new)
        keeper("restore", file, new)
        assert rows(new) == rows(at)
        assert failed(new) == {}
        assert len(parts_of(new)) == len(parts_of(at))


async def test_a_killed_restore_leaves_the_old_store_or_the_new_one(tmp_path, anywhere, keeper):
    at = location(tmp_path, name="from")
    await built(at)
    file = tmp_path / "x.backup"
    back_up(at, file)
    old = anywhere(tmp_path, name="old")
    store = await opened(old)
    await spend(store)
    await store.close()
    before = rows(old)
    # The last report comes when the new store is in place: then what is left to do is to clear up.
    reports = keeper("restore", file, anywhere(tmp_path, name="new"))
    assert keeper("restore", file, old, reports // 2, force=True) is None
    assert rows(old) == before
    assert failed(old) == {}
    assert keeper("restore", file, old, reports if old.url.startswith("post") else reports + 1, force=True) is None
    assert rows(old) == rows(at)
    assert failed(old) == {}
    # What was left to clear up is not the lake of the store that is in use by now.
    restored = restore(file, old, force=True)
    assert failed(old) == {}
    if old.url.startswith("sqlite"):
        assert failed(StoreLocation(f"sqlite:///{restored.aside}")) == {}
    assert len(parts_of(old)) == len(parts_of(at))


def parts_of(at: StoreLocation) -> list[Path]:
    return [path for path in Path(at.lake).glob("*/*") if path.is_dir()]
