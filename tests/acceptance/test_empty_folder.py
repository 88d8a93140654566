"""Reading in a folder without a store: an empty store is what a command finds, and nothing is left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

UNKNOWN = "01KB2Q7YV0S3J4N5P6R7T8V9WX"

ANSWERED: dict[str, object] = {
    "targets list": [],
    "targets check": [],
    "executions": [],
    "decisions": [],
    "routing stats": [],
    "routing stats --window 7d": [],
    "routing orders": [],
    "routing snapshots": [],
    "routing strategies": [],
    "routing hints": [],
    "routing aside": [],
    "budgets list": [],
    "budgets queue": [],
    "budgets queue --all": [],
    "alerts list": [],
    "experiments list --all": [],
    "workflow list": [],
    "store processes": [],
}

REFUSED = [
    f"status {UNKNOWN}",
    f"status {UNKNOWN[-8:]}",
    f"cancel {UNKNOWN}",
    f"outcome {UNKNOWN} --completed",
    f"executions --decision {UNKNOWN}",
    "executions -t nosuch",
    "routing frontier -t nosuch",
    "routing release nosuch",
    "routing rollback 3",
    "targets show nosuch",
    "budgets show nosuch",
    "budgets remove nosuch",
    f"budgets queue remove {UNKNOWN}",
    f"budgets bill {UNKNOWN} 0.1",
    f"alerts ack {UNKNOWN}",
    f"alerts resolve {UNKNOWN}",
    "experiments status nosuch",
    "experiments report nosuch",
    "experiments compare nosuch",
    "experiments stop nosuch",
    "experiments power -t nosuch",
    "workflow status nosuch",
    "workflow cancel nosuch",
    "workflow resume nosuch",
    f"store get exec:{UNKNOWN}",
    f"store get routing:{UNKNOWN}",
    "store get adapter:local:stats",
    f"store release {UNKNOWN}",
    "schedule list",
]


@pytest.fixture(autouse=True)
def nothing_left(folder: Path) -> Any:
    before = set(folder.iterdir())
    yield
    assert {path.name for path in set(folder.iterdir()) - before} <= {"__pycache__"}


def test_what_reads_answers_as_from_an_empty_store(cli: Any):
    for words, answer in ANSWERED.items():
        assert (words, cli.ok(*words.split())) == (words, answer)
    assert cli.ok("costs")["costs"] == []
    assert cli.ok("routing", "plan")["feasible"] is True
    assert cli.ok("experiments", "power")["requests_a_day"] is None
    assert cli.ok("routing", "recalculate", "--dry-run")["news"] is False


def test_what_is_asked_for_by_name_is_not_there(cli: Any):
    for words in REFUSED:
        ended = cli(*words.split())
        assert (words, ended.code) == (words, 2)
        assert ended.sentence


def test_the_store_and_the_doctor_say_that_there_is_none_yet(cli: Any):
    assert cli("store", "info").out == (
        "There is no store at sqlite:///mahavishnu.db yet; the first command that writes something creates it.\n"
    )
    info = cli.ok("store", "info")
    assert (info["url"], info["schema"], info["rows"]) == ("sqlite:///mahavishnu.db", None, {})
    checks = {row["check"]: row for row in cli("doctor", "--json").json}
    assert checks["store"]["status"] == "ok"
    assert checks["store"]["detail"] == (
        "there is none at sqlite:///mahavishnu.db yet; the first command that writes something creates it"
    )
    assert checks["targets"]["detail"] == "there is none yet"


def test_a_store_that_could_not_be_made_is_still_refused(cli: Any):
    ended = cli("executions", "--store", "sqlite:///nowhere/m.db")
    assert (ended.code, 'the folder "nowhere" does not exist' in ended.sentence) == (4, True)


def test_a_schedule_whose_server_does_not_answer_leaves_no_folder(cli: Any):
    ended = cli("schedule", "list", "--api-url", "http://127.0.0.1:9/api")
    assert ended.code == 1, ended.err
