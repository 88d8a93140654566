"""B9, B11, B12: quantiles, intervals and detectors at full size.

Needs numpy and scipy, which the default installation brings. Every line carries what was measured beside its bar.
"""

import json
import math
import sys
import time
from collections import Counter
from random import Random

import numpy as np
from scipy.stats import binomtest, norm

from mahavishnu.stats.detector import Detector, Suspicion, _ratios
from mahavishnu.stats.intervals import clopper_pearson, wilson, wilson_decayed
from mahavishnu.stats.ordering import Showing, reorder
from mahavishnu.stats.sketch import bucket_of, merge, quantiles

LEVELS = (0.5, 0.9, 0.95, 0.99, 0.999)
SEEDS = (1, 2, 3)


def say(bar: str, subject: str, **measured: object) -> None:
    print(json.dumps({"bar": bar, "subject": subject, **measured}), flush=True)


# -- B9 ----------------------------------------------------------------------------------------------------------------


def merged_quantiles(seed: int, law: str) -> tuple[float, bool]:
    """The largest relative error after merging 500 parts, and whether another order of merging gave the same."""
    draws = np.random.default_rng(seed)
    sizes = draws.integers(1, 2_000, 500)
    laws = {
        "lognormal": lambda n: draws.lognormal(5, 1.5, n),
        "pareto 1.5": lambda n: 20 * (1 + draws.pareto(1.5, n)),
        "two humps": lambda n: np.where(draws.random(n) < 0.9, draws.gamma(9, 20, n), draws.normal(30_000, 900, n)),
    }
    parts = [laws[law](size) for size in sizes]
    sketches = [Counter(map(bucket_of, part.tolist())) for part in parts]
    found = quantiles(merge(sketches), LEVELS)
    ordered = np.sort(np.concatenate(parts))
    exact = [ordered[max(1, math.ceil(level * len(ordered) - 1e-9)) - 1] for level in LEVELS]
    worst = max(abs(ours - true) / true for ours, true in zip(found, exact, strict=True))
    Random(seed).shuffle(sketches)
    return float(worst), quantiles(merge(sketches), LEVELS) == found


# -- B11 ---------------------------------------------------------------------------------------------------------------


