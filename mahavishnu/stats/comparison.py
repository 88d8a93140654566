"""Tests of whether two targets differ: in how often they succeed, and in how long they take.

Every test is two-sided, takes decayed counts as well as whole ones, and answers 1 where there is too little to say
anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import erfc, exp, isfinite, lgamma, sqrt

from mahavishnu.stats.sketch import moments

SMALL = 5.0
"""A cell of the two-by-two table that is expected to hold fewer makes the normal approximation a bad one."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How likely a difference at least this large is where there is none, and by which test."""

    p: float
    test: str


NO_VERDICT = Verdict(1.0, "too few samples")


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Latencies by bucket of `stats.sketch`. `effective` is Kish's n where the counts are decayed."""

    counts: Mapping[int, float]
    effective: float | None = None

    def scaled(self) -> dict[int, float]:
        """Counts that add up to the number of samples they stand for."""
        counted = {bucket: count for bucket, count in self.counts.items() if count > 0}
        total = sum(counted.values())
        if self.effective is None or not total:
            return counted
        return {bucket: count * (self.effective / total) for bucket, count in counted.items()}


def compare_rates(successes_a: float, samples_a: float, successes_b: float, samples_b: float) -> Verdict:
    """Whether two success rates differ: the z test with a pooled variance, or Fisher's exact one for small counts.

    Small means that one of the four cells is expected to hold fewer than five (W. G. Cochran, Biometrics 10, 1954).
    Of decayed counts the effective ones are wanted: samples = Kish's n, successes = rate · n. Fisher's test rounds.

    >>> verdict = compare_rates(789, 812, 692, 744)
    >>> round(verdict.p, 5), verdict.test
    (0.00013, 'two-proportion z test')
    >>> compare_rates(3, 3, 1, 4).test
    "Fisher's exact test"
    """
    if not all(map(isfinite, (successes_a, samples_a, successes_b, samples_b))) or min(samples_a, samples_b) <= 0:
        return NO_VERDICT
    successes_a = min(max(successes_a, 0.0), samples_a)
    successes_b = min(max(successes_b, 0.0), samples_b)
    pooled = (successes_a + successes_b) / (samples_a + samples_b)
    if min(samples_a, samples_b) * min(pooled, 1 - pooled) < SMALL:
        return Verdict(
            fisher(round(successes_a), round(samples_a), round(successes_b), round(samples_b)), "Fisher's exact test"
        )
    spread = sqrt(pooled * (1 - pooled) * (1 / samples_a + 1 / samples_b))
    return Verdict(_two_sided(abs(successes_a / samples_a - successes_b / samples_b) / spread), "two-proportion z test")


def fisher(successes_a: int, samples_a: int, successes_b: int, samples_b: int) -> float:
    """Fisher's exact test: everything that is no likelier than what was seen, given the margins (R. A. Fisher, 1922).

    >>> round(fisher(3, 4, 1, 4), 4)
    0.4857
    """
    total = successes_a + successes_b
    fewest, most = max(0, total - samples_b), min(total, samples_a)

    def chance(count: int) -> float:
        ways = _log_choose(samples_a, count) + _log_choose(samples_b, total - count)
        return ways - _log_choose(samples_a + samples_b, total)

    # Log-gammas are good to about thirteen digits: tables that are equally likely must not fall to different sides.
    seen = chance(successes_a) + 1e-7
    return min(1.0, sum(exp(each) for count in range(fewest, most + 1) if (each := chance(count)) <= seen))


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)


def welch(a: Times, b: Times) -> Verdict:
    """Whether the mean logarithms of two latencies differ (B. L. Welch, Biometrika 34, 1947).

    In logarithms, because latencies are skewed and a target is faster by a factor, not by a number of milliseconds.

    >>> slow, fast = Times(counts={250: 40, 260: 40}), Times(counts={200: 40, 210: 40})
    >>> welch(slow, fast).p < 1e-9, welch(slow, slow).p
    (True, 1.0)
    """
    spreads, freedoms, means = [], [], []
    for times in (a, b):
        samples, mean, variance = moments(times.scaled(), logarithmic=True)
        if samples < 2:
            return NO_VERDICT
        means.append(mean)
        spreads.append(variance / (samples - 1))
        freedoms.append(samples - 1)
    spread = sum(spreads)
    if not spread:
        # Two constants: as different as can be, or not at all.
        return Verdict(float(means[0] == means[1]), "Welch's t test")
    freedom = spread**2 / sum(each**2 / of for each, of in zip(spreads, freedoms, strict=True))
    # Slow to import, and only a recalculation compares.
    from scipy.special import stdtr

    p = 2 * float(stdtr(freedom, -abs(means[0] - means[1]) / sqrt(spread)))
    return Verdict(min(1.0, p), "Welch's t test")


def mann_whitney(a: Times, b: Times) -> Verdict:
    """Whether one latency tends to be the longer one (H. B. Mann and D. R. Whitney, Ann. Math. Stat. 18, 1947).

    By the normal approximation with the correction for ties, of which buckets make many, and for continuity. Asks
    nothing of the shape of a latency, which may have two humps or a tail without a mean.

    >>> slow, fast = Times(counts={250: 40, 260: 40}), Times(counts={200: 40, 210: 40})
    >>> mann_whitney(slow, fast).p < 1e-9, mann_whitney(slow, slow).p
    (True, 1.0)
    """
    counts_a, counts_b = a.scaled(), b.scaled()
    n_a, n_b = sum(counts_a.values()), sum(counts_b.values())
    if min(n_a, n_b) < 1 or n_a + n_b < 2:
        return NO_VERDICT
    buckets = sorted({*counts_a, *counts_b})
    ties = [counts_a.get(bucket, 0.0) + counts_b.get(bucket, 0.0) for bucket in buckets]
    # How often an a comes after a b, ties counting half.
    below = accumulate((counts_b.get(bucket, 0.0) for bucket in buckets), initial=0.0)
    after = sum(
        counts_a.get(bucket, 0.0) * (before + counts_b.get(bucket, 0.0) / 2)
        for bucket, before in zip(buckets, below, strict=False)
    )
    n = n_a + n_b
    # A count below one ties with nothing; t³ is less than t for it.
    tied = sum(max(0.0, count**3 - count) for count in ties) / (n * (n - 1))
    variance = n_a * n_b / 12 * ((n + 1) - tied)
    if variance <= 1e-9 * n_a * n_b:
        return Verdict(1.0, "Mann–Whitney test")
    distance = max(0.0, abs(after - n_a * n_b / 2) - 0.5)
    return Verdict(_two_sided(distance / sqrt(variance)), "Mann–Whitney test")


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values corrected for how many of them there are (S. Holm, Scand. J. Statist. 6, 1979), in their order.

    Those at or under alpha may be believed together, with no more than alpha for even one false among them.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    corrected = [1.0] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, p_values[place] * (len(p_values) - rank)))
        corrected[place] = highest
    return corrected


def _two_sided(z: float) -> float:
    return erfc(z / sqrt(2))
