"""Every promise that the torture kit checks can be seen to be broken: over records that were broken by hand."""

from dataclasses import replace

import pytest

from mahavishnu.model import Daily, Scorecard
from mahavishnu.testing.torture import key_checks, money_checks, process_checks, record_checks
from mahavishnu.testing.torture.records import (
    AccountSum,
    Ack,
    BalanceRow,
    Effect,
    ExecutionRow,
    HeldKey,
    Journal,
    Leak,
    Life,
    Records,
    ReservationRow,
    Sample,
    Scene,
    StartRow,
    Wait,
    Window,
)

ACCOUNT = (("team", "total"),)
LIVES = (Life(worker="w0.1", process_id="P0"), Life(worker="w1.1", process_id="P1", killed_ns=500, runs=False))
START = StartRow("e1", "d1", "P0", 1)
END = ExecutionRow("e1", "d1", "P0", "a", "t", "succeeded", 700)
RECORDS = Records(
    starts=(START,),
    executions=(END,),
    decisions=("d1",),
    outcomes=("o1",),
    charges={"e1": 700},
    sums=(
        AccountSum("reserve", ACCOUNT, 2000),
        AccountSum("release", ACCOUNT, 2000),
        AccountSum("charge", ACCOUNT, 700),
    ),
    balances=(BalanceRow("team", "total", 700, 0),),
    limits={"team": 700},
)
ACK = Ack(
    worker="w0.1",
    at_ns=400,
    decision_id="d1",
    key="k",
    succeeded=True,
    replayed=False,
    executions=(("e1", "succeeded", 700),),
)


def effect(worker, begins, at_ns, run=1, key="k"):
    return Effect(worker=worker, key=key, run=run, begins=begins, at_ns=at_ns)


EFFECTS = [effect("w0.1", True, 100), effect("w0.1", False, 300)]


def scene(records=RECORDS, *, acks=(ACK,), effects=EFFECTS, outcomes=("o1",), lives=LIVES):
    journal = Journal(acks=list(acks), effects=list(effects), outcomes=list(outcomes))
    return Scene(records=records, journal=journal, lives=lives)


CHECKS = (
    money_checks.limits,
    money_checks.books,
    key_checks.keys,
    record_checks.acknowledged,
    record_checks.living,
    record_checks.ends,
)


def broken(seen):
    return {verdict.name: verdict.problems for check in CHECKS if not (verdict := check(seen)).holds}


def test_a_whole_store_breaks_no_promise():
    assert broken(scene()) == {}


@pytest.mark.parametrize(
    ("name", "part", "seen"),
    [
        ("limits", "700 micro-dollars charged, limit 699", scene(replace(RECORDS, limits={"team": 699}))),
        ("books", "add up to 700", scene(replace(RECORDS, balances=(BalanceRow("team", "total", 699, 0),)))),
        ("books", "reserved 5", scene(replace(RECORDS, balances=(BalanceRow("team", "total", 700, 5),)))),
        ("books", "spent 0", scene(replace(RECORDS, balances=()))),
        ("books", "was charged 0", scene(replace(RECORDS, charges={}))),
        ("acknowledged", "has no end in the store", scene(replace(RECORDS, executions=()))),
        ("acknowledged", "is in the store 2 times", scene(replace(RECORDS, executions=(END, END)))),
        ("acknowledged", "and is failed", scene(replace(RECORDS, executions=(replace(END, status="failed"),)))),
        ("acknowledged", "at 699 in", scene(replace(RECORDS, executions=(replace(END, cost_micros=699),)))),
        ("acknowledged", "decision d1 was acknowledged", scene(replace(RECORDS, decisions=()))),
        ("acknowledged", "outcome o1", scene(replace(RECORDS, outcomes=()))),
        ("acknowledged", "outcome o1", scene(replace(RECORDS, outcomes=("o1", "o1")))),
        ("living", "e1 on a is lost", scene(replace(RECORDS, executions=(replace(END, status="lost"),)))),
        ("ends", "is still running", scene(replace(RECORDS, open_starts=(START,)))),
        ("ends", "an end and no start", scene(replace(RECORDS, starts=()))),
        ("ends", "belongs to decision d1", scene(replace(RECORDS, decisions=()))),
        ("keys", "whose process is idle", scene(replace(RECORDS, held_keys=(HeldKey("k", "d1", "P0"),)))),
    ],
)
def test_a_store_that_was_broken_by_hand_breaks_its_promise(name, part, seen):
    found = broken(seen)
    assert name in found
    assert any(part in problem for problem in found[name]), found[name]


def test_an_execution_that_was_told_as_running_is_no_promise():
    waiting = replace(ACK, key=None, succeeded=False, executions=(("e2", "running", 0),))
    assert broken(scene(acks=[ACK, waiting])) == {}


@pytest.mark.parametrize(
    ("process_id", "over", "part"),
    [("P0", True, "has ended"), ("P0", False, "idle process"), ("P1", False, "process that is gone")],
)
def test_money_that_is_set_aside_for_nothing_is_found(process_id, over, part):
    records = replace(
        RECORDS,
        reservations=(ReservationRow("e2", process_id, 300, ACCOUNT, over),),
        balances=(BalanceRow("team", "total", 700, 300),),
        sums=(*RECORDS.sums, AccountSum("reserve", ACCOUNT, 300)),
    )
    (problem,) = broken(scene(records))["books"]
    assert part in problem


