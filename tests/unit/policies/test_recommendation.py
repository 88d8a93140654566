"""A recommendation is the best expected target: the same twice, and never one that another dominates."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from mahavishnu.model import NO_EVIDENCE, Candidate, Snapshot, Task
from mahavishnu.model.objective import OBJECTIVES, objective_of
from mahavishnu.planning.dominance import dominates
from mahavishnu.policies.recommendation import recommend
from mahavishnu.stats.evidence import Tally, estimate
from mahavishnu.stats.intervals import wilson
from mahavishnu.stats.scoring import Scoring
from tests.examples import examples
from tests.unit.policies.test_adaptive import target

TASK = Task(type="etl", text="x")


def candidate(name, samples, share, ms, micros):
    successes = int(samples * share)
    lo, hi = wilson(successes, samples)
    seen = replace(
        NO_EVIDENCE,
        samples=samples,
        effective=samples,
        successes=successes,
        rate=successes / samples if samples else None,
        wilson_lo=lo,
        wilson_hi=hi,
        p50_ms=ms if successes else None,
        mean_cost_micros=micros if samples else None,
        p50_interval_ms=(0.9 * ms, 1.1 * ms) if successes else None,
        cost_interval_micros=(0.9 * micros, 1.1 * micros) if samples else None,
    )
    return Candidate(target(name), seen)


CANDIDATES = st.lists(
    st.tuples(st.integers(0, 2000), st.floats(0, 1), st.floats(0.001, 1e6), st.floats(0, 1e7)), min_size=1, max_size=6
)


@given(CANDIDATES, st.none() | st.sampled_from(sorted(OBJECTIVES)))
@examples(60)
def test_it_is_the_same_twice_and_dominated_by_no_candidate(drawn, word):
    candidates = [candidate(f"t{index}", *figures) for index, figures in enumerate(drawn)]
    task = replace(TASK, objective=None if word is None else objective_of(word))
    found = recommend(task, candidates, Snapshot(), Scoring())
    assert found == recommend(task, candidates, Snapshot(), Scoring())
    assert not any(dominates(other.estimate, found.best.estimate) for other in candidates)
    assert sorted(row.candidate.target.name for row in found.ranked) == sorted(one.target.name for one in candidates)


def test_a_dominated_target_comes_last_although_it_is_hoped_for_more():
    # The prior takes a target of which little is known for better than it was observed to be.
    few = candidate("few", 4, 0.0, 100.0, 2_000.0)
    many = candidate("many", 2_000, 0.6, 9_900.0, 1_000.0)
    found = recommend(TASK, [few, many], Snapshot(), Scoring(speed_weight=10.0))
    assert [(row.candidate.target.name, row.dominated_by) for row in found.ranked] == [("many", None), ("few", "many")]
    assert found.ranked[1].expected > found.ranked[0].expected


def test_the_strategy_of_the_type_decides_what_is_best_and_the_tasks_own_objective_before_it():
    fast = candidate("fast", 500, 0.9, 10.0, 50_000.0)
    cheap = candidate("cheap", 500, 0.9, 5_000.0, 1.0)
    published = Snapshot(strategies={"etl": objective_of("latency")})
    assert recommend(TASK, [cheap, fast], published, Scoring()).best == fast
    asked = replace(TASK, objective=objective_of("cost"))
    assert recommend(asked, [fast, cheap], published, Scoring()).best == cheap


def test_the_same_figures_dominate_nothing_and_without_evidence_the_first_is_recommended():
    assert not dominates(estimate(Tally().card("a", "t")), NO_EVIDENCE)
    pair = [Candidate(target("a"), NO_EVIDENCE), Candidate(target("b"), NO_EVIDENCE)]
    assert recommend(TASK, pair, Snapshot(), Scoring()).best == pair[0]
