"""Every bet, detector, belief and draw at the edge: e-values are numbers, and what is no evidence moves nothing."""

import math
from random import Random
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mahavishnu.errors import InvalidOutcome
from mahavishnu.stats import assignment, betting, paths
from mahavishnu.stats.betting import AssignmentBet, Game
from mahavishnu.stats.bins import BREACH, FALL, RISE, Bins, edges_of
from mahavishnu.stats.chances import chances
from mahavishnu.stats.detector import Detector, Suspicion
from mahavishnu.stats.difference import DifferenceBet, Guesses
from mahavishnu.stats.draws import beta_draws
from mahavishnu.stats.guardrails import Together, broken, combined
from mahavishnu.stats.ratio import RatioBet
from mahavishnu.stats.thompson import Beliefs
from tests.edges import ANY, COUNTS, HISTOGRAMS, HUGE, LARGEST, SHARES, TINIEST, TINY, Register, said

tried = Register("mahavishnu.stats")
inf, nan = math.inf, math.nan
edges = settings(max_examples=60, deadline=None)
SUMS = st.floats(0, 1e300)
ARMS = st.lists(st.tuples(st.booleans(), st.booleans(), SHARES), max_size=20)
ONLY_TREATED = [(True, True, TINIEST)] * 5
ONLY_CONTROL = [(False, False, 1 - 2**-53)] * 5
EXTREMES = [(True, False, TINIEST), (False, True, 1 - 2**-53), (True, True, 1e-310), (False, False, TINIEST)] * 3


@tried("assignment.digest", "assignment.multiplier", "assignment.threshold")
@tried("assignment.Thresholds", "assignment.Thresholds.reached")
@edges
@given(st.text(), st.lists(ANY, max_size=4))
@example("\ud800", [0.0, 1.0, nan, inf])
@example("u", [2.0, 0.5])
@example("u", [0.5, 2.0, 2.0, 0.5])
@example("v", [1.5, 0.5, 1.0])
def test_a_unit_reaches_the_threshold_of_no_share_and_never_that_of_all(text, shares):
    at = assignment.digest(text) & assignment.ALL
    below = [assignment.threshold(share) for share in shares]
    assert all(0 <= threshold <= 2**assignment.BITS for threshold in below)
    # A threshold that was worked out elsewhere may lie beyond all places.
    below = [limit * 2 if limit == 2**assignment.BITS else limit for limit in below]
    salts = [assignment.multiplier(f"{text}{number}") for number in range(len(shares))]
    thresholds = assignment.Thresholds(list(zip(salts, below, strict=True)))
    reached = thresholds.reached(at)
    for lane, (salt, threshold) in enumerate(zip(salts, below, strict=True)):
        assert (reached >> assignment.LANE * lane + assignment.BITS & 1) == (at * salt & assignment.ALL >= threshold)


@tried("betting.randomised")
@edges
@given(st.none() | ANY)
def test_only_what_was_drawn_may_be_bet_on(probability):
    if probability is not None and 0 < probability < 1:
        assert 0 < betting.randomised(probability) < 1
    else:
        with pytest.raises(InvalidOutcome):
            betting.randomised(probability)


@tried("betting.e_value")
@edges
@given(st.lists(ANY, max_size=6))
@example([])
@example([nan, 0.0])
@example([-inf, inf])
@example([1e30] * 6)
def test_an_e_value_of_any_wealth_is_a_number_of_0_or_more(logs):
    assert 0 <= betting.e_value(logs) < inf


@tried("betting.Game", "betting.falling")
@edges
@given(st.lists(ANY, min_size=2, max_size=2), st.lists(ANY, min_size=2, max_size=2), ANY)
@example([nan, 1.0], [1.0, 1.0], -HUGE)
@example([1.0, 1.0], [inf, 1.0], HUGE)
@example([1.0, 1.0], [HUGE, TINIEST], nan)
def test_a_game_that_could_be_won_without_limit_is_refused(prior, tilt, shift):
    for game in (lambda: Game(prior=tuple(prior), tilts=(tuple(tilt),)), lambda: betting.falling([shift])):
        bet, refused = said(lambda game=game: AssignmentBet(game()))
        if bet is None:
            assert " must " in refused
        else:
            for treated, category, probability in ((True, 0, TINIEST), (True, 1, 0.5), (False, 1, 1 - 2**-53)):
                bet.add(treated, category, probability)
            assert 0 <= bet.e_value < inf


