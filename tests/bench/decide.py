"""P1-P5: one decision, from candidates with current evidence to the chosen target, among 10 to 10,000.

Subjects: what the engine calls (`Chooser.choose`, admission and the handing over of the record included) and the policy
alone; each where nothing has changed since the last decision, and where an outcome came in between. The floor is the
simplest code that does the same arithmetic: one Beta draw each, the weighted sum, the largest. What the thread that
writes the record does later is a line of its own. Peers are measured where they are installed. CPU time of the thread,
because the machine may be shared; the lowest of several rounds.
"""

import gc
import itertools
import json
import random
import time
from dataclasses import replace
from random import Random

import numpy as np

from mahavishnu.engine.clock import SystemClock
from mahavishnu.engine.routing.admission import Gates
from mahavishnu.engine.routing.assignment import Assigner
from mahavishnu.engine.routing.candidate_pool import Pool
from mahavishnu.engine.routing.choice import Chooser
from mahavishnu.engine.routing.evidence import EvidenceBook
from mahavishnu.engine.routing.roster import Roster
from mahavishnu.engine.spending.spending import Purse
from mahavishnu.model import HEALTHY, NO_EVIDENCE, CostModel, Snapshot, Target, Task
from mahavishnu.policies.adaptive import Adaptive
from mahavishnu.policies.statistical import Statistical
from mahavishnu.settings import load_settings
from mahavishnu.stats.intervals import wilson
from mahavishnu.stats.scoring import Scoring
from mahavishnu.storage import open_store

SIZES = (10, 100, 1_000, 10_000)
BARS = {10: "P4", 100: "P1", 1_000: "P2", 10_000: "P5"}
MUST = {10: 2.5, 100: 3.0, 1_000: 2.5}
TASK = Task(type="bench", text="x")
ROUNDS = 15
POLICIES = {"adaptive": Adaptive(cost_weight=0.1), "statistical": Statistical()}


def evidence(rng):
    samples = rng.randrange(50, 500)
    successes = round(samples * rng.uniform(0.6, 0.99))
    lo, hi = wilson(successes, samples)
    figures = {"rate": successes / samples, "wilson_lo": lo, "wilson_hi": hi, "p50_ms": rng.uniform(50, 5000)}
    return replace(
        NO_EVIDENCE,
        samples=samples,
        effective=samples,
        successes=successes,
        p95_ms=figures["p50_ms"] * 3,
        mean_cost_micros=rng.uniform(100, 1e5),
        last_at_us=time.time_ns() // 1000,
        **figures,
    )


def targets(count):
    return [Target(name=f"t{n:05}", adapter="bench", run="x", task_types={"bench"}, place=n) for n in range(count)]


def with_one_more(seen, succeeded=True):
    return replace(seen, samples=seen.samples + 1, effective=seen.samples + 1, successes=seen.successes + succeeded)


def news(seen):
    """What comes in, one outcome at a time: (target, its estimate from then on), made beforehand, for ever."""
    made = []
    now = list(seen)
    for number in range(5_000):
        place = number * 7 % min(len(now), 64)
        now[place] = with_one_more(now[place])
        made.append((place, now[place]))
    return itertools.cycle(made)


class Book(EvidenceBook):
    """Evidence that is given: reading estimates off scorecards is not part of a decision."""

    def __init__(self, store, seen):
        super().__init__(store, Scoring())
        self._estimates.update({(f"t{place:05}", "bench"): each for place, each in enumerate(seen)})
        self._coming = news(seen)

    def learn(self):
        place, seen = next(self._coming)
        self._estimates[f"t{place:05}", "bench"] = seen
        self._news["bench"].add(f"t{place:05}")


class Adapter:
    name = "bench"
    prices = {"local": CostModel()}  # noqa: RUF012

    def __init__(self, count):
        self._targets = targets(count)

    def targets(self):
        return self._targets

    async def health(self, target):
        return HEALTHY


async def chooser(count, policy):
    clock, settings = SystemClock(), load_settings(None, {}, {})
    store = open_store("memory:", clock)
    await store.open()
    roster = Roster({}, {"bench": Adapter(count)}, {}, store, clock, settings.breaker)
    await roster.refresh()
    rng = Random(1)
    book = Book(store, [evidence(rng) for _ in range(count)])
    gates = Gates(roster, book, Purse(store, clock, "bench", 60_000))
    return Chooser(gates, book, Assigner(), POLICIES, policy, clock, "bench"), book


