"""Detectors keep quiet while nothing is wrong, speak up soon when something is, and remember across restarts."""

import json
import math
from dataclasses import asdict
from random import Random
from statistics import NormalDist, median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mahavishnu.stats.detector import Detector, Suspicion

FAILURES = Detector(null=0.10)
COSTLY = Detector(null=0.05)
HITS = st.lists(st.booleans(), max_size=200)


def alarms(detector, share, samples, seed):
    """How often it cries wolf, beginning anew each time."""
    random, suspicion, found = Random(seed), Suspicion(), 0
    for _ in range(samples):
        suspicion = detector.seen(suspicion, random.random() < share)
        if detector.alarmed(suspicion):
            found, suspicion = found + 1, Suspicion()
    return found


def delay(detector, before, after, seed, quiet=500, most=2_000):
    """How many observations after the change it takes; an alarm before it is another matter, and begun anew."""
    random, suspicion = Random(seed), Suspicion()
    for _ in range(quiet):
        suspicion = detector.seen(suspicion, random.random() < before)
        if detector.alarmed(suspicion):
            suspicion = Suspicion()
    for count in range(1, most + 1):
        suspicion = detector.seen(suspicion, random.random() < after)
        if detector.alarmed(suspicion):
            return count
    return most


def above_p95(times, sigma):
    """The share of lognormal costs above the old p95 once every cost is so many times as high."""
    normal = NormalDist()
    return 1 - normal.cdf(normal.inv_cdf(0.95) - math.log(times) / sigma)


@pytest.mark.parametrize("detector", [FAILURES, COSTLY, Detector(null=0.02), Detector(null=0.3)])
def test_at_the_edge_of_the_null_it_cries_wolf_at_most_once_in_ten_thousand(detector):
    # The bound is on the mean; of 30 streams of 10,000 at the very edge about 20 alarms come, with a deviation of 4.5.
    assert sum(alarms(detector, detector.null, 10_000, seed) for seed in range(30)) <= 30


def test_well_inside_the_null_it_is_quiet_for_good():
    assert sum(alarms(FAILURES, 0.05, 10_000, seed) for seed in range(10)) == 0


@pytest.mark.parametrize(("after", "within"), [(0.20, 120), (0.30, 45)])
def test_a_fall_of_success_is_found_within_its_bar(after, within):
    assert median(delay(FAILURES, 0.08, after, seed) for seed in range(300)) <= within


@pytest.mark.parametrize("sigma", [0.5, 1.0, 1.5])
def test_a_threefold_cost_is_found_within_seventy_five(sigma):
    assert median(delay(COSTLY, 0.05, above_p95(3, sigma), seed) for seed in range(300)) <= 75


def test_recovery_is_found_and_a_target_that_stays_bad_has_none():
    recovery = FAILURES.mirrored()
    assert median(delay(recovery, 0.20, 0.08, seed, quiet=100) for seed in range(200)) <= 150
    assert sum(alarms(recovery, 0.20, 10_000, seed) for seed in range(10)) <= 10


@given(HITS, st.integers(0, 200))
def test_many_at_once_are_the_same_as_one_by_one_however_they_are_cut(hits, cut):
    whole = FAILURES.after(Suspicion(), hits)
    assert FAILURES.after(FAILURES.after(Suspicion(), hits[:cut]), hits[cut:]) == whole


@given(HITS, HITS)
def test_what_is_kept_as_json_goes_on_as_if_nothing_had_happened(before, after):
    kept = json.loads(json.dumps(asdict(FAILURES.after(Suspicion(), before))))
    restarted = Suspicion(**{**kept, "sums": tuple(kept["sums"])})
    assert FAILURES.after(restarted, after) == FAILURES.after(Suspicion(), [*before, *after])


@given(HITS)
def test_the_sums_are_those_of_the_paper(hits):
    alternatives = [1 / (1 + math.exp(-(math.log(0.1 / 0.9) + shift))) for shift in FAILURES.shifts]
    ratios = [[(q / 0.1 if hit else (1 - q) / 0.9) for hit in hits] for q in alternatives]
    expected = [sum(math.prod(each[begin:]) for begin in range(len(hits))) for each in ratios]
    assert FAILURES.evidence(FAILURES.after(Suspicion(), hits)) == pytest.approx(sum(expected) / 3)


def test_it_knows_since_about_when_and_how_bad():
    random = Random(4)
    suspicion = FAILURES.after(Suspicion(), (random.random() < 0.08 for _ in range(1_000)))
    suspicion = FAILURES.after(suspicion, (random.random() < 0.40 for _ in range(60)))
    assert 50 <= suspicion.samples <= 90
    assert 0.25 <= suspicion.share <= 0.5


def test_however_long_something_is_wrong_the_sums_stay_numbers():
    suspicion = FAILURES.after(Suspicion(), [True] * 5_000)
    assert all(math.isfinite(each) for each in (*suspicion.sums, suspicion.ratio))
    assert FAILURES.alarmed(suspicion)


@pytest.mark.parametrize("wrong", [{"null": 0}, {"null": 1}, {"null": 0.1, "threshold": 1}, {"null": 0.1, "shifts": ()},
                                   {"null": 0.1, "shifts": (-1, 1)}, {"null": math.nan}])  # fmt: skip
def test_a_detector_of_nothing_is_refused(wrong):
    with pytest.raises(ValueError, match="must"):
        Detector(**wrong)
