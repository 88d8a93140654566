"""The file of a backup: whatever is not whole, or not of this version, is refused with what to do about it."""

import json
from contextlib import suppress
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mahavishnu.errors import BackupUnusable
from mahavishnu.ports import BackupManifest
from mahavishnu.storage.backup.archive import ArchiveWriter, opened, unmoved


def write(file: Path, **changed: object) -> None:
    tables = file.with_name("tables")
    tables.write_bytes(bytes(range(256)) * 40)
    with file.open("wb") as into:
        writer = ArchiveWriter(into)
        for name in ("store.db", "lake/2026-01-02/7-1-a/executions.parquet", "spool/a-b.jsonl"):
            with tables.open("rb") as source:
                writer.add(name, source, deflate=name == "store.db", moved=unmoved)
        fields = {
            "format": 1, "version": "0.1.0", "schema": "0006", "source": "sqlite", "url": "sqlite:///x.db",
            "created_at": "2026-01-02T00:00:00Z", "position": 7, "tables": {"executions": 3}, "lake_parts": 1,
            "spooled": 1, "members": writer.members,
        }  # fmt: skip
        writer.close(BackupManifest(**{**fields, **changed}))


def check(file: Path) -> None:
    with opened(file) as archive:
        archive.check()


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("archive") / "good.backup"
    write(file)
    return file


def rewritten(good: Path, file: Path, change) -> Path:
    """The same backup with another manifest."""
    with ZipFile(good) as source, ZipFile(file, "w", ZIP_DEFLATED) as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "manifest.json":
                manifest = json.loads(content)
                change(manifest)
                content = json.dumps(manifest).encode()
            target.writestr(name, content)
    return file


def test_a_whole_one_is_read_and_its_members_come_out_as_they_went_in(good, tmp_path):
    with opened(good) as archive:
        archive.check()
        assert archive.manifest.tables == {"executions": 3}
        assert archive.under("lake/") == ["lake/2026-01-02/7-1-a/executions.parquet"]
        archive.extract("store.db", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == bytes(range(256)) * 40


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_no_changed_byte_of_a_member_goes_unnoticed(good, tmp_path, share, flip):
    content = bytearray(good.read_bytes())
    manifest = content.rindex(b'"format": 1')
    content[int(share * manifest)] ^= flip
    changed = tmp_path / "changed"
    changed.write_bytes(content)
    with suppress(BackupUnusable), opened(changed) as archive:
        archive.check()
        # A byte that no reader looks at.
        for name in archive.manifest.members:
            archive.extract(name, tmp_path / "out")
            assert (tmp_path / "out").read_bytes() == bytes(range(256)) * 40


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_one_that_was_cut_short_is_no_backup(good, tmp_path, share):
    content = good.read_bytes()
    (tmp_path / "cut").write_bytes(content[: int(len(content) * share)])
    with pytest.raises(BackupUnusable, match="is no backup of mahavishnu, or only a part of one; name a file"):
        check(tmp_path / "cut")


def test_one_that_is_not_there_says_so(tmp_path):
    with pytest.raises(BackupUnusable, match=r"cannot be opened .*; name another file"):
        check(tmp_path / "absent")


def test_one_of_a_newer_format_says_which_version_wrote_it(good, tmp_path):
    newer = rewritten(good, tmp_path / "x", lambda manifest: manifest.update(format=9, version="4.2.0", new="thing"))
    with pytest.raises(BackupUnusable, match=r"mahavishnu 4\.2\.0 wrote it in format 9.*restore it with mahavishnu 4"):
        check(newer)


def test_members_that_are_missing_added_or_put_elsewhere_are_refused(good, tmp_path):
    less = rewritten(good, tmp_path / "less", lambda manifest: manifest["members"].pop("spool/a-b.jsonl"))
    with pytest.raises(BackupUnusable, match="its files are not those that its manifest names"):
        check(less)

    def climb(manifest):
        manifest["members"]["lake/../../etc/passwd"] = manifest["members"]["store.db"]

    with pytest.raises(BackupUnusable, match="names files that no backup has"):
        check(rewritten(good, tmp_path / "climbing", climb))
    with pytest.raises(BackupUnusable, match="its manifest cannot be read"):
        check(rewritten(good, tmp_path / "odd", lambda manifest: manifest.pop("position")))
