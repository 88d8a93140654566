"""The report of an experiment: what was done and why stands in it, what people wrote means nothing to the page."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest

from mahavishnu.jobs.experiments.plots import evidence_plot, guardrails_plot, shares_plot
from mahavishnu.jobs.experiments.report import report_html, report_md
from mahavishnu.jobs.experiments.report_sections import change_words, share_words, units_words
from mahavishnu.model.experiment import Change, Experiment, ExperimentRun, ExperimentStatus, Guardrail, Measure, Step
from mahavishnu.model.objective import OBJECTIVES
from mahavishnu.model.reading import Arm, GuardrailReading, Point, Reading

EVIL = '<script>alert("1")</script>'

EXPERIMENT = Experiment(
    name="new-order",
    treatment=Change(order=("b", "a"), policy="statistical", instead=(("c", "d"),)),
    hypothesis=f"b is | better {EVIL}",
    owner=f"team@search {EVIL}",
    task_types=frozenset({"say"}),
    guardrails=(
        Guardrail(measure=Measure.SUCCESS, margin=0.02),
        Guardrail(measure=Measure.LATENCY, margin=0.2, limit=2000),
    ),
    salt="s",
)
RUN = ExperimentRun(
    experiment=EXPERIMENT,
    status=ExperimentStatus.ROLLED_BACK,
    started_at_us=1_800_000_000_000_000,
    ended_at_us=1_800_100_000_000_000,
    ran_us=90_000_000_000,
    cursor=4_000,
    assigned_cursor=4_100,
    note="success is worse: e-value 25.1 of 20.",
)
ARM = Arm(assigned=310, outcomes=300, successes=240, success=0.8, latency_ms=12.5, cost_usd=0.002, quality=None)
READING = Reading(
    treatment=ARM,
    control=replace(ARM, assigned=2_700, outcomes=2_600, successes=2_340, success=0.9),
    guardrails=(
        GuardrailReading(measure=Measure.SUCCESS, margin=0.02, worse=48.0, better=0.001, lo=-0.15, hi=-0.025),
        GuardrailReading(measure=Measure.LATENCY, margin=0.2, worse=2.2, better=1.0),
    ),
    worse=25.1,
    better=0.001,
    needed=20.0,
    ratio=0.4,
    ratio_needed=100.0,
    share=0.1034,
    expected_share=0.1,
    repeated=7,
    path=tuple(
        Point(outcomes=29 * n, treated=3 * n, worse=1.0327**n, better=0.93**n, ratio=0.99**n, share=0.1)
        for n in range(1, 101)
    ),
)


class Reader(HTMLParser):
    """What a browser would see: the tags, which of them were left open, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: dict[str, str | None] = {}
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.update(attrs)
        if tag not in ("meta", "path", "polyline"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.update(attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("path", "polyline"):
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def test_the_page_says_what_was_changed_seen_and_done_and_whose_it_is():
    page = read(report_html(RUN, READING))
    for words in (
        "Experiment new-order: rolled back",
        "It was rolled back: the treatment did harm",
        "success is worse: e-value 25.1 of 20.",
        "order b → a; d instead of c",
        "Success rate: 80.00 % with the treatment, 90.00 % with the control; a difference of -10 points.",
        "-15 to -2.5 points",
        "Not read: 7 further outcomes of units whose first outcome was read before.",
        "mahavishnu experiments report new-order --recompute",
        "how often latency is above 2000 ms",
        "The treatment has 10.34 % of the units with an outcome; the plan is 10.00 %.",
    ):
        assert words in page.text
    assert page.tags.count("svg") == 3


def test_the_page_needs_nothing_from_elsewhere_and_runs_nothing():
    html = report_html(RUN, READING)
    page = read(html)
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    assert not {"src", "href", "onload"} & page.attributes.keys()
    assert "url(" not in html
    assert "@import" not in html
    assert EVIL in page.text
    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html


def test_markdown_says_the_same_and_what_people_wrote_is_only_text_in_it():
    page = report_md(RUN, READING)
    assert page.startswith("# Experiment new-order: rolled back\n")
    assert "<script>" not in page
    assert r"b is \| better \<script\>" in page
    assert "| treatment | 310 | 300 | 240 | 80.00 % | 12.5 | 0.002 | – |" in page
    assert "```\nWITH assigned AS" in page
    assert "position <= 4100" in page
    assert "position <= 4000" in page


@pytest.mark.parametrize("status", ExperimentStatus)
def test_every_status_is_told_and_a_draft_has_nothing_to_show(status: ExperimentStatus):
    page = report_md(replace(RUN, status=status), None)
    assert page.count("## ") == 2
    assert status.value.replace("_", " ") in page.splitlines()[0]


def test_the_plots_are_well_formed_whatever_the_evidence():
    extreme = (
        Point(outcomes=1, treated=0, worse=0.0, better=1e300, ratio=1.0, share=0.01),
        Point(outcomes=2, treated=1, worse=1e300, better=0.0, ratio=1e12, share=0.99),
    )
    for reading in (READING, replace(READING, path=extreme), replace(READING, path=extreme[:1])):
        for plot in (evidence_plot(reading), shares_plot(reading)):
            drawn = ET.fromstring(plot)
            lines = [each for each in drawn.iter() if each.tag.endswith("polyline")]
            assert lines
            for line in lines:
                places = [tuple(map(float, each.split(","))) for each in line.attrib["points"].split()]
                assert all(0 <= x <= 720 and 0 <= y <= 300 for x, y in places)
    assert guardrails_plot(READING.guardrails[1:]) == ""
    ET.fromstring(guardrails_plot([replace(READING.guardrails[0], lo=-1.0, hi=1.0)]))


def test_changes_shares_and_units_have_words():
    assert change_words(Change(objective=OBJECTIVES["cost"])) == "objective cost"
    ramped = replace(EXPERIMENT, unit="user", ramp=(Step(after_s=3600, share=0.2), Step(after_s=86_400, share=0.5)))
    assert share_words(ramped) == "10 %, then 20 % after 1 hour, then 50 % after 1 day"
    assert (
        "of say get the treatment; the unit of assignment is each value of the tag user, which stays in one arm"
        in units_words(ramped)
    )
