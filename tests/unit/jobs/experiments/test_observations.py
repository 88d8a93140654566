"""What one experiment comes to, outcome by outcome: each bet on what it is about, and the order of the verdicts."""

import json
from dataclasses import replace
from random import Random

import pytest

from mahavishnu.jobs.experiments.evidence import Baselines, Observations, baselines_of
from mahavishnu.model import Scorecard, Snapshot
from mahavishnu.model.experiment import ExperimentStatus, Guardrail, Measure
from mahavishnu.ports import Assigned, Observation
from mahavishnu.stats.bins import edges_of
from mahavishnu.stats.difference import DifferenceBet
from mahavishnu.stats.sketch import bucket_of
from tests.experimenting import SUCCESS, experiment

LATENCY = Guardrail(measure=Measure.LATENCY)
COST = Guardrail(measure=Measure.COST)
QUALITY = Guardrail(measure=Measure.QUALITY)


class Stream:
    """Outcomes and assignments with a position each, half of them treated."""

    def __init__(self, seed=1, share=0.5):
        self.draws = Random(seed)
        self.share = share
        self.position = 0

    def observation(self, control=1.0, treatment=None, **fields):
        self.position += 1
        treated = self.draws.random() < self.share
        chance = control if treatment is None or not treated else treatment
        values = {
            name: value(self.draws, treated) if callable(value) else value
            for name, value in {"latency_ms": 100.0, "cost_usd": 0.01, "quality": None, **fields}.items()
        }
        return Observation(
            position=self.position,
            decision_id=f"{self.position}",
            unit=None,
            treated=treated,
            probability=self.share,
            task_type="etl",
            target="a",
            succeeded=self.draws.random() < chance,
            **values,
        )

    def assigned(self, treated=None, heard=True):
        self.position += 1
        drawn = self.draws.random() < self.share
        return Assigned(
            position=self.position,
            decision_id=f"{self.position}",
            unit=None,
            treated=drawn if treated is None else treated,
            probability=self.share,
            heard=heard,
        )


def fed(observations, count, stream=None, **law):
    stream = stream or Stream()
    for _ in range(count):
        observations.hear(stream.observation(**law))
        if observations.verdict() is not None:
            break
    return observations


def status_of(observations):
    found = observations.verdict()
    return None if found is None else found.status


def of(*guardrails, **fields):
    return experiment(guardrails=guardrails or (SUCCESS,), share=0.5, **fields)


def slower(factor, sigma=0.5):
    return lambda draws, treated: 100 * draws.lognormvariate(0, sigma) * (factor if treated else 1.0)


# -- verdicts ----------------------------------------------------------------------------------------------------------


def test_a_treatment_that_fails_more_is_rolled_back_and_the_note_says_by_how_much():
    observations = fed(Observations(of()), 3_000, control=0.95, treatment=0.75)
    verdict = observations.verdict()
    assert verdict.status is ExperimentStatus.ROLLED_BACK
    reading = observations.reading()
    assert f"{100 * reading.treatment.success:.2f} % of {reading.treatment.outcomes} treated" in verdict.note
    assert verdict.note.startswith("success got worse: ")
    assert reading.worse >= reading.needed == 20


def test_nothing_is_acted_on_before_there_is_evidence_enough_and_then_at_once():
    observations, stream = Observations(of(min_evidence=400)), Stream()
    while observations.reading().treatment.outcomes < 399:
        observations.hear(stream.observation(control=0.95, treatment=0.5))
    assert (observations.reading().worse > 1e6, observations.verdict()) == (True, None)
    fed(observations, 10, stream, control=0.95, treatment=0.5)
    assert (observations.reading().treatment.outcomes, status_of(observations)) == (400, ExperimentStatus.ROLLED_BACK)


def test_what_is_worse_by_less_than_the_margin_is_let_pass_and_by_more_is_not():
    guardrail = Guardrail(measure=Measure.SUCCESS, margin=0.1)
    assert fed(Observations(of(guardrail)), 3_000, control=0.9, treatment=0.85).verdict() is None
    worse = fed(Observations(of(guardrail)), 3_000, control=0.9, treatment=0.6)
    assert "success got worse by more than 10 points" in worse.verdict().note


