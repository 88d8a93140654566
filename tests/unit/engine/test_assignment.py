"""Who is assigned to what, that it stays so, and what a choice goes by then."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mahavishnu.engine.routing.assignment import Assigner
from mahavishnu.model import Snapshot, Task
from mahavishnu.model.aside import Aside, AsideReason
from mahavishnu.model.experiment import Change, Experiment, Step, Underway
from mahavishnu.model.objective import Objective

BY_POLICY = Change(policy="statistical")


def underway(name, *, offset=0.0, paused=False, started_at_us=0, **fields):
    experiment = Experiment(**{"name": name, "treatment": BY_POLICY, "salt": f"salt of {name}", **fields})
    return Underway(experiment=experiment, started_at_us=started_at_us, offset=offset, paused=paused)


def published(*experiments, **fields):
    return Snapshot(version=1, experiments=experiments, **fields)


def assigned(snapshot, *, user=None, number=0, now_us=0, policy=None, holdout=0.0, **asked):
    tags = {} if user is None else {"user": user}
    task = Task(**{"type": "t", "text": "x", "tags": tags, **asked})
    return Assigner(holdout).assign(task, f"decision {number}", snapshot, now_us, policy=policy)


def treated(snapshot, count=20_000, **asked):
    """For each of so many tasks the experiments that it is treated in, and all that it is in."""
    assigner = Assigner(asked.pop("holdout", 0.0))
    task = Task(type="t", text="x")
    for number in range(count):
        found = assigner.assign(task, f"decision {number}", snapshot, 0).assignments
        yield {each.experiment for each in found if each.treated}, {each.experiment for each in found}


def test_without_experiments_nothing_is_different():
    found = assigned(Snapshot(version=3), policy="mine")
    assert (found.snapshot.version, found.policy, found.left_out, found.assignments) == (3, "mine", {}, ())


@given(user=st.text(max_size=20), number=st.integers(0, 10**9))
def test_a_unit_has_the_same_arm_in_every_process_and_with_every_task(user, number):
    snapshot = published(underway("e", unit="user", share=0.5))
    first = assigned(snapshot, user=user)
    again = assigned(replace(snapshot, version=7, cursor=99), user=user, number=number, now_us=10**15)
    assert first.assignments == again.assignments
    (assignment,) = first.assignments
    assert (assignment.experiment, assignment.probability, len(assignment.unit)) == ("e", 0.5, 16)


def test_every_task_is_a_unit_of_its_own_unless_its_key_says_that_it_is_the_same():
    snapshot = published(underway("e", share=0.5))
    assert {assigned(snapshot, number=number).assignments[0].treated for number in range(40)} == {True, False}
    assert assigned(snapshot).assignments[0].unit is None
    keyed = [assigned(snapshot, number=number, idempotency_key="k").assignments[0] for number in range(40)]
    assert len(set(keyed)) == 1
    assert keyed[0].unit is not None


def test_a_task_that_has_no_such_unit_is_in_neither_arm():
    assert assigned(published(underway("e", unit="user"))).assignments == ()


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.9])
def test_the_share_is_what_it_says(share):
    count = sum("e" in arms for arms, _ in treated(published(underway("e", share=share))))
    # Five standard deviations of a binomial with 20,000 draws: wrong once in two million.
    assert abs(count / 20_000 - share) < 5 * (share * (1 - share) / 20_000) ** 0.5


def test_those_in_different_layers_know_nothing_of_each_other():
    names = [f"e{number}" for number in range(6)]
    rows = [arms for arms, _ in treated(published(*(underway(name, layer=name, share=0.5) for name in names)))]
    for one, other in pairwise(names):
        both = sum(one in arms and other in arms for arms in rows)
        assert abs(both / len(rows) - 0.25) < 5 * (0.25 * 0.75 / len(rows)) ** 0.5


def test_those_of_one_layer_share_its_units_out_among_themselves():
    snapshot = published(underway("a", traffic=0.3, share=0.5), underway("b", traffic=0.5, offset=0.3, share=0.5))
    rows = [among for _, among in treated(snapshot)]
    assert {frozenset(among) for among in rows} == {frozenset("a"), frozenset("b"), frozenset()}
    for name, traffic in (("a", 0.3), ("b", 0.5)):
        assert abs(sum(name in among for among in rows) / len(rows) - traffic) < 0.02


def test_whoever_is_held_out_is_in_no_experiment_at_all():
    snapshot = published(underway("a", layer="a"), underway("b", layer="b"))
    rows = [among for _, among in treated(snapshot, holdout=0.2)]
    assert {len(among) for among in rows} == {0, 2}
    assert abs(sum(not among for among in rows) / len(rows) - 0.2) < 0.02


def test_a_share_that_rises_adds_units_and_takes_none_away():
    ramp = (Step(after_s=60, share=0.4), Step(after_s=120, share=0.8))
    snapshot = published(underway("e", unit="user", share=0.1, ramp=ramp, started_at_us=1_000_000))
    assigner = Assigner()
    before: set[int] = set()
    for at_s, share in ((0, 0.1), (61, 0.4), (121, 0.8), (10**6, 0.8)):
        now = {}
        for user in range(500):
            task = Task(type="t", text="x", tags={"user": f"u{user}"})
            (now[user],) = assigner.assign(task, "d", snapshot, at_s * 1_000_000).assignments
        assert {each.probability for each in now.values()} == {share}
        among = {user for user, each in now.items() if each.treated}
        assert before <= among
        before = among
    # A clock that is set back finds the share of that time again.
    (back,) = assigner.assign(Task(type="t", text="x", tags={"user": "u1"}), "d", snapshot, 0).assignments
    assert back.probability == 0.1


def test_what_the_caller_chose_himself_is_recorded_as_not_drawn():
    snapshot = published(underway("e", share=0.5))
    by_policy, by_target = assigned(snapshot, policy="preference"), assigned(snapshot, target="a")
    assert by_policy.policy == "preference"
    for found in (by_policy, by_target):
        (assignment,) = found.assignments
        assert (assignment.treated, assignment.probability) == (False, None)


def one_of_each(snapshot, **asked):
    """A task of the treatment, and one of the control."""
    found = [assigned(snapshot, number=number, **asked) for number in range(60)]
    return next(each for each in found if each.assignments[0].treated), next(
        each for each in found if not each.assignments[0].treated
    )


def test_an_order_an_objective_and_a_policy_are_put_in_the_place_of_what_is_published():
    change = Change(order=("b", "a"), policy="statistical", objective=Objective(cost=1))
    snapshot = published(
        underway("e", share=0.5, task_types=frozenset({"t"}), treatment=change),
        orders={"t": ("a", "b"), "u": ("a",)},
        policies={"*": "preference"},
    )
    yes, no = one_of_each(snapshot)
    assert (yes.policy, yes.snapshot.orders, yes.snapshot.strategies) == (
        "statistical", {"t": ("b", "a"), "u": ("a",)}, {"t": Objective(cost=1)},
    )  # fmt: skip
    assert (no.policy, no.snapshot) == ("preference", snapshot)
    assert assigned(snapshot, type="u").assignments == ()
    assert assigned(snapshot, type="u").policy == "preference"


def test_a_target_swapped_for_another_is_tried_by_the_treatment_only():
    swap = Change(instead=(("old", "new"),))
    snapshot = published(underway("e", share=0.5, treatment=swap))
    yes, no = one_of_each(snapshot)
    assert set(yes.left_out) == yes.reserve == {"old"}
    assert (set(no.left_out), no.reserve) == ({"new"}, frozenset())
    assert no.left_out["new"] == "left out by experiment e"
    assert set(assigned(published(underway("e", unit="user", treatment=swap))).left_out) == {"new"}, "nor by others"
    assert set(assigned(snapshot, policy="preference").left_out) == {"new"}
    assert assigned(snapshot, target="new").left_out == {}, "who asks for it by name gets it"


def test_while_it_is_paused_everybody_has_what_the_control_has_and_nothing_is_recorded():
    swap = Change(instead=(("old", "new"),))
    snapshot = published(underway("e", share=0.5, treatment=swap, paused=True))
    found = [assigned(snapshot, number=number) for number in range(30)]
    assert {frozenset(each.left_out) for each in found} == {frozenset({"new"})}
    assert all(each.assignments == () for each in found)


def test_what_a_verdict_put_aside_is_left_out_for_everybody_but_those_who_try_it_again():
    replaced = Aside(experiment="another", reason=AsideReason.REPLACED)
    aside = {"t": {"new": Aside(experiment="earlier", reason=AsideReason.HARM)}, "*": {"other": replaced}}
    found = assigned(published(put_aside=aside))
    assert found.left_out == {
        "new": "put aside by experiment earlier (mahavishnu routing release new)",
        "other": "replaced by experiment another (mahavishnu routing release other)",
    }
    again = published(underway("e", share=0.5, treatment=Change(instead=(("old", "new"),))), put_aside=aside)
    yes, no = one_of_each(again)
    assert set(yes.left_out) == {"old", "other"}
    assert set(no.left_out) == {"new", "other"}
    assert set(assigned(published(put_aside=aside), type="u").left_out) == {"other"}


def test_where_two_change_the_same_the_later_one_has_its_way():
    first = underway("a", layer="a", share=0.5, started_at_us=5)
    second = underway("b", layer="b", share=0.5, started_at_us=9, treatment=Change(policy="preference"))
    snapshot = published(second, first)
    for number in range(40):
        found = assigned(snapshot, number=number)
        arms = {each.experiment for each in found.assignments if each.treated}
        assert found.policy == ("preference" if "b" in arms else "statistical" if "a" in arms else None)
