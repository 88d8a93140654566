"""routing: scores are published, orders are shown, an earlier snapshot is gone back to."""

from __future__ import annotations

from typing import Any

import pytest

TRUSTING = """
[policies.statistical]
min_samples = 20

[breaker]
consecutive_failures = 10000
window = 10000
"""


@pytest.fixture
def evidence(cli: Any, folder: Any) -> None:
    """broken is the default choice, and has failed thirty times where shout succeeded."""
    (folder / "config").mkdir()
    (folder / "config" / "mahavishnu.toml").write_text(TRUSTING, encoding="utf-8")
    cli.add("broken", "shout")
    run(cli, folder, "broken", 30)
    run(cli, folder, "shout", 30)


def run(cli: Any, folder: Any, target: str, times: int) -> None:
    path = folder / f"{target}-{times}.jsonl"
    path.write_text(f'{{"type": "say", "text": "{times}", "target": "{target}"}}\n' * times, encoding="utf-8")
    assert cli("run", path, "--out", folder / f"{target}-{times}.out").code == (1 if target == "broken" else 0)


def test_recalculating_publishes_scores_and_an_order_and_says_why(cli: Any, evidence: None):
    would = cli.ok("routing", "recalculate", "--dry-run")
    assert would["news"]
    assert would["dry_run"]
    assert cli.ok("routing", "orders") == []
    told = cli("routing", "recalculate").out
    assert "say: shout moves before broken: 100.0 % of 30 against 0.0 % of 30" in told
    assert "Published snapshot 1." in told
    assert cli.ok("routing", "orders") == [{"task_type": "say", "order": ["shout", "broken"], "version": 1}]
    assert "shout → broken" in cli("routing", "orders", "--task-type", "say").out
    assert cli("routing", "recalculate").out == "Nothing has changed since snapshot 1.\n"


def test_recalculating_from_every_fact_changes_nothing(cli: Any, evidence: None):
    before = cli.ok("routing", "recalculate")
    assert not cli.ok("routing", "recalculate", "--full")["news"]
    stats = cli.ok("routing", "stats", "--window", "1d")
    assert [(each["target"], each["n"], each["successes"]) for each in stats] == [("broken", 30, 0), ("shout", 30, 30)]
    assert before["scorecards"] == 2


def test_an_earlier_snapshot_is_gone_back_to_and_said_so(cli: Any, evidence: None, folder: Any):
    cli.ok("routing", "recalculate")
    run(cli, folder, "shout", 5)
    cli.ok("routing", "recalculate")
    back = cli.ok("routing", "rollback", "1")
    assert (back["version"], back["kind"], back["restored"]) == (3, "rollback", 1)
    assert [stat["n"] for stat in cli.ok("routing", "stats", "--target", "shout")] == [30]
    kinds = [(each["version"], each["kind"]) for each in cli.ok("routing", "snapshots")]
    assert kinds == [(3, "rollback"), (2, "recalculation"), (1, "recalculation")]
    assert "back to snapshot 1" in cli("routing", "snapshots", "--last", "1").out
    cli.ok("routing", "recalculate")
    assert [stat["n"] for stat in cli.ok("routing", "stats", "--target", "shout")] == [35]


def test_what_was_never_published_cannot_be_gone_back_to(cli: Any):
    ended = cli("routing", "rollback", "9")
    assert ended.code == 2
    assert ended.sentence == 'There is no snapshot "9"; mahavishnu routing snapshots shows what there is.'


@pytest.mark.parametrize("window", ["0d", "week", "-3", "99999d"])
def test_a_window_that_is_none_is_refused_with_the_way_to_write_it(cli: Any, window: str):
    ended = cli("routing", "stats", f"--window={window}")
    assert ended.code == 2
    assert "such as 7d" in ended.sentence


def test_before_anything_happened_the_way_on_is_shown(cli: Any):
    assert "mahavishnu routing recalculate" in cli("routing", "orders").out
    assert cli("routing", "snapshots").out == "Nothing was published yet.\n"