def test_a_better_treatment_is_promoted_only_where_it_is_to_be():
    assert (
        status_of(fed(Observations(of(promote=True)), 3_000, control=0.8, treatment=0.95)) is ExperimentStatus.PROMOTED
    )
    assert fed(Observations(of()), 2_000, control=0.8, treatment=0.95).verdict() is None


def test_a_treatment_that_is_no_worse_than_the_margin_allows_is_promoted():
    margin = Guardrail(measure=Measure.SUCCESS, margin=0.05)
    observations = fed(Observations(of(margin, promote=True)), 6_000, control=0.9, treatment=0.9)
    assert status_of(observations) is ExperimentStatus.PROMOTED
    assert "success is not worse by more than 5 points" in observations.verdict().note


def test_a_promotion_waits_for_every_other_rate_with_a_margin():
    quality = Guardrail(measure=Measure.QUALITY, margin=0.05)
    law = {"control": 0.8, "treatment": 0.95, "quality": lambda draws, treated: 0.9 - 0.05 * treated}
    assert fed(Observations(of(SUCCESS, promote=True)), 2_000, **law).verdict() is not None
    assert fed(Observations(of(SUCCESS, quality, promote=True)), 2_000, **law).verdict() is None
    # One without a margin is held not to get worse, and need not be known to be better.
    assert (
        fed(Observations(of(SUCCESS, QUALITY, promote=True)), 2_000, control=0.8, treatment=0.95).verdict() is not None
    )


def test_a_broken_experiment_is_broken_before_it_is_anything_else():
    observations, stream = Observations(of()), Stream()
    fed(observations, 2_000, stream, control=0.95, treatment=0.5)
    assert status_of(observations) is ExperimentStatus.ROLLED_BACK
    for _ in range(300):
        observations.count(stream.assigned(treated=False))
    verdict = observations.verdict()
    assert verdict.status is ExperimentStatus.BROKEN
    assert "of 300 units that were heard of 0 had the treatment (0.00 %), and 50.00 % were to have it" in verdict.note


def test_an_arm_of_which_nothing_is_ever_heard_is_broken_although_it_has_no_outcome():
    observations, stream = Observations(of()), Stream(share=0.1)
    for _ in range(3_000):
        drawn = stream.assigned()
        observations.count(replace(drawn, heard=not drawn.treated))
    reading = observations.reading()
    assert (status_of(observations), reading.treatment.outcomes) == (ExperimentStatus.BROKEN, 0)
    assert reading.treatment.assigned + reading.control.assigned == 3_000
    assert (reading.share, reading.expected_share) == (0, pytest.approx(0.1))


# -- latency and cost --------------------------------------------------------------------------------------------------


def test_a_slower_treatment_is_rolled_back_and_one_within_the_margin_is_not():
    slow = fed(Observations(of(SUCCESS, LATENCY)), 4_000, latency_ms=slower(1.5))
    assert "latency got worse: latency " in slow.verdict().note
    margin = Guardrail(measure=Measure.LATENCY, margin=0.6)
    assert fed(Observations(of(SUCCESS, margin)), 3_000, latency_ms=slower(1.5)).verdict() is None


def test_latency_is_that_of_successes_only():
    observations, stream = Observations(of(SUCCESS, LATENCY, primary=Measure.LATENCY)), Stream()
    before = observations.kept()["guards"]["latency"]
    for _ in range(500):
        observations.hear(stream.observation(control=0.0, latency_ms=slower(100.0)))
    assert observations.kept()["guards"]["latency"] == before
    assert observations.reading().treatment.latency_ms is None


