"""budgets: made, changed, shown and removed; what happens to tasks when one is empty; late bills."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

UNKNOWN = "01KB2Q7YV0S3J4N5P6R7T8V9WX"


def spend(cli: Any, *flags: str) -> Any:
    return cli("execute", "hello", "-t", "say", *flags, "--json")


COMMANDS = ["set", "list", "show", "remove", "queue", "queue remove", "drain", "bill"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example_and_takes_the_common_flags(cli: Any, command: str):
    ended = cli("budgets", *command.split(), "--help")
    assert ended.code == 0
    assert f"Example: mahavishnu budgets {command}" in " ".join(ended.out.split())
    assert all(flag in ended.out for flag in ("--config", "--store", "--debug", "--json"))


def test_the_shell_offers_the_names_of_budgets_and_the_words_of_objectives(cli: Any):
    def offered(*words: str) -> list[str]:
        line, place = " ".join(["mahavishnu", *words]), str(len(words))
        ended = cli.process(_MAHAVISHNU_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=place)
        return ended.out.split()

    assert offered("budgets", "show", "t") == []
    cli.ok("budgets", "set", "team", "--limit", "1")
    cli.ok("budgets", "set", "total", "--limit", "1")
    assert offered("budgets", "show", "te") == ["team"]
    assert offered("execute", "--objective", "cr") == ["critical"]


# -- making and changing -----------------------------------------------------------------------------------------------


def test_a_budget_is_made_and_says_how_it_stands(cli: Any):
    made = cli.ok("budgets", "set", "team", "--limit", "25", "--soft", "20.5", "--period", "day", "--zone",
                  "Europe/Vienna", "--tag", "team=search", "--on-exhausted", "queue", "--max-age", "90m")  # fmt: skip
    assert (made["limit_usd"], made["soft_usd"], made["spent_usd"], made["room_usd"]) == ("25", "20.5", "0", "25")
    assert (made["period"], made["zone"], made["tags"]) == ("day", "Europe/Vienna", {"team": "search"})
    assert (made["on_exhausted"], made["max_age_s"]) == ("queue", 5400)
    assert made["began_at"] < made["turns_at"]
    assert cli.ok("budgets", "list") == [made]
    assert cli.ok("budgets", "show", "team") == {**made, "entries": []}


def test_what_is_not_given_stays_as_it_was(cli: Any):
    cli.add("shout", cost_per_run="0.01")
    cli.ok("budgets", "set", "all", "--limit", "1", "--soft", "0.5", "--period", "month")
    assert spend(cli).code == 0
    raised = cli.ok("budgets", "set", "all", "--limit", "2")
    assert (raised["limit_usd"], raised["soft_usd"], raised["period"]) == ("2", "0.5", "month")
    assert (raised["spent_usd"], raised["room_usd"]) == ("0.01", "1.99")
    told = cli("budgets", "set", "all", "--limit", "none").out.splitlines()
    assert told[0] == (
        "Budget all: no limit a month (UTC) for everything, an alert from $0.5 on; without room a task is refused."
    )
    assert told[1].startswith("$0.01 spent, $0 reserved, no limit, until ")


def test_what_narrows_it_down_can_be_changed_and_taken_away(cli: Any):
    cli.add("shout")
    narrow = cli.ok("budgets", "set", "b", "--limit", "1", "--target", "shout", "-t", "say", "--tag", "a=1")
    assert (narrow["target"], narrow["task_type"], narrow["tags"]) == ("shout", "say", {"a": "1"})
    wide = cli.ok("budgets", "set", "b", "--target", "none", "--task-type", "none", "--tag", "none")
    assert (wide["target"], wide["task_type"], wide["tags"]) == (None, None, {})


def test_the_seeds_command_is_the_same(cli: Any):
    made = cli.ok("routing", "set-budget", "daily", "--limit", "3", "--period", "week")
    assert cli.ok("budgets", "list") == [made]


def test_a_period_is_said_by_its_name_or_as_how_often_it_comes(cli: Any):
    words = {"hourly": "hour", "daily": "day", "weekly": "week", "monthly": "month", "day": "day", "total": "total"}
    said = {word: cli.ok("budgets", "set", word, "--limit", "3", "--period", word)["period"] for word in words}
    assert said == words


def test_a_word_that_is_no_period_is_refused_with_the_nearest_one(cli: Any):
    ended = cli("budgets", "set", "all", "--limit", "3", "--period", "wekly")
    assert ended.code == 2
    assert 'did you mean "weekly"?' in ended.sentence
    assert cli("budgets", "list", "--json").json == []


def test_people_see_a_table_and_terms_in_words(cli: Any):
    assert cli("budgets", "list").out.startswith("No budget yet; make one: mahavishnu budgets set")
    cli.add("shout", cost_per_run="0.25")
    cli("budgets", "set", "all", "--limit", "5")
    assert spend(cli).code == 0
    listed = " ".join(cli("budgets", "list").out.split())
    assert "all everything total 5 - 0.25 0 4.75 -" in listed
    shown = cli("budgets", "show", "all").out
    assert shown.startswith("Budget all: $5 in all for everything; without room a task is refused.\n")
    kinds = [each["kind"] for each in cli.ok("budgets", "show", "all")["entries"]]
    assert sorted(kinds) == ["charge", "release", "reserve"]
    assert all(kind in shown for kind in kinds)
    assert len(cli.ok("budgets", "show", "all", "--last", "1")["entries"]) == 1


def test_a_removed_budget_holds_nobody_up_and_what_was_spent_stays(cli: Any):
    cli.add("shout", cost_per_run="0.25")
    cli.ok("budgets", "set", "all", "--limit", "0.25")
    assert spend(cli).code == 0
    assert spend(cli).code == 5
    assert cli("budgets", "remove", "all").out == "Removed budget all.\n"
    assert spend(cli).code == 0
    assert cli.ok("costs")["total"] == {"executions": 2, "cost_usd": "0.5"}
    assert cli.ok("budgets", "set", "all", "--limit", "1")["spent_usd"] == "0.5"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["b", "--limit", "-1"], 'Invalid value for "--limit": is negative: -1; give dollars, such as 25 or 0.05'),
        (["b", "--limit", "much"], "is not an amount of dollars: much; give dollars"),
        (["b", "--limit", "0.0000001"], "is finer than a millionth of a dollar"),
        (["b", "--limit", "1", "--soft", "2"], 'Budget "b": its soft limit lies above its limit'),
        (["b"], 'Budget "b": it has no limit; give --limit, --soft, or both.'),
        (["b", "--limit", "1", "--zone", "Vienna"], 'there is no time zone "Vienna"; give one such as Europe/Vienna'),
        (["b", "--limit", "1", "--period", "year"], 'there is no period "year"; give one of hour, day'),
        (["b", "--limit", "1", "--on-exhausted", "wait"], 'is not one of "reject", "queue", "degrade"'),
        (["b", "--limit", "1", "--max-age", "long"], "must be a number with s, m, h or d, such as 24h or 30d"),
        (["b", "--limit", "1", "--tag", "team"], "must look like key=value, not team"),
        (["b", "--limit", "1", "--target", ""], "must be one word of letters"),
        (["a b", "--limit", "1"], "its name must be one word"),
        ([], 'Missing argument "NAME"'),
    ],
)
def test_a_budget_that_cannot_be_meant_exits_2_with_the_mend(cli: Any, arguments: list[str], sentence: str):
    ended = cli("budgets", "set", *arguments)
    assert ended.code == 2
    assert sentence in ended.sentence
    assert cli.ok("budgets", "list") == []


@pytest.mark.parametrize("command", ["show", "remove"])
def test_a_budget_that_is_not_there_is_named(cli: Any, command: str):
    cli.ok("budgets", "set", "team", "--limit", "1")
    ended = cli("budgets", command, "taem")
    assert (ended.code, ended.sentence) == (2, 'There is no budget "taem"; did you mean "team"?')
    assert cli("budgets", command, "zzz").sentence.endswith("mahavishnu budgets list shows what there is.")


# -- without room ------------------------------------------------------------------------------------------------------


def test_a_task_without_room_exits_5_and_names_the_budget(cli: Any):
    cli.add("shout", cost_per_run="0.4")
    cli.ok("budgets", "set", "daily", "--limit", "1", "--period", "day")
    assert [spend(cli).code for _ in range(3)] == [0, 0, 5]
    ended = spend(cli)
    assert (ended.json["error_code"], ended.json["budget"], ended.json["queued_id"]) == (
        "budget-exhausted",
        "daily",
        None,
    )
    assert "budget daily has $0.2 of $1 left, and a run may cost $0.4" in ended.sentence
    assert "raise it: mahavishnu budgets set daily" in ended.sentence
    cli.ok("budgets", "set", "daily", "--limit", "1.2")
    assert spend(cli).code == 0


def test_a_free_target_goes_on_where_a_budget_degrades(cli: Any):
    cli.add("shout", cost_per_run="0.4")
    cli.add("whisper")
    cli.ok("budgets", "set", "daily", "--limit", "0.5", "--on-exhausted", "degrade")
    assert spend(cli, "--target", "shout").code == 0
    assert spend(cli).json["target"] == "whisper"
    assert cli.ok("budgets", "show", "daily")["spent_usd"] == "0.4"


@pytest.fixture
def queued(cli: Any) -> list[str]:
    """Two tasks that wait for room, in this order."""
    cli.add("write_down", cost_per_run="0.4")
    cli.ok("budgets", "set", "daily", "--limit", "0.5", "--on-exhausted", "queue")
    assert cli("execute", "zero", "-t", "say").code == 0
    ids = []
    for text in ("one", "two"):
        ended = cli("execute", text, "-t", "say", "--json")
        assert ended.code == 6, ended.err
        assert (ended.json["error_code"], ended.json["budget"]) == ("task-queued", "daily")
        ids.append(ended.json["queued_id"])
    return ids


def test_what_waits_is_shown_in_its_order(cli: Any, queued: list[str]):
    found = cli.ok("budgets", "queue")
    assert [each["queued_id"] for each in found] == queued
    assert [each["task"]["text"] for each in found] == ["one", "two"]
    assert {each["status"] for each in found} == {"waiting"}
    assert all(id_ in cli("budgets", "queue").out for id_ in queued)
    assert cli("budgets", "drain").out == "0 ran, 0 expired, 2 still wait.\n"


def test_what_waits_runs_in_its_order_once_the_budget_is_raised(cli: Any, queued: list[str]):
    cli.ok("budgets", "set", "daily", "--limit", "0.9")
    assert cli.ok("budgets", "drain") == {"ran": 1, "expired": 0, "waiting": 1}
    cli.ok("budgets", "set", "daily", "--limit", "2")
    followed = cli("budgets", "drain", "--follow")
    assert (followed.code, followed.out.count("\n")) == (0, 1)
    assert followed.out.startswith(f"{queued[1]} (say) done: succeeded, decision ")
    assert Path("written").read_text() == "zero\none\ntwo\n"
    assert cli("budgets", "queue").out == "Nothing waits.\n"
    assert [each["status"] for each in cli.ok("budgets", "queue", "--all")] == ["done", "done"]
    decisions = {each["decision_id"] for each in cli.ok("decisions")}
    assert {each["decision_id"] for each in cli.ok("budgets", "queue", "--all")} <= decisions


def test_what_is_taken_out_of_the_queue_does_not_run(cli: Any, queued: list[str]):
    assert cli("budgets", "queue", "remove", queued[0]).out == f"Took {queued[0]} out of the queue of daily.\n"
    cli.ok("budgets", "set", "daily", "--limit", "5")
    cli.ok("budgets", "drain")
    assert Path("written").read_text() == "zero\ntwo\n"
    again = cli("budgets", "queue", "remove", queued[0])
    assert again.code == 2
    assert again.sentence.startswith(f'There is no waiting task "{queued[0]}"; ')


def test_what_has_waited_too_long_is_given_up(cli: Any):
    cli.add("write_down", cost_per_run="0.4")
    cli.ok("budgets", "set", "b", "--limit", "0", "--on-exhausted", "queue", "--max-age", "1s")
    assert cli("execute", "one", "-t", "say").code == 6
    followed = cli("budgets", "drain", "--follow", "--json")
    assert (followed.code, followed.json["status"], followed.json["note"]) == (0, "expired", "it waited too long")
    assert not Path("written").exists()


def test_who_removes_a_budget_is_told_of_those_that_wait_for_it(cli: Any, queued: list[str]):
    ended = cli("budgets", "remove", "daily")
    assert ended.sentence == "2 tasks still wait; run: mahavishnu budgets drain"
    assert cli.ok("budgets", "drain")["ran"] == 2


# -- late bills --------------------------------------------------------------------------------------------------------


@pytest.fixture
def charged(cli: Any) -> list[str]:
    """Three runs at $0.10 under a budget of $1."""
    cli.add("shout", cost_per_run="0.1")
    cli.ok("budgets", "set", "all", "--limit", "1")
    return [spend(cli).json["execution_id"] for _ in range(3)]


def test_a_late_bill_corrects_the_ledger_once(cli: Any, charged: list[str]):
    made = cli.ok("budgets", "bill", charged[0], "0.123456", "--note", "invoice 17")
    (entry,) = made["entries"]
    assert (entry["kind"], entry["usd"], entry["note"]) == ("correct", "0.023456", "invoice 17")
    assert entry["accounts"] == [{"budget": "all", "label": "total"}]
    assert cli("budgets", "bill", charged[0], "0.123456").out == "1 bill: 1 as charged, $0 more than charged.\n"
    assert cli.ok("budgets", "show", "all")["spent_usd"] == "0.323456"
    assert cli.ok("budgets", "bill", charged[0], "0.1")["entries"][0]["usd"] == "-0.023456"
    assert cli.ok("budgets", "show", "all")["spent_usd"] == "0.3"


def test_many_bills_come_in_a_file(cli: Any, charged: list[str]):
    Path("bills.csv").write_text(
        f"execution_id,amount,what\n{charged[0]},0.2,x\n{charged[1]},0.1,y\n{UNKNOWN},1,z\n", encoding="utf-8"
    )
    ended = cli("budgets", "bill", "--csv", "bills.csv", "--json")
    assert ended.code == 2
    assert ended.sentence == f"1 of 3 bills are for executions without a charge: {UNKNOWN}."
    assert (ended.json["bills"], ended.json["unknown"]) == (3, [UNKNOWN])
    assert [(each["execution_id"], each["usd"]) for each in ended.json["entries"]] == [(charged[0], "0.1")]
    assert cli.ok("costs")["total"]["cost_usd"] == "0.4"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([UNKNOWN, "1"], f'There is no charged execution "{UNKNOWN}"; '),
        (["--", UNKNOWN, "-1"], 'Invalid value for "USD": is negative: -1'),
        ([UNKNOWN], "are missing; give both, or many with --csv"),
        ([UNKNOWN, "1", "--csv", "x.csv"], "give one or the other"),
        (["--csv", "absent.csv"], "absent.csv cannot be read: No such file"),
        (["--csv", "columns.csv"], "columns.csv has no column amount"),
        (["--csv", "amounts.csv"], "amounts.csv, line 3: is not an amount of dollars: dear"),
    ],
)
def test_a_bill_that_cannot_be_meant_exits_2(cli: Any, arguments: list[str], sentence: str):
    Path("columns.csv").write_text("execution_id,usd\na,1\n")
    Path("amounts.csv").write_text("execution_id,amount\na,1\nb,dear\n")
    ended = cli("budgets", "bill", *arguments)
    assert ended.code == 2
    assert sentence in ended.sentence


def test_all_of_it_is_the_same_on_postgresql(cli: Any, postgres: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MAHAVISHNU_STORE_URL", postgres())
    cli.add("write_down", cost_per_run="0.4")
    cli.ok("budgets", "set", "team", "--limit", "0.5", "--tag", "team=a", "--on-exhausted", "queue")
    done = cli.ok("execute", "one", "-t", "say", "--tag", "team=a")
    assert cli("execute", "two", "-t", "say", "--tag", "team=a").code == 6
    assert cli.ok("budgets", "bill", done["execution_id"], "0.45")["entries"][0]["usd"] == "0.05"
    shown = cli.ok("budgets", "show", "team")
    assert (shown["spent_usd"], [each["kind"] for each in shown["entries"]][-1]) == ("0.45", "correct")
    cli.ok("budgets", "set", "team", "--limit", "2")
    assert cli.ok("budgets", "drain") == {"ran": 1, "expired": 0, "waiting": 0}
    assert cli.ok("costs", "--by", "tag:team,day")["costs"][0]["cost_usd"] == "0.85"
    assert Path("written").read_text() == "one\ntwo\n"
