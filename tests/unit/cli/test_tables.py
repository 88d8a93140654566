"""Every table of the command at 80 and at 60 letters: whole numbers, whole or shortened ids, words in one piece."""

from __future__ import annotations

import os
from itertools import chain
from pathlib import Path

import pytest

from mahavishnu.cli.common import columns
from mahavishnu.cli.common.printing import wrapped
from mahavishnu.cli.common.tables import Table, drawn, tail_length

GOLDENS = Path(__file__).with_name("goldens")
UPDATE = bool(os.environ.get("UPDATE_GOLDENS"))

TABLES = {name: table for name, table in vars(columns).items() if isinstance(table, Table)}

FIRST = "01KB2Q7YV0S3J4N5P6R7T8V9WX"
SECOND = "01KB2Q7YV0S3J4N5P6R7T8V9WY"
EARLY, LATE = "2026-11-27T05:13:40.123456Z", "2026-11-28T23:59:59.999999Z"

VALUES = {
    "active": (True, False),
    "adapter": ("prefect", "llamaindex"),
    "alert_id": (FIRST, SECOND),
    "at": (EARLY, LATE),
    "attempt": (1, 2),
    "attempts": (1, 3),
    "beaten by": ("", "fast-small"),
    "budget": ("search-team", "everything"),
    "check": ("target summarise-long", "library llama_index"),
    "condition": ("success-rate of summarise on cheap-slow", "schedule"),
    "cost_usd": (0.0125, 12.3456),
    "covers": ("task type summarise, team=search", "everything"),
    "cron": ("*/5 * * * *", "0 3 * * 1"),
    "days": (12.5, None),
    "decision_id": (FIRST, SECOND),
    "deployment": ("mahavishnu-recalculate/production", None),
    "detail": ("", "connection refused by http://127.0.0.1:4200/api after 3 attempts"),
    "difference": (-0.0213, 0.134),
    "e-value better": (0.213, 1234.5),
    "e-value worse": (21.37, 0.001),
    "enabled": (True, False),
    "ended_at": (LATE, None),
    "error": (None, "ValueError: the text has 9213 tokens, and the model reads 8192 of them at the most"),
    "execution_id": (FIRST, SECOND),
    "expires_at": (LATE, None),
    "experiment": ("try-small-model", "typo"),
    "failed": (0, 12),
    "health": ("healthy", "unreachable"),
    "hi": (0.01, 0.2),
    "host": ("worker-17.example.org", "worker-2.example.org"),
    "how": ("checked continuously, detected in half of the cases", "one test of a planned sample"),
    "job": ("recalculate", "experiments"),
    "kind": ("charge", "correction"),
    "last_succeeded": ("2026-11-27T05:10:00Z", None),
    "latency_ms": (3.214, 12345.678),
    "limit_usd": ("25", None),
    "lives": (True, False),
    "lo": (-0.05, 0.07),
    "loops": ("well", "behind: collector, refresher"),
    "mean_cost_usd": (0.002, 0.0131),
    "measure": ("success", "latency (ln)"),
    "mend": ("", "start its engine, or correct the address ([adapters.prefect], or the target itself)"),
    "n": (12, 123456),
    "name": ("fast-small", "summarise-long"),
    "next": ("2026-11-27T05:15:00Z, 2026-11-27T05:20:00Z", None),
    "note": ("", "late bill of the provider for November"),
    "notes": ("summarise: fast-small before cheap-slow", "nothing changed"),
    "objective": ("balanced", "success=3,cost=1"),
    "on it": (True, False),
    "opened_at": (EARLY, LATE),
    "order": ("fast-small → cheap-slow → summarise-long", "shout"),
    "owner": ("search", None),
    "p": (0.0412, 0.5),
    "p50_ms": (3.214, 812.3),
    "p95_ms": (12.9, 2412.0),
    "p99_ms": (31.7, 9812.0),
    "period": ("day", "month"),
    "pid": (71, 4194304),
    "place": ("here", "prefect/mahavishnu"),
    "probability": (0.8123, 0.1),
    "process": (FIRST, SECOND),
    "published_at": (EARLY, LATE),
    "quality": (0.91, None),
    "queued_at": (EARLY, LATE),
    "queued_id": (FIRST, SECOND),
    "rate": (0.9756, 0.5),
    "reason": (None, "fast-small was chosen: the best expected utility (0.812), by a draw from its evidence"),
    "remark": ("", "its circuit breaker is open until 05:14:10"),
    "requests": (12000, 480),
    "reserved_usd": ("0.02", "0"),
    "room_usd": ("1.8", None),
    "run": ("summaries/production", "http://127.0.0.1:7777/agents/summarise"),
    "run_id": (FIRST, SECOND),
    "running": (0, 3),
    "runs a day": ("120", "4000"),
    "score": (0.812, 0.0931),
    "selected": ("fast-small", None),
    "severity": ("warning", "critical"),
    "share": ("12.5 %", "87.5 %"),
    "since": (EARLY, LATE),
    "soft_usd": ("20", None),
    "source": ("store", "configuration"),
    "spent_usd": ("3.200001", "123.45"),
    "started_at": (EARLY, LATE),
    "state": ("new", "failed"),
    "status": ("succeeded", "cancelled"),
    "step": ("translate", "summarise"),
    "steps": (3, 12),
    "succeeded": (120, 3),
    "success": (0.975, 0.5),
    "successes": (11, 61728),
    "summary": ("summarise on cheap-slow succeeds in 61 % of 140 runs, and 90 % are healthy", "back"),
    "target": ("fast-small", "summarise-long"),
    "task_type": ("summarise", "etl"),
    "task_types": (["summarise", "translate"], ["etl"]),
    "test": ("Newcombe", "Welch"),
    "treated": (120, 1400),
    "trusted": (True, False),
    "turns_at": (LATE, None),
    "usd": ("0.0125", "-0.000001"),
    "version": (12, 13),
    "wilson_hi": (0.99, 0.6),
    "wilson_lo": (0.91, 0.4),
    "workflow": ("summarise-and-mail", "etl"),
}