@tried("betting.AssignmentBet", "betting.AssignmentBet.add", "betting.AssignmentBet.e_value")
@tried("betting.AssignmentBet.controls", "betting.AssignmentBet.kept", "betting.AssignmentBet.resumed")
@edges
@given(ARMS, st.sampled_from((betting.SUCCESS, BREACH, RISE, FALL)))
@example(EXTREMES, RISE)
@example(ONLY_TREATED, betting.SUCCESS)
def test_a_bet_on_any_assignments_has_an_e_value_and_goes_on_as_if_nothing_had_happened(arms, game):
    bet = AssignmentBet(game)
    assert bet.e_value == pytest.approx(1)
    for treated, good, probability in arms:
        bet.add(treated, int(good), probability)
    assert 0 <= bet.e_value < inf
    assert bet.treated + bet.controls == len(arms)
    assert AssignmentBet.resumed(game, bet.kept()).e_value == bet.e_value
    with pytest.raises(InvalidOutcome):
        bet.add(treated=True, category=len(game.prior), probability=0.5)


@tried("difference.DifferenceBet", "difference.DifferenceBet.add", "difference.DifferenceBet.worse")
@tried("difference.DifferenceBet.better", "difference.DifferenceBet.interval", "difference.DifferenceBet.treated")
@tried("difference.DifferenceBet.controls", "difference.DifferenceBet.kept", "difference.DifferenceBet.resumed")
@edges
@given(ARMS, st.sampled_from((0.0, TINIEST, 0.02, math.nextafter(0.3, 0))), st.one_of(SHARES, ANY))
@example(EXTREMES, 0.0, 0.05)
@example(EXTREMES, 0.02, 0.0)
@example(ONLY_TREATED, 0.0, nan)
@example(ONLY_CONTROL, 0.02, -1.0)
@example([], 0.0, 1.0)
def test_a_bet_on_any_difference_leaves_an_interval(arms, margin, alpha):
    bet = DifferenceBet(margin)
    for treated, good, probability in arms:
        bet.add(treated, float(good), probability)
    assert 0 <= bet.worse < inf
    assert 0 <= bet.better < inf
    lo, hi = bet.interval(alpha)
    assert -1 <= lo <= hi <= 1
    assert bet.treated + bet.controls == len(arms)
    assert DifferenceBet.resumed(bet.kept()).interval(alpha) == (lo, hi)


@edges
@given(st.lists(st.tuples(st.booleans(), st.sampled_from((0.0, TINIEST, 0.9, 1.0)), SHARES), max_size=20))
@example([(False, 0.9, 0.5), (True, 0.9, 0.5)] * 10)
def test_a_bet_on_qualities_that_hardly_vary_has_e_values(arms):
    bet = DifferenceBet(0.02, of_rates=False)
    for treated, value, probability in arms:
        bet.add(treated, value, probability)
    assert 0 <= bet.worse < inf
    assert 0 <= bet.better < inf


@tried("difference.Guesses", "difference.Guesses.add", "difference.Guesses.moments")
@edges
@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), max_size=20))
def test_guessed_rates_lie_between_0_and_1(values):
    guesses = Guesses()
    for treated, value in values:
        guesses.add(treated, value)
    assert all(0 <= moment <= 1 for moment in guesses.moments())


@tried("ratio.RatioBet", "ratio.RatioBet.add", "ratio.RatioBet.e_value", "ratio.RatioBet.share")
@tried("ratio.RatioBet.expected", "ratio.RatioBet.kept", "ratio.RatioBet.resumed")
@edges
@given(ARMS)
@example(ONLY_TREATED)
@example(ONLY_CONTROL)
@example(EXTREMES)
@example([(False, True, 1 - 2**-53)] * 3 + [(True, True, TINIEST)] * 3)
def test_a_bet_on_any_sample_ratio_has_an_e_value(arms):
    bet = RatioBet()
    assert (bet.share, bet.expected, bet.e_value) == (None, None, 1.0)
    for treated, _, probability in arms:
        bet.add(treated, probability)
    assert 0 <= bet.e_value < inf
    assert not arms or (0 <= bet.share <= 1 and 0 < bet.expected <= 1)
    assert RatioBet.resumed(bet.kept()).e_value == bet.e_value


