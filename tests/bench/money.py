"""B7 and B10: spending that follows a budget, and the linear program.

B7: the real `Adaptive`, with evidence that is folded and estimated as the engine does, and a price that is worked out
again from what is left every RESOLVE tasks, as the job does it. A target whose worst case no longer fits is not asked;
where none fits the task fails. The oracle is the linear program that knows every law. Fixed weights beside it.
`python -m tests.bench.money 3` plays 3 seeds instead of 5.
"""

import json
import math
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from random import Random
from statistics import mean

import numpy as np

from mahavishnu.engine.routing.candidate_pool import Pool
from mahavishnu.model import NO_EVIDENCE, Execution, Snapshot, Status, Target, Task
from mahavishnu.planning.allocation import solve
from mahavishnu.planning.prices import prices
from mahavishnu.planning.terms import Capacity, Offer, Plan, Problem, Promise, Spending, offer
from mahavishnu.policies.adaptive import Adaptive
from mahavishnu.stats.evidence import Tally, estimate

SEEDS = 5
RESOLVE = 200
TASK = Task(type="t", text="x")
SIGMA = 0.5
WORST = math.exp(3.5 * SIGMA)
"""A run costs at most so many times its median, which is what its target's max_cost_usd would say."""

ON_SUCCESS = Adaptive(success_weight=1.0, speed_weight=0.0)


@dataclass(frozen=True)
class Arm:
    success: float
    median_usd: float

    @property
    def mean_usd(self):
        """Of a lognormal whose upper end is cut off (to its worst case)."""
        cut = math.log(WORST)
        below = 0.5 * math.erfc(-(cut / SIGMA - SIGMA) / math.sqrt(2))
        above = 0.5 * math.erfc(cut / SIGMA / math.sqrt(2))
        return self.median_usd * (math.exp(SIGMA**2 / 2) * below + WORST * above)


def arms(count=8, dear=1.0, cheap=0.01, best=0.97, worst=0.6):
    shares = [place / (count - 1) for place in range(count)]
    return [Arm(best - (best - worst) * share, dear * (cheap / dear) ** share) for share in shares]


def oracle(these, usd, tasks):
    offers = [
        Offer(task_type="t", target=str(place), success=each.success, cost_usd=each.mean_usd)
        for place, each in enumerate(these)
    ]
    return solve(Problem(offers=offers, volumes={"t": tasks}, spendings=[Spending(name="b", usd=usd)])).successes


def ended(number, succeeded, cost_usd):
    return Execution(
        id="e",
        decision_id="d",
        process_id="p",
        target="a",
        adapter="s",
        task_type="t",
        attempt=1,
        fallback=False,
        randomised=True,
        status=Status.SUCCEEDED if succeeded else Status.FAILED,
        started_at_us=number,
        ended_at_us=number + 1,
        latency_us=100_000,
        cost_micros=round(cost_usd * 1e6),
    )


def published(seen, left_usd, runs, rng):
    """What the job publishes: prices by what is known, what is left, and what is still to come."""
    known = [offer("t", str(place), each) for place, each in enumerate(seen)]
    spending = Spending(name="b", usd=max(left_usd, 0.0))
    problem = Problem(offers=[each for each in known if each], volumes={"t": runs}, spendings=[spending])
    return Snapshot(prices=prices(problem, rng))


def play(these, usd_a_task, tasks, seed, policy=ON_SUCCESS, *, priced=True):
    """The share of the budget that was spent, and of the oracle's expected successes that was reached."""
    world, rng = Random(f"world {seed}"), Random(f"policy {seed}")
    budget = left = usd_a_task * tasks
    targets = [Target(name=f"t{n}", adapter="s", run="r", task_types={"t"}, place=n) for n in range(len(these))]
    places = {each.name: place for place, each in enumerate(targets)}
    tallies, seen = [Tally() for _ in these], [NO_EVIDENCE] * len(these)
    pool, snapshot, reached = Pool(), Snapshot(), 0.0
    pool.set_up(targets, seen)
    most = [each.median_usd * WORST for each in these]
    for number in range(tasks):
        if priced and number % RESOLVE == 0:
            snapshot = published(seen, left, tasks - number, rng)
        fitting = tuple(place for place, worst in enumerate(most) if worst <= left)
        if priced and not fitting:
            continue
        candidates = pool.part(fitting) if priced else pool.everybody()
        place = places[policy.rank(TASK, candidates, snapshot, number, rng).first.target.name]
        arm = these[place]
        cost = arm.median_usd * min(math.exp(world.gauss(0.0, SIGMA)), WORST)
        left -= cost
        reached += arm.success
        tallies[place].add(ended(number, world.random() < arm.success, cost))
        seen[place] = estimate(tallies[place].card("a", "t"))
        pool.learn({place: seen[place]})
    return 1 - left / budget, reached / oracle(these, budget, tasks)


