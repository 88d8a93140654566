"""alerts: opened by a check, seen by people, over when they say so."""

from __future__ import annotations

from typing import Any

import pytest

UNKNOWN = "01KB2Q7YV0S3J4N5P6R7T8V9WX"


@pytest.fixture
def opened(cli: Any) -> dict[str, Any]:
    """The alert on a target that always fails."""
    cli.add("broken")
    for _ in range(12):
        assert cli("execute", "one", "-t", "say").code == 1
    (alert,) = cli.ok("alerts", "check")["opened"]
    return alert


def test_without_trouble_there_is_nothing_to_tell(cli: Any):
    cli.add("shout")
    cli.ok("execute", "one", "-t", "say")
    checked = cli.ok("alerts", "check")
    assert (checked["opened"], checked["closed"], checked["untold"]) == ([], [], None)
    assert checked["facts"] >= 1
    assert cli("alerts", "check").out == "Read 0 facts since the last check; 0 opened, 0 closed.\n"
    assert cli("alerts", "list").out == "No alert is open.\n"
    assert cli("alerts", "list", "--all").out == "No alert yet.\n"


def test_a_target_that_fails_is_an_alert(cli: Any, opened: dict[str, Any]):
    assert (opened["condition"], opened["status"]) == ("degradation:say:broken", "open")
    assert (opened["kind"], opened["task_type"], opened["target"]) == ("degradation", "say", "broken")
    assert "broken fails at say" in opened["summary"]
    assert opened["detail"]["rate"] == 0
    assert [each["alert_id"] for each in cli.ok("alerts", "list")] == [opened["alert_id"]]
    people = cli("alerts", "list").out
    assert opened["alert_id"] in people
    assert "degradation:say:broken" in people
    assert cli.ok("alerts", "check")["opened"] == []


def test_an_alert_is_acknowledged_and_then_resolved(cli: Any, opened: dict[str, Any]):
    id_ = opened["alert_id"]
    assert cli("alerts", "ack", id_).out == f"Alert {id_} (degradation:say:broken) is acknowledged.\n"
    assert cli.ok("alerts", "list")[0]["status"] == "acknowledged"
    assert cli.ok("alerts", "check")["opened"] == []
    resolved = cli.ok("alerts", "resolve", id_)
    assert (resolved["status"], resolved["acknowledged_at"] is None) == ("resolved", False)
    assert cli.ok("alerts", "list") == []
    assert [each["status"] for each in cli.ok("alerts", "list", "--all")] == ["resolved"]
    assert cli.ok("alerts", "ack", id_)["status"] == "resolved"


@pytest.mark.parametrize("command", ["ack", "resolve"])
def test_an_alert_that_is_not_there_is_named(cli: Any, command: str):
    ended = cli("alerts", command, UNKNOWN)
    assert ended.code == 2
    assert ended.sentence == f'There is no alert "{UNKNOWN}"; mahavishnu alerts list shows what there is.'


def test_a_webhook_whose_variable_is_not_set_is_told_of(cli: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MAHAVISHNU_ALERTS_WEBHOOK_URL_ENV", "OUR_HOOK")
    ended = cli("alerts", "check", "--json")
    assert ended.code == 0
    assert ended.sentence == "The webhook was not notified: the environment variable OUR_HOOK is not set."
