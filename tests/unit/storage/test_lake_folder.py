"""The folder of the lake, and who else is in it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from mahavishnu.storage.lake.folder import ABANDONED_S, Folder

OLD = 1_000_000_000


def left_behind(folder: Folder, name: str) -> Path:
    part = folder.root / "2026-11-19" / f"7-{name}"
    part.mkdir(parents=True)
    (part / "executions.parquet").write_bytes(b"12345")
    os.utime(part, (OLD, OLD))
    return part


def test_what_a_killed_process_has_left_goes_once_it_is_old_and_nobody_names_it(tmp_path):
    folder = Folder(tmp_path)
    named, abandoned = left_behind(folder, "named"), left_behind(folder, "abandoned")
    young = left_behind(folder, "young")
    os.utime(young)
    folder.sweep(7, {"2026-11-19/7-named"}.__contains__)
    assert (named.exists(), abandoned.exists(), young.exists()) == (True, False, True)
    assert ABANDONED_S > 3600, "a part that is being written must never look abandoned"
    assert folder.size_bytes() == 10


def test_what_another_that_tidies_up_takes_away_meanwhile_is_no_trouble(tmp_path):
    folder = Folder(tmp_path)
    part = left_behind(folder, "both-see-it")

    def the_other_is_first(_: str) -> bool:
        shutil.rmtree(part.parent)
        return False

    folder.sweep(7, the_other_is_first)
    assert not part.exists()
    folder.remove(["2026-11-19/7-both-see-it"])