def furthest_from_scipy(most: int) -> dict[str, float]:
    worst = {"wilson": 0.0, "exact": 0.0}
    for samples in [*range(1, 60), *range(60, most, most // 40)]:
        for successes in {*range(min(samples, 20) + 1), samples // 3, samples // 2, samples - 1, samples}:
            reference = binomtest(successes, samples)
            for method, ours in (("wilson", wilson), ("exact", clopper_pearson)):
                theirs = reference.proportion_ci(method=method)
                lo, hi = ours(successes, samples)
                worst[method] = max(worst[method], abs(lo - theirs.low), abs(hi - theirs.high))
    return worst


def coverage(rate: float, gamma: float, seed: int, runs: int, days: int = 400, a_day: int = 20) -> tuple[float, float]:
    """How often an interval of decayed counts holds the rate: on Kish's n, and on the sum of the weights."""
    successes = np.random.default_rng(seed).binomial(a_day, rate, size=(runs, days))
    weights = gamma ** np.arange(days)
    weighed = successes @ weights
    samples, squares = a_day * weights.sum(), a_day * (weights**2).sum()
    kish = np.mean([lo <= rate <= hi for lo, hi in (wilson_decayed(each, samples, squares) for each in weighed)])
    plain = np.mean([lo <= rate <= hi for lo, hi in (wilson(each, samples) for each in weighed)])
    return float(kish), float(plain)


def wilson_ns(calls: int = 200_000) -> float:
    began = time.perf_counter()
    for _ in range(calls):
        wilson(97, 100)
    return (time.perf_counter() - began) / calls * 1e9


# -- B12 ---------------------------------------------------------------------------------------------------------------


class Many:
    """Many streams side by side through the ratios of one detector; `agrees` holds this to the detector itself."""

    def __init__(self, detector: Detector, runs: int) -> None:
        misses, hits = (np.array(each) for each in _ratios(detector.null, detector.shifts))
        self.ratios = np.stack([misses, hits])
        self.sums = np.zeros((runs, len(detector.shifts)))
        self.threshold = detector.threshold

    def seen(self, hit: np.ndarray) -> np.ndarray:
        self.sums = (self.sums + 1) * self.ratios[hit.astype(int)]
        alarmed = self.sums.mean(axis=1) >= self.threshold
        self.sums[alarmed] = 0
        return alarmed


def agrees(detector: Detector) -> bool:
    draws = np.random.default_rng(1).random(2_000) < detector.null
    many, one = Many(detector, 1), Suspicion()
    for hit in draws:
        alarmed = bool(many.seen(np.array([hit]))[0])
        one = detector.seen(one, bool(hit))
        if alarmed != detector.alarmed(one):
            return False
        one = Suspicion() if alarmed else one
    return bool(np.isclose(many.sums.mean(), detector.evidence(one)))


def false_alarms(detector: Detector, share: float | np.ndarray, runs: int, seed: int, length: int = 10_000) -> float:
    """In 10,000 observations, on average."""
    draws, many = np.random.default_rng(seed), Many(detector, runs)
    return sum(int(many.seen(draws.random(runs) < share).sum()) for _ in range(length)) / runs * (10_000 / length)


def median_delay(detector: Detector, before: float, after: float, runs: int, seed: int, most: int = 3_000) -> float:
    draws, many = np.random.default_rng(seed), Many(detector, runs)
    for _ in range(500):
        many.seen(draws.random(runs) < before)
    delays = np.full(runs, most)
    for count in range(1, most + 1):
        found = many.seen(draws.random(runs) < after) & (delays == most)
        delays[found] = count
        if (delays < most).all():
            break
    return float(np.median(delays))


def above_p95(times: float, sigma: float) -> float:
    return float(norm.sf(norm.isf(0.05) - math.log(times) / sigma))


def costs(sigma: float, runs: int, seed: int, baseline: int) -> tuple[float, float]:
    """False alarms, and the delay of a threefold cost, where the p95 is read off the buckets of real draws."""
    draws = np.random.default_rng(seed)
    shares, raised = [], []
    for _ in range(runs):
        drawn = np.sort(draws.lognormal(7, sigma, baseline))
        # Half a bucket of 1 % aside, a cost is above the p95's bucket where it is above the p95 itself.
        p95 = drawn[math.ceil(0.95 * baseline) - 1] * 1.01
        shares.append(norm.sf((math.log(p95) - 7) / sigma))
        raised.append(norm.sf((math.log(p95 / 3) - 7) / sigma))
    detector = Detector(null=0.05)
    wolf = false_alarms(detector, np.array(shares), runs, seed)
    return wolf, median_delay(detector, float(np.mean(shares)), float(np.mean(raised)), runs, seed)


def swaps(targets: int, calls: int, seed: int) -> float:
    """How often anything moves among targets that are the same in everything."""
    draws = np.random.default_rng(seed)
    names = [f"t{number}" for number in range(targets)]
    false = 0
    for _ in range(calls):
        showings = {}
        for name in names:
            wins = int(draws.binomial(400, 0.9))
            buckets = Counter((draws.standard_normal(wins) * 30 + 300).round().astype(int).tolist())
            score = float(draws.random())
            showings[name] = Showing(samples=400, rate=wins / 400, score=score, trusted=True, latency=buckets)
        false += bool(reorder(names, names, showings).swaps)
    return false / calls


def main(scale: float = 1.0) -> None:
    """`scale` shortens everything alike; the bars are meant at 1."""
    for law in ("lognormal", "pareto 1.5", "two humps"):
        for seed in SEEDS:
            worst, same = merged_quantiles(seed, law)
            say("B9", law, seed=seed, worst_error=round(worst, 5), same_in_any_order=same, most_error=0.01)
    say("B11", "distance from scipy", **furthest_from_scipy(int(20_000 * scale) + 100), most=1e-12)
    say("B11", "wilson, one call", ns=round(wilson_ns(int(200_000 * scale))))
    for rate, gamma in ((0.9, 0.98), (0.7, 0.97), (0.95, 0.99), (0.6, 0.93)):
        kish, plain = coverage(rate, gamma, 1, int(40_000 * scale))
        say("B11", f"coverage at {rate}, {gamma} a day", kish=round(kish, 4), sum_of_weights=round(plain, 4),
            bar_lo=0.94, bar_hi=0.96)  # fmt: skip
    failures, runs = Detector(null=0.10), int(2_000 * scale) + 10
    say("B12", "many streams at once are the detector", agrees=agrees(failures))
    for seed in SEEDS:
        for share in (0.10, 0.08):
            found = false_alarms(failures, share, runs, seed)
            say("B12", f"false alarms in 10,000 at success {1 - share:.2f}", seed=seed, mean=round(found, 3), most=1)
        for after, most in ((0.20, 120), (0.30, 45)):
            found = median_delay(failures, 0.08, after, runs, seed)
            say("B12", f"success .92 to {1 - after:.2f}", seed=seed, median=found, most=most)
        for sigma in (0.5, 1.0, 1.5):
            exact = median_delay(Detector(null=0.05), 0.05, above_p95(3, sigma), runs, seed)
            wolf, found = costs(sigma, runs, seed, baseline=5_000)
            say("B12", f"cost, sigma {sigma}", seed=seed, false_alarms=round(wolf, 3), most_false=1,
                median_of_a_threefold=found, with_the_true_p95=exact, most=75)  # fmt: skip
    for targets in (2, 4, 8):
        say("orders", f"moved without cause, {targets} equal targets", share=swaps(targets, int(4_000 * scale) + 50, 1),
            most=0.05)  # fmt: skip


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0)