def test_the_first_hundred_controls_are_the_baseline_where_there_is_none_and_nothing_is_bet_meanwhile():
    observations, stream = Observations(of(SUCCESS, LATENCY)), Stream()
    values = []
    while len(values) < 100:
        observation = stream.observation(latency_ms=slower(3.0))
        observations.hear(observation)
        if not observation.treated:
            values.append(observation.latency_ms)
        kept = observations.kept()["guards"]["latency"]
        assert (kept["rise"]["treated"], kept["rise"]["controls"]) == (0, {})
    expected = edges_of({bucket: values_in(values, bucket) for bucket in map(bucket_of, values)})
    assert observations.kept()["guards"]["latency"]["edges"] == {"etl": list(expected)}
    fed(observations, 20, stream, latency_ms=slower(3.0))
    assert sum(observations.kept()["guards"]["latency"]["rise"]["controls"]["etl"]) > 0


def values_in(values, bucket):
    return sum(bucket_of(value) == bucket for value in values)


def test_a_baseline_of_the_newest_snapshot_counts_all_targets_together_and_a_small_one_not_at_all():
    card = Scorecard(target="a", task_type="etl", latency={100: 60.0}, cost={-691: 60.0})
    cards = {
        ("a", "etl"): card,
        ("b", "etl"): replace(card, target="b", latency={200: 45.5}),
        ("a", "rag"): replace(card, task_type="rag", latency={100: 99.0}, cost={}),
    }
    found = baselines_of(of(SUCCESS, LATENCY, COST), Snapshot(scorecards=cards), 7)
    assert found.since == 7
    assert found.edges[Measure.LATENCY] == {"etl": edges_of({100: 60.0, 200: 45.5})}
    assert found.edges[Measure.COST] == {"etl": edges_of({-691: 120.0})}
    assert Baselines.resumed(json.loads(json.dumps(found.kept()))) == found


def prices(control, treatment):
    return lambda _draws, treated: treatment if treated else control


@pytest.mark.parametrize("price", [0.0, 0.01, 0.000_001, 7.0])
@pytest.mark.parametrize("known", [True, False], ids=["known", "learnt"])
def test_a_price_that_never_changes_wins_nothing_and_a_higher_one_is_found(price, known):
    edges = {Measure.COST: {"etl": edges_of({bucket_of(price * 1e6): 200})}} if known else {}
    given = of(SUCCESS, COST, primary=Measure.COST, promote=True)
    same = fed(Observations(given, Baselines(edges=edges)), 3_000, cost_usd=price)
    assert same.verdict() is None
    assert same.reading().better < 2
    assert same.reading().guardrails[1].worse < 2
    dearer = fed(Observations(given, Baselines(edges=edges)), 3_000, cost_usd=prices(price, price * 1.2 + 0.001))
    assert status_of(dearer) is ExperimentStatus.ROLLED_BACK


@pytest.mark.parametrize("price", [0.01, 0.5])
def test_a_lower_price_is_promoted_where_cost_is_what_the_experiment_is_about(price):
    cheaper = fed(
        Observations(of(SUCCESS, COST, primary=Measure.COST, promote=True)), 3_000, cost_usd=prices(price, 0.003)
    )
    assert status_of(cheaper) is ExperimentStatus.PROMOTED
    assert "cost is better: cost 0.003 dollars of " in cheaper.verdict().note


def test_a_quicker_treatment_is_promoted_and_one_as_quick_within_its_margin_too():
    given = of(SUCCESS, LATENCY, primary=Measure.LATENCY, promote=True)
    assert status_of(fed(Observations(given), 4_000, latency_ms=slower(0.7))) is ExperimentStatus.PROMOTED
    assert fed(Observations(given), 2_000, latency_ms=slower(1.0)).verdict() is None
    within = of(SUCCESS, Guardrail(measure=Measure.LATENCY, margin=0.5), primary=Measure.LATENCY, promote=True)
    assert status_of(fed(Observations(within), 4_000, latency_ms=slower(1.0))) is ExperimentStatus.PROMOTED