CASES = [(f"8 arms, {usd} a task", arms(), usd, 20_000) for usd in (0.04, 0.12, 0.30)]
NEIGHBOURS = [
    ("8 arms, 0.02 a task", arms(), 0.02, 20_000),
    ("8 arms, 0.60 a task", arms(), 0.60, 20_000),
    ("8 arms, 0.12 a task, 5,000 tasks", arms(), 0.12, 5_000),
    ("5 arms, 0.10 a task", arms(5), 0.10, 20_000),
    ("12 arms, 0.10 a task", arms(12), 0.10, 20_000),
    ("8 arms from 2 cents to 1/100 of a cent, 0.002 a task", arms(8, 0.02, 0.0001), 0.002, 20_000),
    ("8 arms from .99 to .80, 0.12 a task", arms(8, best=0.99, worst=0.80), 0.12, 20_000),
]
FIXED = Adaptive(success_weight=0.6, speed_weight=0.0, cost_weight=0.4, cheap_usd=0.001)


def _play(job):
    return play(*job[:-2], policy=job[-2], priced=job[-1])


def b7(pool, name, these, usd, tasks, seeds, policy=ON_SUCCESS, *, priced=True):
    jobs = [(these, usd, tasks, seed, policy, priced) for seed in range(seeds)]
    found = list(pool.map(_play, jobs))
    spent, reached = zip(*found, strict=True)
    figures = {"spent_most": round(max(spent), 4), "success_mean": round(mean(reached), 4)}
    figures |= {"success_least": round(min(reached), 4), "seeds": seeds}
    subject = "adaptive at a price" if priced else "adaptive, fixed weights (0.6 success, 0.4 cheapness)"
    must = {"spent": 1.01, "success": 0.96}
    print(json.dumps({"bar": "B7", "subject": subject, "scenario": name, **figures, "must": must}), flush=True)


def problem(types, targets, seed):
    """A day of so many task types and targets, with a budget, capacities and promised success rates."""
    rng = np.random.default_rng(seed)
    offers = [
        Offer(
            task_type=f"k{kind}",
            target=f"t{target}",
            success=float(rng.uniform(0.5, 0.99)),
            cost_usd=float(rng.lognormal(-4, 1)),
            p95_ms=float(rng.lognormal(6, 1)),
        )
        for kind in range(types)
        for target in range(targets)
    ]
    volumes = {f"k{kind}": float(rng.integers(50, 2_000)) for kind in range(types)}
    runs = sum(volumes.values())
    least = sum(
        volumes[f"k{kind}"] * min(each.cost_usd for each in offers if each.task_type == f"k{kind}")
        for kind in range(types)
    )
    return Problem(
        offers=offers,
        volumes=volumes,
        spendings=[Spending(name="total", usd=2.0 * least)],
        capacities=[Capacity(target=f"t{target}", runs=2.5 * runs / targets) for target in range(targets)],
        promises=[Promise(task_type=kind, min_success_rate=0.75, max_latency_ms=2_000.0) for kind in volumes],
    )


def b10(types, targets, seed, rounds=7):
    asked = problem(types, targets, seed)
    taken, plan = math.inf, None
    for _ in range(rounds):
        began = time.process_time()
        plan = solve(asked)
        taken = min(taken, time.process_time() - began)
    figures = {"bar": "B10", "subject": f"{types} × {targets}", "seed": seed, "ms": round(taken * 1e3, 1)}
    if isinstance(plan, Plan):
        usd = asked.spendings[0].usd
        step = 1e-5 * usd
        ends = [solve(with_budget(asked, usd + way * step)).successes for way in (-1, 1)]
        slope, price = (ends[1] - ends[0]) / (2 * step), plan.prices["total"]
        off = abs(price / slope - 1) if slope else abs(price)
        figures |= {"gap": plan.gap, "price": round(price, 4), "price_off": round(off, 6)}
    else:
        figures["why"] = str(plan)
    print(json.dumps(figures | {"must": {"ms": 25, "gap": 1e-6, "price_off": 0.01}}), flush=True)


def with_budget(asked, usd):
    return Problem(
        offers=asked.offers,
        volumes=asked.volumes,
        spendings=[Spending(name="total", usd=usd)],
        capacities=asked.capacities,
        promises=asked.promises,
    )


def main(seeds=SEEDS):
    for types, targets in ((50, 20), (10, 5), (100, 20), (50, 50)):
        for seed in (1, 2, 3):
            b10(types, targets, seed)
    with ProcessPoolExecutor() as pool:
        for name, these, usd, tasks in CASES:
            b7(pool, name, these, usd, tasks, seeds)
            b7(pool, name, these, usd, tasks, max(seeds // 2, 1), FIXED, priced=False)
        for name, these, usd, tasks in NEIGHBOURS:
            b7(pool, name, these, usd, tasks, seeds)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
