"""Reports are left in a folder, under names that cannot leave it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from mahavishnu.jobs.experiments.report_files import hand_over
from mahavishnu.model.experiment import Change, Experiment, ExperimentRun


def run_called(name: str) -> ExperimentRun:
    return ExperimentRun(experiment=Experiment(name=name, treatment=Change(policy="statistical")))


def test_each_has_a_page_of_markdown_and_one_of_html(tmp_path: Path):
    pages = hand_over([run_called("one"), run_called("two")], str(tmp_path / "reports"))
    assert sorted(pages) == ["experiment one", "experiment two"]
    assert sorted(each.name for each in (tmp_path / "reports").iterdir()) == [
        "one.html",
        "one.md",
        "two.html",
        "two.md",
    ]
    assert (tmp_path / "reports" / "one.md").read_text(encoding="utf-8") == pages["experiment one"]


def test_a_name_with_slashes_and_dots_stays_in_the_folder(tmp_path: Path):
    hand_over([run_called("a/../../out"), run_called("team:a@b")], str(tmp_path / "reports"))
    found = {each.relative_to(tmp_path).as_posix() for each in tmp_path.rglob("*") if each.is_file()}
    assert found == {
        f"reports/{name}.{ending}" for name in ("a%2F..%2F..%2Fout", "team%3Aa@b") for ending in ("md", "html")
    }


def test_without_a_folder_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert list(hand_over([run_called("one")], "")) == ["experiment one"]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_to_is_logged_and_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    (tmp_path / "file").touch()
    with caplog.at_level(logging.WARNING, "mahavishnu.experiments"):
        assert list(hand_over([run_called("one")], str(tmp_path / "file"))) == ["experiment one"]
    assert "the report of experiment one cannot be written" in caplog.text
