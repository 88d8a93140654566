"""The chain behind the first choice: the published order, and where there is none, what is expected."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from mahavishnu.model import Snapshot, Task
from mahavishnu.model.objective import objective_of
from mahavishnu.policies.adaptive import Adaptive, from_estimates
from mahavishnu.policies.chain import following
from tests.examples import examples
from tests.unit.policies.test_adaptive import candidate

TASK = Task(type="etl", text="x")
KNOWN = [
    candidate("slow", 200, 190, p50_ms=5_000.0),
    candidate("weak", 200, 100, p50_ms=200.0),
    candidate("good", 200, 190, p50_ms=200.0),
    candidate("fresh", 2, 1, p50_ms=200.0),
]


def chains(snapshot, task=TASK, times=200, candidates=KNOWN):
    known = from_estimates(candidates)
    rng = Random(1)
    for _ in range(times):
        yield [one.target.name for one in Adaptive().rank(task, known, snapshot, 0, rng).order]


def rest(chain, order):
    return [name for name in order if name != chain[0]]


def test_behind_the_first_choice_the_chain_follows_the_published_order():
    order = ("weak", "fresh", "slow", "good")
    found = list(chains(Snapshot(orders={"etl": order})))
    assert len({chain[0] for chain in found}) > 1
    assert all(chain[1:] == rest(chain, order) for chain in found)


def test_a_target_that_the_published_order_does_not_have_follows_by_what_is_expected_of_it():
    found = list(chains(Snapshot(orders={"etl": ("slow", "gone")})))
    assert all(chain[1:] == rest(chain, ("slow", "good", "fresh", "weak")) for chain in found)


def test_without_a_published_order_the_chain_follows_what_is_expected_and_not_the_draw():
    expected = ("good", "slow", "fresh", "weak")
    assert all(chain[1:] == rest(chain, expected) for chain in chains(Snapshot(orders={"load": ("weak",)})))


def test_a_published_strategy_keeps_the_published_order_and_the_tasks_own_objective_does_not():
    published = Snapshot(orders={"etl": ("weak", "slow", "good", "fresh")}, strategies={"etl": objective_of("batch")})
    assert all(chain[1:] == rest(chain, published.orders["etl"]) for chain in chains(published))
    asked = Task(type="etl", text="x", objective=objective_of("latency"))
    assert all(chain[1:] == rest(chain, ("good", "fresh", "weak", "slow")) for chain in chains(published, asked))


def test_many_candidates_follow_the_published_order_as_few_do():
    many = [candidate(f"t{number:02}", 100, 50 + number, p50_ms=200.0) for number in range(40)]
    order = tuple(f"t{number:02}" for number in (3, 1, 2))
    for chain in chains(Snapshot(orders={"etl": order}), times=20, candidates=many):
        named = rest(chain, order)
        assert chain[1 : 1 + len(named)] == named
        assert chain[1 + len(named) :] == [
            f"t{number:02}" for number in range(39, -1, -1) if f"t{number:02}" not in (chain[0], *order)
        ]


@given(st.data(), st.lists(st.sampled_from("abcdefgh"), unique=True), st.permutations("abcdefgh"))
@examples(50)
def test_every_candidate_follows_once_and_no_published_pair_changes_places(data, published, names):
    expected = data.draw(st.lists(st.floats(-1, 1), min_size=8, max_size=8))
    found = [names[index] for index in following(published, names, expected)]
    assert sorted(found) == sorted(names)
    assert found[: len(published)] == published
    rated = dict(zip(names, expected, strict=True))
    others = [rated[name] for name in found[len(published) :]]
    assert others == sorted(others, reverse=True)