def test_a_promised_limit_that_is_broken_more_often_counts_beside_the_bins():
    def tail(draws, treated):
        return 5_000.0 if draws.random() < (0.12 if treated else 0.01) else 100.0

    with_limit = Guardrail(measure=Measure.LATENCY, limit=1_000.0)
    observations, stream = Observations(of(SUCCESS, with_limit, min_evidence=10_000)), Stream()
    fed(observations, 2_000, stream, latency_ms=tail)
    kept = observations.kept()["guards"]["latency"]
    assert kept["breach"]["treated"] > kept["rise"]["treated"]
    assert observations.reading().guardrails[1].worse > 20


def test_a_price_at_its_limit_does_not_break_it():
    limit = Guardrail(measure=Measure.COST, limit=0.0003)
    observations = fed(Observations(of(SUCCESS, limit)), 500, cost_usd=0.0003)
    assert [counts[1] for counts in observations.kept()["guards"]["cost"]["breach"]["controls"].values()] == [0]


# -- what is read off it -----------------------------------------------------------------------------------------------


def test_the_numbers_of_the_arms_are_exact():
    observations, stream, heard = Observations(of(SUCCESS, QUALITY)), Stream(), []
    for number in range(300):
        heard.append(
            stream.observation(
                control=0.9, latency_ms=0.1 * number, cost_usd=number / 1e6, quality=number / 300 or None
            )
        )
        observations.hear(heard[-1])
    arm, mine = observations.reading().treatment, [each for each in heard if each.treated]
    assert arm.outcomes == len(mine)
    assert arm.successes == sum(each.succeeded for each in mine)
    assert arm.cost_usd == sum(round(each.cost_usd * 1e6) for each in mine) / 1e6 / len(mine)
    timed = [round(each.latency_ms * 1000) for each in mine if each.succeeded]
    assert arm.latency_ms == sum(timed) / 1000 / len(timed)
    rated = [round(each.quality * 1e6) for each in mine if each.quality is not None]
    assert arm.quality == sum(rated) / 1e6 / len(rated)


def test_quality_is_bet_on_only_where_an_observation_has_one():
    observations, bet, stream = Observations(of(SUCCESS, QUALITY)), DifferenceBet(of_rates=False), Stream()
    for number in range(400):
        observation = stream.observation(quality=None if number % 3 else 0.8)
        observations.hear(observation)
        if observation.quality is not None:
            bet.add(observation.treated, observation.quality, 0.5)
    assert observations.reading().guardrails[1].worse == bet.worse


def test_an_interval_is_that_of_the_bet_and_latency_has_none():
    observations = fed(Observations(of(SUCCESS, LATENCY)), 1_500, control=0.9, treatment=0.92)
    success, latency = observations.reading().guardrails
    assert success.lo < 0.02 < success.hi
    assert (latency.lo, latency.hi) == (None, None)


def test_nothing_heard_reads_as_nothing():
    reading = Observations(of(SUCCESS, LATENCY, QUALITY)).reading()
    assert (reading.treatment.outcomes, reading.treatment.success, reading.path) == (0, None, ())
    assert (reading.worse, reading.share) == (pytest.approx(1), None)


def test_the_path_has_a_few_hundred_points_however_many_outcomes_there_were():
    observations = fed(Observations(of()), 3_000, control=0.9)
    path = observations.reading().path
    assert 150 < len(path) <= 401
    assert (path[-1].outcomes, path[-1].worse) == (3_000, observations.reading().worse)
    assert [each.outcomes for each in path] == sorted({each.outcomes for each in path})


def test_the_ratio_of_a_point_is_that_of_what_was_assigned_before_it_even_when_it_is_counted_later():
    early, late, stream = Observations(of()), Observations(of()), Stream()
    both = [(stream.observation(), stream.assigned(treated=True)) for _ in range(200)]
    for observation, assigned in both:
        early.hear(observation)
        early.count(assigned)
        late.hear(observation)
    for _, assigned in both:
        late.count(assigned)
    assert early.reading().path == late.reading().path
    assert early.kept() == late.kept()
    assert [each.ratio for each in early.reading().path][:3] != [1, 1, 1]
