"""Tests of whether two targets differ: in how often they succeed, and in how long they take.

Every test is two-sided, takes decayed counts as well as whole ones, and answers 1 where there is too little to say
anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import erfc, exp, fsum, inf, isfinite, sqrt

from mahavishnu.stats.sketch import moments

SMALL = 5.0
"""A cell of the two-by-two table that is expected to hold fewer makes the normal approximation a bad one."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How likely a difference at least this large is where there is none, and by which test."""

    p: float
    test: str


NO_VERDICT = Verdict(1.0, "too few samples")

MOST = 1e15
"""More samples than that of latencies count for that many: the cube of more of them may be no number."""

_EQUALLY_LIKELY = exp(1e-7)
"""Tables that are equally likely must not fall to different sides by a rounding."""

_NEXT_TO_NOTHING = 1e-300
_LARGE = 10**6


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Latencies by bucket of `stats.sketch`. `effective` is Kish's n where the counts are decayed.

    Counts that are negative or no numbers say nothing, and neither does any where `effective` is negative or none.
    """

    counts: Mapping[int, float]
    effective: float | None = None

    def scaled(self) -> dict[int, float]:
        """Counts that add up to the number of samples they stand for."""
        counted = {bucket: count for bucket, count in self.counts.items() if count > 0}
        total = sum(counted.values())
        if not 0 < total < inf:
            return {}
        effective = total if self.effective is None else self.effective
        if not 0 < effective < inf:
            return {}
        factor = min(effective, MOST) / total
        if factor == 1:
            return counted
        if factor < inf:
            scaled = {bucket: count * factor for bucket, count in counted.items()}
        else:
            scaled = {bucket: count / total * min(effective, MOST) for bucket, count in counted.items()}
        # What is next to nothing beside the others is nothing at this size.
        return {bucket: count for bucket, count in scaled.items() if count > 0}


def compare_rates(successes_a: float, samples_a: float, successes_b: float, samples_b: float) -> Verdict:
    """Whether two success rates differ: the z test with a pooled variance, or Fisher's exact one for small counts.

    Small means that one of the four cells is expected to hold fewer than five (W. G. Cochran, Biometrics 10, 1954).
    Of decayed counts the effective ones are wanted: samples = Kish's n, successes = rate · n. Fisher's test rounds.
    What is no number, or adds up to none, is no evidence of a difference.

    >>> verdict = compare_rates(789, 812, 692, 744)
    >>> round(verdict.p, 5), verdict.test
    (0.00013, 'two-proportion z test')
    >>> compare_rates(3, 3, 1, 4).test
    "Fisher's exact test"
    """
    known = all(map(isfinite, (successes_a, samples_a, successes_b, samples_b, samples_a + samples_b)))
    if not known or min(samples_a, samples_b) <= 0:
        return NO_VERDICT
    successes_a = min(max(successes_a, 0.0), samples_a)
    successes_b = min(max(successes_b, 0.0), samples_b)
    pooled = (successes_a + successes_b) / (samples_a + samples_b)
    if min(samples_a, samples_b) * min(pooled, 1 - pooled) < SMALL:
        return Verdict(
            fisher(round(successes_a), round(samples_a), round(successes_b), round(samples_b)), "Fisher's exact test"
        )
    return Verdict(_pooled_z_test(successes_a, samples_a, successes_b, samples_b), "two-proportion z test")


def _pooled_z_test(successes_a: float, samples_a: float, successes_b: float, samples_b: float) -> float:
    samples = samples_a + samples_b
    # Failures are counted, as a rate next to 1 leaves none of them. Two roots: of huge counts with a small rate the
    # product would be nothing.
    succeeded, failed = successes_a + successes_b, samples_a - successes_a + samples_b - successes_b
    spread = sqrt(succeeded / samples * (failed / samples)) * sqrt(1 / samples_a + 1 / samples_b)
    return _two_sided(abs(successes_a / samples_a - successes_b / samples_b) / spread)


def fisher(successes_a: int, samples_a: int, successes_b: int, samples_b: int) -> float:
    """Fisher's exact test: everything that is no likelier than what was seen, given the margins (R. A. Fisher, 1922).

    A table that there cannot be, with more successes than samples or fewer than none, is taken for the nearest one that
    there can. It takes as many steps as tables are likelier than 1e-300 of the likeliest: some 40 standard deviations
    to either side. Where every cell is expected to hold more than a million, it is the z test.

    >>> round(fisher(3, 4, 1, 4), 4)
    0.4857
    """
    samples_a, samples_b = max(samples_a, 0), max(samples_b, 0)
    successes_a = min(max(successes_a, 0), samples_a)
    total = successes_a + min(max(successes_b, 0), samples_b)
    samples = samples_a + samples_b
    if min(samples_a, samples_b) * min(total, samples - total) > _LARGE * samples:
        return _pooled_z_test(successes_a, samples_a, total - successes_a, samples_b)
    fewest, most = max(0, total - samples_b), min(total, samples_a)
    likeliest = min(max((samples_a + 1) * (total + 1) // (samples + 2), fewest), most)
    # Each against the likeliest, by the exact ratio of neighbours: log-gammas of large numbers leave no digit of it.
    chances = {likeliest: 1.0}
    chance = 1.0
    for count in range(likeliest + 1, most + 1):
        chance *= (samples_a - count + 1) * (total - count + 1) / (count * (samples_b - total + count))
        if chance < _NEXT_TO_NOTHING:
            break
        chances[count] = chance
    chance = 1.0
    for count in range(likeliest - 1, fewest - 1, -1):
        chance *= (count + 1) * (samples_b - total + count + 1) / ((samples_a - count) * (total - count))
        if chance < _NEXT_TO_NOTHING:
            break
        chances[count] = chance
    seen = chances.get(successes_a, 0.0) * _EQUALLY_LIKELY
    return min(1.0, fsum(each for each in chances.values() if each <= seen) / fsum(chances.values()))


def welch(a: Times, b: Times) -> Verdict:
    """Whether the mean logarithms of two latencies differ (B. L. Welch, Biometrika 34, 1947).

    In logarithms, because latencies are skewed and a target is faster by a factor, not by a number of milliseconds. No
    verdict on fewer than two samples of either.

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
    # By shares of the whole: the square of a spread that is next to nothing would be nothing.
    freedom = 1 / sum((each / spread) ** 2 / of for each, of in zip(spreads, freedoms, strict=True))
    return Verdict(two_sided_t(abs(means[0] - means[1]) / sqrt(spread), freedom), "Welch's t test")


def two_sided_t(t: float, freedom: float) -> float:
    """How likely Student's t lies at least this far from 0.

    >>> round(two_sided_t(2.0, 10.0), 4), two_sided_t(0.0, 1.0), two_sided_t(float("inf"), 1.0)
    (0.0734, 1.0, 0.0)
    """
    # Slow to import, and only a recalculation compares.
    from scipy.special import stdtr

    return min(1.0, 2 * float(stdtr(freedom, -abs(t))))


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

    Those at or under alpha may be believed together, with no more than alpha for even one false among them. What is no
    number counts for 1.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    # `min` keeps the first of two that cannot be compared.
    known = [max(0.0, min(1.0, p)) for p in p_values]
    corrected = [1.0] * len(known)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(known)), key=known.__getitem__)):
        highest = max(highest, min(1.0, known[place] * (len(known) - rank)))
        corrected[place] = highest
    return corrected


def _two_sided(z: float) -> float:
    return erfc(z / sqrt(2))