def rows_of(table: Table) -> list[list[object]]:
    return [[VALUES[column][nth] for column in table.columns] for nth in (0, 1)]


@pytest.mark.parametrize("width", [80, 60])
def test_every_table_looks_as_it_was_looked_at(width):
    lines = []
    for name, table in TABLES.items():
        text, left_out = drawn(table, rows_of(table), width)
        hidden = f" without {', '.join(left_out)}" if left_out else ""
        lines += [f"== {name}{hidden}", *text, ""]
    golden = GOLDENS / f"tables-{width}.txt"
    if UPDATE:
        golden.write_text("\n".join(lines), encoding="utf-8")
    assert golden.read_text(encoding="utf-8").splitlines() == "\n".join(lines).splitlines()


@pytest.mark.parametrize("width", [80, 60])
@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_no_wider_than_its_terminal_and_breaks_no_number_and_no_id(name, width):
    table = TABLES[name]
    text, left_out = drawn(table, rows_of(table), width)
    assert max(map(len, text)) <= width
    whole = set(chain.from_iterable(line.split() for line in text))
    for column in set(table.columns) - set(left_out):
        for value in VALUES[column]:
            if isinstance(value, float | int) and not isinstance(value, bool):
                assert (f"{value:.4g}" if isinstance(value, float) and abs(value) < 1000 else f"{value:.0f}") in whole
            if value in (FIRST, SECOND):
                assert value[-8:] in whole


def test_a_table_without_a_bound_shows_every_column_with_whole_ids_and_times():
    text, left_out = drawn(columns.EXECUTIONS, rows_of(columns.EXECUTIONS), None)
    assert not left_out
    assert FIRST in text[2]
    assert EARLY in text[2]


def test_ids_are_shortened_only_as_far_as_they_stay_apart():
    alike = "01KB2Q7YV0S3J4N5P6R7T8V9WX", "01KB2Q7YV1S3J4N5P6R7T8V9WX"
    assert tail_length(alike) == 17
    assert tail_length([FIRST, SECOND]) == 8


def test_only_what_a_narrow_terminal_has_no_room_for_is_left_out():
    table = Table(("name", "size", "note"), drops=("note", "size"))
    rows = [["a", 12345678, "short"]]
    assert drawn(table, rows, 21)[1] == []
    assert drawn(table, rows, 20)[1] == ["note"]
    assert drawn(table, rows, 12)[1] == ["size", "note"]


def test_sentences_wrap_between_words_and_keep_the_command_that_they_name_in_one_piece():
    text = "There is no order yet; run: mahavishnu routing recalculate"
    assert wrapped(text, 40) == ["There is no order yet; run:", "mahavishnu routing recalculate"]
    assert wrapped(text, None) == [text]