@tried("guardrails.combined", "guardrails.broken")
@edges
@given(st.dictionaries(st.sampled_from("abc"), ANY), ANY, st.sampled_from(Together))
@example({"a": nan}, 0.05, Together.MEAN)
@example({"a": nan, "b": 30.0}, 0.05, Together.BONFERRONI)
@example({"a": -inf, "b": inf}, 0.05, Together.MEAN)
@example({"a": 5.0}, 0.0, Together.MEAN)
@example({"a": nan}, inf, Together.MEAN)
@example({"a": LARGEST, "b": LARGEST, "c": LARGEST}, 0.05, Together.MEAN)
def test_what_is_no_evidence_breaks_no_guardrail(e_values, alpha, together):
    assert combined(e_values, together) >= 0
    named = broken(e_values, alpha, together)
    assert not named or (alpha > 0 and e_values[named[0]] >= min(1 / alpha, LARGEST) * (1 - 1e-9))


@tried("bins.Bins", "bins.Bins.place", "bins.edges_of")
@edges
@given(HISTOGRAMS, ANY, ANY)
@example({35_489: 5}, 0.0, inf)
@example({10**6: 5}, inf, inf)
@example({0: 5}, 0.1, nan)
def test_any_value_falls_into_a_bin_or_is_left_out(counts, margin, value):
    found = edges_of(counts)
    if found is None:
        return
    assert list(found) == sorted(found)
    assert all(0 <= edge < inf for edge in found)
    if not 0 <= margin < inf:
        with pytest.raises(ValueError, match="margin"):
            Bins(edges={"t": found}, margin=margin)
        return
    bins = Bins(edges={"t": found}, margin=margin)
    for treated in (False, True):
        place = bins.place(treated=treated, value=value, stratum="t")
        assert place is None if math.isnan(value) else 0 <= place <= 5
    assert bins.place(treated=True, value=value, stratum="unknown") is None


def test_edges_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match="edges"):
        Bins(edges={"t": (1.0, 2.0, nan, 3.0, 4.0)})


@tried("detector.Detector", "detector.Detector.seen", "detector.Detector.after", "detector.Detector.evidence")
@tried("detector.Detector.alarmed", "detector.Detector.mirrored", "detector.Suspicion.share")
@edges
@given(
    st.one_of(SHARES, ANY),
    st.lists(ANY, max_size=3),
    st.builds(Suspicion, sums=st.tuples(SUMS, SUMS), ratio=st.floats(1, 1e300), samples=st.integers(0, 10**30)),
    st.lists(st.booleans(), max_size=30),
)
@example(TINIEST, [0.5, 0.9], Suspicion(), [True] * 30)
@example(1 - 2**-53, [-0.5, -0.9], Suspicion(), [False] * 30)
@example(1 - 2**-53, [0.5, 0.9], Suspicion(), [True, False])
@example(0.1, [1.0, nan], Suspicion(), [True])
@example(0.1, [1000.0], Suspicion(), [True])
@example(0.1, [-1000.0], Suspicion(), [True])
def test_a_detector_grows_suspicious_by_numbers(null, shifts, suspicion, hits):
    watch, refused = said(lambda: Detector(null=null, shifts=tuple(shifts)))
    if watch is None:
        assert " must " in refused
        return
    assert watch.evidence(Suspicion()) == 0
    for detector in (watch, watch.mirrored()):
        # What another detector kept does not fit.
        before = suspicion if len(suspicion.sums) == len(shifts) else Suspicion()
        after = detector.after(before, hits)
        assert not hits or all(0 <= each < inf for each in after.sums)
        assert not hits or 1 <= after.ratio < inf
        assert after.share is None or 0 <= after.share <= 1
        assert detector.alarmed(after) == (detector.evidence(after) >= detector.threshold)


class Seen(NamedTuple):
    samples: float
    successes: float
    effective: float


@tried("thompson.Beliefs", "thompson.Beliefs.follow", "thompson.Beliefs.where", "thompson.Beliefs.counts")
@tried("thompson.Beliefs.discount_by")
@edges
@given(st.lists(st.builds(Seen, ANY, ANY, ANY), max_size=12), st.one_of(SHARES, ANY))
@example([Seen(10**30, HUGE, nan), Seen(TINIEST, 1.0, inf), Seen(nan, nan, nan)], TINIEST)
@example([Seen(2**63 - 1, 2**63 - 1, 2**63 - 1), Seen(-1e-17, 1, 1), Seen(5, 5, 5)], 1 - 2**-53)
def test_beliefs_stay_finite_counts_whatever_totals_come(totals, discount):
    beliefs = Beliefs()
    if not 0 < discount <= 1:
        with pytest.raises(ValueError, match="discount"):
            beliefs.discount_by(discount)
        return
    beliefs.discount_by(discount)
    for number, seen in enumerate(totals):
        beliefs.follow({f"t{number % 3}": seen})
        successes, failures = beliefs.counts(beliefs.where([f"t{number % 3}"]))
        assert 0 <= successes[0] < 1e12
        assert 0 <= failures[0] < 1e12


