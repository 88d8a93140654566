"""Each check of a store passes on a store that is whole, and fails once its one promise is broken by hand."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mahavishnu.errors import StoreOutdated, StoreUnavailable
from mahavishnu.ports import StoreLocation
from mahavishnu.storage.verify import verify_store, verifying
from mahavishnu.storage.verify.verifying import PROMISES
from tests.backups import CLOCK, check, failed, location, sql


def part_of(at: StoreLocation) -> Path:
    return min(path for path in Path(at.lake).glob("*/*") if path.is_dir())


def test_a_whole_store_passes_every_check(at):
    found = check(at)
    assert found.ok
    assert [each.name for each in found.checks] == [promise.name for promise in PROMISES]
    assert all(each.looked_at for each in found.checks)
    assert not any(path.name.startswith(".held") for path in Path(at.lake).iterdir())


BROKEN = {
    "positions are unique and below the counter": (
        "UPDATE execution_starts SET position = (SELECT min(position) FROM decisions)"
        " WHERE position = (SELECT min(position) FROM execution_starts)",
        "UPDATE counter SET value = 1",
        "UPDATE snapshots SET cursor = 1000000",
    ),
    "every record has its decision": (
        "DELETE FROM decisions WHERE id = (SELECT decision_id FROM execution_starts LIMIT 1)",
        "UPDATE outcomes SET decision_id = substr(decision_id, 1, 22) || 'ZZZZ'",
    ),
    "every workflow end has its start": ("DELETE FROM workflow_starts",),
    "every key that succeeded has its success": (
        "UPDATE keys SET succeeded = 1 WHERE key = 'open'",
        "UPDATE executions SET status = 'failed' WHERE decision_id = (SELECT decision_id FROM keys WHERE key = 'key')",
    ),
    "balances equal the ledger": (
        "UPDATE balances SET spent = spent + 1",
        "UPDATE balances SET reserved = reserved - 1",
        "DELETE FROM balances",
        "UPDATE ledger_entries SET micros = micros - 1 WHERE kind = 'charge'",
    ),
    "reservations equal open entries": (
        "DELETE FROM reservations",
        "UPDATE reservations SET micros = micros + 1",
        "DELETE FROM ledger_entries WHERE kind = 'release'",
        "UPDATE reservations SET process_id = 'gone'",
    ),
    "every charge has its execution": (
        "DELETE FROM executions WHERE id = (SELECT min(execution_id) FROM ledger_entries WHERE kind = 'charge')",
    ),
    "aggregates equal the facts": (
        "DELETE FROM dailies WHERE target = (SELECT min(target) FROM dailies)",
        "UPDATE executions SET cost_micros = cost_micros + 1 WHERE position = (SELECT max(position) FROM executions)",
        "UPDATE marks SET position = position - 1 WHERE name = 'aggregates'",
    ),
}


@pytest.mark.parametrize(
    ("name", "statement"), [(name, each) for name, statements in BROKEN.items() for each in statements]
)
def test_what_is_broken_in_the_tables_is_found_and_named(at, name, statement, monkeypatch):
    monkeypatch.setattr(verifying, "PROMISES", [promise for promise in PROMISES if promise.name == name])
    sql(at, statement)
    (found,) = check(at).checks
    assert not found.ok
    assert found.examples
    assert found.mend


def test_a_page_that_is_damaged_is_found(at):
    path = Path(at.url.removeprefix("sqlite:///"))
    with closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'decisions_by_task_type'"
        ).fetchone()
    content = bytearray(path.read_bytes())
    content[(page - 1) * 4096 : page * 4096] = b"\xff" * 4096
    path.write_bytes(content)
    assert "the database is sound" in failed(at)


LAKE = "the lake equals its manifest"


def test_a_part_that_is_gone_is_found(at):
    part = part_of(at)
    shutil.rmtree(part)
    found = failed(at)
    assert found[LAKE] == [f"{part.parent.name}/{part.name} is not there"]
    assert "aggregates equal the facts" in found


@pytest.mark.parametrize("sealed", [True, False])
def test_a_file_of_a_part_that_was_changed_is_found(at, sealed):
    part = part_of(at)
    file = part / "executions.parquet"
    content = bytearray(file.read_bytes())
    for index in range(4, len(content) // 2):
        content[index] ^= 0x55
    file.write_bytes(content)
    if not sealed:
        (part / "seal.json").unlink()
    assert part.name in failed(at)[LAKE][0]


def test_a_file_that_a_part_has_lost_or_gained_is_found(at):
    part = part_of(at)
    (part / "decisions.parquet").rename(part / "strangers.parquet")
    assert failed(at) == {LAKE: [f"{part.parent.name}/{part.name}: decisions.parquet is missing"]}


def test_a_part_without_a_name_is_found_once_it_is_too_old_to_be_on_its_way(at):
    part = part_of(at)
    stray = part.with_name(part.name[:-4] + "beef")
    shutil.copytree(part, stray)
    assert failed(at) == {}
    os.utime(stray, (1, 1))
    assert failed(at) == {"the lake has no stray parts": [f"{stray.parent.name}/{stray.name}"]}


def test_only_the_first_few_are_named_and_all_are_counted(at):
    sql(at, "UPDATE ledger_entries SET execution_id = execution_id || 'x' WHERE kind <> 'carry'")
    found = next(each for each in check(at).checks if each.name == "every charge has its execution")
    assert (found.failures, len(found.examples)) == (2, 2)
    sql(at, "DELETE FROM dailies")
    found = next(each for each in check(at).checks if each.name == "aggregates equal the facts")
    assert found.failures > len(found.examples) == 5


def test_a_store_of_another_version_or_none_is_refused_and_nothing_is_created(at, tmp_path):
    with pytest.raises(StoreUnavailable, match="there is no file"):
        check(location(tmp_path, name="absent"))
    assert not (tmp_path / "absent.db").exists()
    sql(at, "UPDATE mahavishnu_schema SET version_num = '0001'")
    with pytest.raises(StoreOutdated, match="store upgrade"):
        check(at)
    with pytest.raises(StoreUnavailable, match="gone with its process"):
        check(StoreLocation("memory:"))


@pytest.mark.parametrize("days", [0, 30])
def test_days_past_their_retention_may_be_kept_or_gone(at, days):
    sql(at, "DELETE FROM dailies WHERE day < (SELECT max(day) FROM dailies)")
    found = verify_store(at, CLOCK, keep_days=days)
    assert found.ok is (days == 0)