def test_what_a_killed_process_had_begun_may_be_lost_and_its_key_may_be_held():
    lost = replace(END, id="e2", process_id="P1", status="lost")
    records = replace(
        RECORDS,
        starts=(START, replace(START, id="e2", process_id="P1")),
        executions=(END, lost),
        held_keys=(HeldKey("k2", "d1", "P1"),),
    )
    assert broken(scene(records)) == {}


@pytest.mark.parametrize(
    ("effects", "part"),
    [
        ([*EFFECTS, effect("w1.1", True, 299), effect("w1.1", False, 301)], "began while w0.1 was running it"),
        ([effect("w0.1", True, 100), effect("w1.1", True, 9000), effect("w1.1", False, 9001)], "has not ended"),
        # A second run that lies within the first does not end it.
        ([*EFFECTS, effect("w2.1", True, 150), effect("w2.1", False, 160), effect("w3.1", True, 200)], "w3.1 began"),
        ([*EFFECTS, effect("w0.1", True, 401, 2), effect("w0.1", False, 402, 2)], "after its success"),
    ],
)
def test_a_key_that_runs_twice_is_found(effects, part):
    problems = key_checks.keys(scene(effects=effects)).problems
    assert any(part in problem for problem in problems), problems


def test_a_key_whose_holder_was_killed_may_run_again_from_then_on():
    killed = effect("w1.1", True, 50, 7)
    again = [effect("w0.1", True, 501), effect("w0.1", False, 600)]
    late = replace(ACK, at_ns=700)
    assert key_checks.keys(scene(effects=[killed, *again], acks=[late])).holds
    early = [effect("w0.1", True, 499), effect("w0.1", False, 600)]
    assert not key_checks.keys(scene(effects=[killed, *early], acks=[late])).holds


def test_two_decisions_that_each_succeeded_under_one_key_are_found():
    other = replace(ACK, decision_id="d2", executions=())
    assert "2 decisions" in key_checks.keys(scene(acks=[ACK, other])).problems[0]


def daily(samples):
    return Daily(day=1, card=Scorecard(target="a", task_type="t", samples=samples))


def test_an_aggregate_that_differs_from_its_facts_is_found():
    assert record_checks.aggregates([daily(2)], [daily(2)]).holds
    assert "differs" in record_checks.aggregates([daily(2)], [daily(3)]).problems[0]
    assert "differs" in record_checks.aggregates([], [daily(3)]).problems[0]
    assert not record_checks.aggregates([daily(2), daily(2)], [daily(2)]).holds


def samples(rss=50_000, descriptors=16, threads=9, *, growing=None, rounds=12):
    held = {"rss_kb": rss, "descriptors": descriptors, "threads": threads}
    return [
        Sample(
            worker="w0.1",
            round=number,
            **{name: value + number * (growing or {}).get(name, 0) for name, value in held.items()},
        )
        for number in range(rounds)
    ]


def test_a_worker_that_grows_is_found_and_its_slope_said():
    assert process_checks.flat(samples()).holds
    for name, step in (("rss_kb", 8_000), ("descriptors", 3), ("threads", 2)):
        found = process_checks.flat(samples(growing={name: step}))
        assert name in found.problems[0]
        assert found.figures[f"{name}_a_round"] == step
    few = process_checks.flat(samples(growing={"threads": 50}, rounds=4))
    assert few.holds
    assert few.figures["threads_a_round"] is None


def wait(waited_ms, *, deadline_ms=2000.0, began_ns=0):
    return Wait(worker="w0.1", what="plain", began_ns=began_ns, waited_ms=waited_ms, deadline_ms=deadline_ms, how="ok")


def window(kind, *, worker="", from_ns=0, to_ns=10**12):
    return Window(kind=kind, worker=worker, from_ns=from_ns, to_ns=to_ns)


def test_a_caller_that_waits_far_beyond_its_deadline_is_found():
    assert process_checks.waits([wait(2100), wait(90_000, deadline_ms=None)], []).holds
    found = process_checks.waits([wait(4100), wait(10)], [window("hang")])
    assert "waited 4,100 ms" in found.problems[0]
    assert (found.figures["away_max_ms"], found.figures["most_beyond_deadline_ms"]) == (4100, 2100)


def test_a_wait_of_a_worker_that_was_stopped_itself_does_not_count():
    assert process_checks.waits([wait(9000)], [window("pause", worker="w0.1")]).holds
    assert not process_checks.waits([wait(9000)], [window("pause", worker="w1.1")]).holds
    assert not process_checks.waits([wait(9000, began_ns=10**13)], [window("pause", worker="w0.1")]).holds


def test_an_error_of_another_kind_a_dead_worker_and_a_failed_probe_are_found():
    leak = Leak(worker="w0.1", what="Task(tags=5)", problem="TypeError: no")
    assert not process_checks.refusals([leak], 1).holds
    assert not process_checks.alive(["w0.1: no answer"], 3).holds
    assert not process_checks.standing(["w0.1 ended by itself (exit 1)"], 3).holds