@tried("chances.chances")
@edges
@given(
    st.sampled_from((0.0, TINIEST, TINY, 0.7, 1.0, HUGE)),
    st.lists(st.tuples(ANY, COUNTS, COUNTS), min_size=1, max_size=5),
)
@example(0.7, [(-inf, 1, 1), (-inf, 1, 1)])
@example(0.7, [(nan, 1, 1), (0.5, 1, 1)])
@example(0.7, [(-1e300, 1, 1), (-1e300, 1, 1)])
@example(0.7, [(-1e17, 1, 1), (-1e17, 1, 1)])
@example(0.7, [(0.0, HUGE, 1), (0.0, 1, HUGE), (0.0, 1, 1)])
@example(TINIEST, [(0.0, 1, 1), (0.0, 2, 1)])
@example(HUGE, [(0.0, 1, 1), (0.0, 2, 1)])
@example(TINY, [(nan, HUGE, HUGE)])
@example(1.0, [(0.0, 9e8, 1e8), (0.0, 1, 1)])
def test_chances_of_any_beliefs_sum_to_1(weight, beliefs):
    base, alpha, beta = (np.array(column, dtype=float) for column in zip(*beliefs, strict=True))
    found = chances(base, weight, alpha, beta)
    assert ((found >= 0) & (found <= 1)).all()
    assert abs(found.sum() - 1) <= 1e-9


@tried("draws.beta_draws")
@edges
@given(st.lists(st.tuples(st.floats(1, 1e12), st.floats(1, 1e12)), max_size=5), st.integers(0, 9))
def test_draws_lie_between_0_and_1(beliefs, seed):
    alpha = np.array([alpha for alpha, _ in beliefs])
    beta = np.array([beta for _, beta in beliefs])
    drawn = beta_draws(alpha, beta, Random(seed))
    assert ((drawn >= 0) & (drawn <= 1)).all()


@tried("paths.assignment", "paths.assignment_logs", "paths.difference", "paths.difference_logs", "paths.success")
@tried("paths.success_reached", "paths.sample_ratio", "paths.found_after", "paths.mean_wealth", "paths.before")
@edges
@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.sampled_from((1e-12, 0.1, 0.5, 1 - 1e-12))), max_size=20))
@example([])
@example([(True, True, 1e-12)] * 5)
def test_the_paths_of_any_assignments_are_e_values(arms):
    treated, good = (np.array([arm[place] for arm in arms], dtype=bool) for place in (0, 1))
    share = np.array([arm[2] for arm in arms])
    e_values = [
        paths.assignment(treated, good, share),
        paths.success(treated, good, share),
        paths.sample_ratio(treated, share),
        *paths.difference(treated, good, share),
        *map(paths.mean_wealth, paths.difference_logs(treated, good, share)),
        paths.mean_wealth(paths.assignment_logs(treated, good, share, strata=np.zeros(len(arms), dtype=int))),
    ]
    assert all(np.isfinite(path).all() and (path >= 0).all() for path in e_values)
    assert (paths.success_reached(treated, good, share, 20.0) == (e_values[1] >= 20)).all()
    assert paths.found_after(treated, treated) == (1 if treated.any() else inf)
    assert paths.before(share).sum() >= 0


@tried("paths.Arrivals.arms", "paths.Arrivals.rates", "paths.along")
@pytest.mark.parametrize("arrivals", [{}, {"delay": 3.0, "slower": 2.0}, {"missing": 1.0}, {"share": lambda way: way}])
def test_arrivals_of_any_kind_are_heard_of_once_at_most(arrivals):
    treated, succeeded, share = paths.Arrivals(candidates=10, **arrivals).rates(np.random.default_rng(1), 1.0, 0.0)
    assert len(treated) == len(succeeded) == len(share)
    assert not (treated & succeeded).any()
    assert paths.along(0.5, np.zeros(0)).size == 0
