"""B6: what choosing costs while it learns, in expected successes, over many seeds.

Subjects: the real policies, driven through simulated targets; and plain Thompson sampling, which never forgets.
`python -m tests.bench.regret 20` plays 20 seeds instead of 100.
"""

import json
import sys
from concurrent.futures import ProcessPoolExecutor
from statistics import mean, quantiles

from mahavishnu.policies.adaptive import Adaptive
from mahavishnu.policies.statistical import Statistical
from mahavishnu.stats.thompson import DISCOUNT
from mahavishnu.testing.scenarios import Always, Scenario, SimulatedTarget, Step, play

SEEDS = 100
ARMS = (0.95, 0.93, 0.90, 0.88, 0.85, 0.80, 0.75, 0.60)


def scenario(name, arms=ARMS, changes=(), **options):
    """Targets with constant success rates, but for those that change: (place, from 10,000 on)."""
    laws = [Always(rate) for rate in arms]
    for place, after in changes:
        laws[place] = Step(arms[place], after, at=10_000)
    targets = [SimulatedTarget(name=f"t{place}", success=law) for place, law in enumerate(laws)]
    return Scenario(name=name, targets=targets, **options)


BAR = {
    "S": scenario("S"),
    "C": scenario("C", changes=[(0, 0.60)]),
    "R": scenario("R", changes=[(6, 0.98)]),
    "D": scenario("D", mean_delay=200),
}
MUST = {"S": 145, "C": 320, "R": 185, "D": None}

FIVE, TWELVE = (0.92, 0.90, 0.85, 0.80, 0.70), tuple(0.96 - 0.03 * place for place in range(12))
NEIGHBOURS = {
    "S, five arms": scenario("S5", FIVE),
    "C, five arms": scenario("C5", FIVE, [(0, 0.55)]),
    "R, five arms": scenario("R5", FIVE, [(4, 0.97)]),
    "S, twelve arms": scenario("S12", TWELVE),
    "C, twelve arms": scenario("C12", TWELVE, [(0, 0.60)]),
    "R, twelve arms": scenario("R12", TWELVE, [(9, 0.99)]),
    "S, a fifth of the outcomes missing": scenario("M", missing=0.2),
}


def regret(job):
    scenario, policy, discount, seed = job
    return play(scenario, policy, seed, discount).regret


def regrets(pool, scenario, policy, discount, seeds):
    return list(pool.map(regret, [(scenario, policy, discount, seed) for seed in range(seeds)], chunksize=5))


def line(subject, name, found, must=None):
    p95 = quantiles(found, n=20)[18]
    figures = {"mean": round(mean(found), 1), "p95": round(p95, 1), "p95_over_mean": round(p95 / mean(found), 2)}
    return json.dumps({"bar": "B6", "subject": subject, "scenario": name, "seeds": len(found), **figures, "must": must})


def main(seeds=SEEDS):
    with ProcessPoolExecutor() as pool:
        ours = {}
        for name, each in BAR.items():
            ours[name] = regrets(pool, each, Adaptive(), DISCOUNT, seeds)
            print(line("adaptive", name, ours[name], MUST[name]), flush=True)
        cost = mean(ours["D"]) / mean(ours["S"]) - 1
        print(json.dumps({"bar": "B6", "subject": "adaptive", "cost_of_delay": round(cost, 3), "must": 0.10}))
        for name, each in NEIGHBOURS.items():
            print(line("adaptive", name, regrets(pool, each, Adaptive(), DISCOUNT, seeds)), flush=True)
        for discount in (0.9996, 0.9999):
            for name in "SCR":
                found = regrets(pool, BAR[name], Adaptive(), discount, seeds)
                print(line(f"adaptive, discount {discount}", name, found), flush=True)
        few = max(seeds // 5, 2)
        for name in "SCR":
            print(line("plain Thompson", name, regrets(pool, BAR[name], Adaptive(), 1.0, few)), flush=True)
            print(line("statistical", name, regrets(pool, BAR[name], Statistical(), 1.0, few)), flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
