"""The reports of experiments that are over, left where somebody finds them."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from mahavishnu.jobs.experiments.evidence import Observations
from mahavishnu.jobs.experiments.report import report_html, report_md
from mahavishnu.model.experiment import ExperimentRun
from mahavishnu.model.reading import Reading

log = logging.getLogger("mahavishnu.experiments")


def reading_of(run: ExperimentRun) -> Reading | None:
    """What its evidence has come to; None before it was started."""
    return None if run.state is None else Observations.resumed(run.experiment, run.state).reading()


def hand_over(runs: Iterable[ExperimentRun], folder: str) -> dict[str, str]:
    """Pages of markdown, by what they are about; each is written to the folder as well, and as HTML.

    "" is no folder. One that cannot be written to is logged: what was decided holds without it, and the report can be
    had again (mahavishnu experiments report).
    """
    pages: dict[str, str] = {}
    for run in runs:
        reading = reading_of(run)
        page = pages[f"experiment {run.name}"] = report_md(run, reading)
        if folder:
            _write(Path(folder), run.name, {"md": page, "html": report_html(run, reading)})
    return pages


def _write(folder: Path, name: str, pages: dict[str, str]) -> None:
    # A name may have slashes and dots in it; here it is the name of a file, in this folder.
    stem = quote(name, safe="@")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for ending, text in pages.items():
            (folder / f"{stem}.{ending}").write_text(text, encoding="utf-8")
    except OSError as error:
        log.warning("the report of experiment %s cannot be written to %s: %s", name, folder, error)