def us(work, budget_s=0.02):
    """Microseconds a call: the lowest of several rounds of so many calls as fit the budget."""
    work()
    began = time.thread_time()
    work()
    calls = max(1, min(2000, int(budget_s / max(time.thread_time() - began, 1e-6))))
    best = float("inf")
    gc.disable()
    for _ in range(ROUNDS):
        began = time.thread_time()
        for _ in range(calls):
            work()
        best = min(best, (time.thread_time() - began) / calls)
    gc.enable()
    return best * 1e6


def floor(count):
    """The quicker of plain Python and numpy."""
    rng = np.random.default_rng(1)
    alpha, beta = rng.uniform(30, 450, count), rng.uniform(1, 100, count)
    speed, cost = rng.uniform(0, 1, count), rng.uniform(0, 1, count)
    pairs = list(zip(alpha.tolist(), beta.tolist(), (0.3 * speed + 0.1 * cost).tolist(), strict=True))
    draw = random.Random(1).betavariate

    def vector():
        return int((0.7 * rng.beta(alpha, beta) + 0.3 * speed + 0.1 * cost).argmax())

    def plain():
        return max(range(count), key=[0.7 * draw(a, b) + rest for a, b, rest in pairs].__getitem__)

    return min(us(vector), us(plain)) if count <= 100 else us(vector)


def ranking_floor(count):
    """Deterministic, several objectives: the weighted sum and the largest."""
    rng = np.random.default_rng(1)
    success, speed, cost = rng.random((3, count))
    return us(lambda: int((0.7 * success + 0.3 * speed + 0.1 * cost).argmax()))


def line(bar, subject, count, taken, base=None, must=None):
    figures = {"bar": bar, "subject": subject, "candidates": count, "us": round(taken, 1)}
    if base is not None:
        figures |= {"floor_us": round(base, 1), "ratio": round(taken / base, 2), "must": must}
    print(json.dumps(figures), flush=True)
    return taken


async def measure_choose(count, policy, base, bar, must):
    chooses, book = await chooser(count, policy)
    line(bar, f"Chooser.choose, {policy}", count, us(lambda: chooses.choose(TASK, "id")), base, must)

    def after_an_outcome():
        book.learn()
        chooses.choose(TASK, "id")

    return line(bar, f"the same, after an outcome each, {policy}", count, us(after_an_outcome), base, must)


def measure_policy(count, base, bar, must):
    rng, policy = Random(1), POLICIES["adaptive"]
    seen = [evidence(rng) for _ in range(count)]
    pool = Pool()
    pool.set_up(targets(count), seen)
    candidates, coming = pool.everybody(), news(seen)

    def rank(these):
        return policy.rank(TASK, these, Snapshot(), 10**15, rng).first

    def after_an_outcome():
        place, estimate = next(coming)
        pool.learn({place: estimate})
        rank(pool.everybody())

    line(bar, "adaptive, the policy alone", count, us(lambda: rank(candidates)), base, must)
    line(bar, "adaptive, the policy alone, after an outcome each", count, us(after_an_outcome), base, must)
    if count in (100, 1_000):
        taken = us(lambda: candidates[int(policy.expected(candidates).argmax())])
        line("P3", "the largest expected utility", count, taken, ranking_floor(count), 5)


async def measure_record(count):
    """What the writer's thread works out."""
    chooses, book = await chooser(count, "adaptive")

    def record():
        decision = chooses.choose(TASK, "id").decision
        book.learn()
        return decision.considered

    line("-", "a decision with its whole record, adaptive", count, us(record))


async def measure(sizes=SIZES):
    grown = {}
    for count in sizes:
        base = floor(count)
        bar, must = BARS[count], MUST.get(count)
        grown[count] = await measure_choose(count, "adaptive", base, bar, must)
        measure_policy(count, base, bar, must)
        if count <= 1_000:
            await measure_record(count)
    if 10_000 in grown:
        growth = round(grown[10_000] / grown[1_000], 1)
        print(json.dumps({"bar": "P5", "subject": "Chooser.choose, t(10,000)/t(1,000)", "ratio": growth, "must": 12}))


def main():
    import asyncio

    asyncio.run(measure())


if __name__ == "__main__":
    main()
