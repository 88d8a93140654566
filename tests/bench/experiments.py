"""B1 to B5: how often an experiment is rolled back by mistake, and how soon where it should be, beside naive methods.

`python -m tests.bench.experiments 0.1` draws a tenth of the runs; `python -m tests.bench.experiments 1 b1 b4` some bars
only. One core; whole runs at a time, which unit tests hold to the product's own arithmetic.
"""

import json
import sys
import time

import numpy as np

from mahavishnu.stats.betting import AssignmentBet
from mahavishnu.stats.bins import BREACH, LEVELS, RISE
from mahavishnu.stats.difference import DifferenceBet
from mahavishnu.stats.guardrails import Together, combined
from mahavishnu.stats.ratio import RatioBet
from tests.bench import simulations
from tests.bench.simulations import Simulation, falling, found_after, ramping, stepping

RUNS = 2_000
NEEDED = 20.0
DROP = falling(0.95, 0.80)
RAMP = ramping(0.05, 0.50)

NULLS = {
    "p .90, from 100 on": (Simulation(), 0.90, 100),
    "p .90, from 30 on": (Simulation(), 0.90, 30),
    "p .98, from 30 on": (Simulation(), 0.98, 30),
    "both fall .95 to .80": (Simulation(), DROP, 30),
    "both fall, share ramps .05 to .50": (Simulation(share=RAMP), DROP, 30),
}
NEIGHBOURS = {
    "share .05": (Simulation(share=0.05), 0.90, 30),
    "share .30": (Simulation(share=0.30), 0.90, 30),
    "p .80": (Simulation(), 0.80, 30),
    "p .99": (Simulation(), 0.99, 30),
    "share ramps .50 to .05, both fall": (Simulation(share=ramping(0.50, 0.05)), DROP, 30),
    "share ramps .50 to .05, both rise": (Simulation(share=ramping(0.50, 0.05)), falling(0.80, 0.95), 30),
    "share in steps .05 .10 .20 .50, both fall": (Simulation(share=stepping(0.05, 0.10, 0.20, 0.50)), DROP, 30),
    "share ramps, both fall steadily": (Simulation(share=RAMP), ramping(0.95, 0.80), 30),
    "outcomes 500 tasks late, share ramps, both fall": (Simulation(share=RAMP, delay=500.0), DROP, 30),
    "treated twice as late, 500 and 1,000 tasks": (Simulation(delay=500.0, slower=2.0), DROP, 30),
    "5 % missing, share ramps, both fall": (Simulation(share=RAMP, missing=0.05), DROP, 30),
}
CHEAP = {
    "z at every look": lambda treated, value, share: simulations.z_at_every_look(treated, value),
    "GrowthBook-like": lambda treated, value, share: simulations.growthbook_like(treated, value),
    "TensorZero-like": lambda treated, value, share: simulations.tensorzero_like(treated, value),
}
RULES = {
    "ours": lambda treated, value, share: simulations.success(treated, value, share) >= NEEDED,
    **CHEAP,
}


def say(bar, subject, **measured):
    print(json.dumps({"bar": bar, "subject": subject, **measured}), flush=True)


def found(simulation, control, treatment, fewest, rules, runs, seed):
    """After how many candidate outcomes each rule acts, run by run."""
    after = {name: [] for name in rules}
    for run in range(runs):
        seen = simulation.rates(np.random.default_rng([seed, run]), control, treatment)
        for name, rule in rules.items():
            after[name].append(found_after(rule(*seen), seen[0], fewest))
    return {name: np.array(counts) for name, counts in after.items()}


def share_of(counts, within=np.inf):
    return round(float(np.mean(np.isfinite(counts) & (np.array(counts) <= within))), 4)


def level(counts, q):
    value = float(np.quantile(counts, q, method="higher"))
    return value if np.isfinite(value) else None


def false_rollbacks(bar, scenarios, runs, seed, **must):
    for name, (simulation, rate, fewest) in scenarios.items():
        after = found(simulation, rate, rate, fewest, RULES, runs, seed)
        say(bar, name, runs=runs, seed=seed, false={rule: share_of(counts) for rule, counts in after.items()}, **must)


def b1(scale):
    false_rollbacks("B1", NULLS, int(RUNS * scale), 1, must=0.05)


def neighbours(scale):
    false_rollbacks("B1 neighbours", NEIGHBOURS, int(RUNS * scale), 2, must=0.05)


def b2(scale):
    runs = int(RUNS * scale)
    for after, fewest, must in ((0.85, 100, "95 % in 1,000, 330, 740"), (0.80, 30, "90, 210")):
        for seed in (1, 2, 3):
            rules = RULES if seed == 1 else {"ours": RULES["ours"]}
            counts = found(Simulation(candidates=3_000), 0.90, after, fewest, rules, runs, seed)
            for rule, each in counts.items():
                say("B2", f".90 to {after}, {rule}", runs=runs, seed=seed, within_1000=share_of(each, 1_000),
                    median=level(each, 0.5), p90=level(each, 0.9), must=must)  # fmt: skip


def b3(scale):
    runs, simulation = int(RUNS * scale), Simulation(candidates=5_000)
    for treatment in (0.90, 0.89, 0.88, 0.85):
        back, forth, outside = [], [], 0
        for run in range(runs):
            treated, value, share = simulation.rates(np.random.default_rng([3, run]), 0.90, treatment)
            worse, better = simulations.difference(treated, value, share, 0.02)
            back.append(found_after(worse >= NEEDED, treated, 100))
            forth.append(found_after(better >= NEEDED, treated, 100))
            # An end of the interval has been wrong where there was ever enough evidence against the true difference.
            low, high = simulations.difference(treated, value, share, 0.90 - treatment)
            outside += bool((low >= NEEDED).any() or (high >= NEEDED).any())
        say("B3", f"margin .02, truly {0.90 - treatment:.2f} worse", runs=runs, rolled_back=share_of(back),
            median=level(back, 0.5), promoted=share_of(forth), promoted_median=level(forth, 0.5),
            interval_ever_wrong=round(outside / runs, 4),
            must="≤ .05 at .02, ≤ .01 at .01, ≥ .99 and 1,100 at .05, promoted ≥ .90 at 0")  # fmt: skip


LAWS = {
    "lognormal .5": lambda draws, n: draws.lognormal(5.0, 0.5, n),
    "lognormal 1": lambda draws, n: draws.lognormal(5.0, 1.0, n),
    "Pareto 1.5": lambda draws, n: 20.0 * (1 + draws.pareto(1.5, n)),
}
HARMS = {
    "×1.2": lambda draws, values: values * 1.2,
    "×1.5": lambda draws, values: values * 1.5,
    "5 % ×10": lambda draws, values: np.where(draws.random(len(values)) < 0.05, values * 10, values),
}

MUST = {"×1.2": "median 320", "×1.5": "p90 135", "5 % ×10": "median 500"}


def binned(draws, simulation, law, harm=None, game=RISE, baseline=2_000):
    """Treated and e-value of one run, whose edges come from a baseline of its own."""
    usual = np.sort(law(draws, baseline))
    edges = usual[np.ceil(np.array(LEVELS) * baseline).astype(int) - 1]
    harmed = law if harm is None else lambda draws, n: harm(draws, law(draws, n))
    treated, value, share = simulation.values(draws, law, harmed)
    category = value > edges[3] if game is BREACH else np.searchsorted(edges, value)
    return treated, simulations.assignment(treated, category, share, game)


def binned_counts(simulation, law, harm, runs, seed, game=RISE):
    counts = []
    for run in range(runs):
        treated, e = binned(np.random.default_rng([seed, run]), simulation, law, harm, game)
        counts.append(found_after(e >= NEEDED, treated, 30))
    return counts


def b4(scale):
    runs = int(RUNS * scale)
    drifting = {"steady": Simulation(), "share ramps .05 to .50": Simulation(share=RAMP)}
    for seed, (law, draw) in enumerate(LAWS.items(), 40):
        for name, simulation in drifting.items():
            for game, subject in ((RISE, "six bins"), (BREACH, "breaches of the p95")):
                counts = binned_counts(simulation, draw, None, runs, seed, game)
                say("B4", f"{law}, {name}, {subject}", runs=runs, false=share_of(counts), must=0.05)
        for harm, change in HARMS.items():
            for game, subject in ((RISE, "six bins"), (BREACH, "breaches of the p95")):
                counts = binned_counts(Simulation(candidates=3_000), draw, change, runs // 2, seed, game)
                must = MUST[harm] if game is RISE else None
                say("B4", f"{law}, {harm}, {subject}", runs=runs // 2, found=share_of(counts),
                    median=level(counts, 0.5), p90=level(counts, 0.9), must=must)  # fmt: skip


def b5(scale):
    runs = int(RUNS * scale)
    for name, share in (("share .10", 0.10), ("share ramps .05 to .50", RAMP)):
        wrong = every = 0
        for run in range(runs):
            treated, π, _, _ = Simulation(share=share).arms(np.random.default_rng([5, run]))
            e = simulations.sample_ratio(treated, π)
            wrong += bool((e[:: len(e) // 500] >= 100).any())
            every += bool((e >= 100).any())
        say(
            "B5",
            f"sound, {name}",
            runs=runs,
            false_in_500_looks=wrong / runs,
            false_at_every_task=every / runs,
            must=0.01,
        )
    for subject, actual in ((".12 instead of .10", 0.12), ("a fifth of the treated lost", 0.08 / 0.98)):
        tasks = []
        for run in range(runs):
            treated = np.random.default_rng([6, run]).random(12_000) < actual
            hit = simulations.sample_ratio(treated, np.full(len(treated), 0.10)) >= 100
            tasks.append(float(hit.argmax() + 1) if hit.any() else np.inf)
        say(
            "B5", subject, runs=runs, found=share_of(tasks), median=level(tasks, 0.5), p90=level(tasks, 0.9), must=3_000
        )


def units(scale):
    """Sticky units: many outcomes of one user share one assignment, and users differ. What that does, and the mend."""
    runs, tasks_each = int(RUNS * scale), 20
    every, first = [], []
    for run in range(runs):
        draws = np.random.default_rng([7, run])
        users, tasks = 2_500, 50_000
        who = draws.integers(0, users, tasks)
        treated = (draws.random(users) < 0.1)[who]
        succeeded = draws.random(tasks) < draws.beta(9 / 2, 1 / 2, users)[who]
        share = np.full(tasks, 0.1)
        every.append(found_after(simulations.success(treated, succeeded, share) >= NEEDED, treated, 30))
        news = np.sort(np.unique(who, return_index=True)[1])
        seen = treated[news], succeeded[news], share[news]
        first.append(found_after(simulations.success(*seen) >= NEEDED, seen[0], 30))
    say("units", f"{tasks_each} outcomes a user, users differ", runs=runs, false_every_outcome=share_of(every),
        false_first_of_each_user=share_of(first), must=0.05)  # fmt: skip


def late(scale):
    """Harm that begins when 2,500 candidate outcomes have come without any: what was lost by then must be won back."""
    runs = int(RUNS * scale)
    counts = found(Simulation(candidates=5_000), 0.90, falling(0.90, 0.80), 30, {"ours": RULES["ours"]}, runs, 10)[
        "ours"
    ]
    after = counts[counts > 2_500] - 2_500
    say("late", ".90 to .80 half way", runs=runs, before_it=share_of(counts, 2_500), found=share_of(after),
        median=level(after, 0.5), p90=level(after, 0.9))  # fmt: skip


def guardrails(scale):
    """Success, latency and cost together at alpha, of which latency is harmed or not."""
    runs = int(RUNS * scale) // 2
    law = LAWS["lognormal 1"]
    for name, harm in (("nothing worse", None), ("latency ×1.2", HARMS["×1.2"])):
        counts = {together: [] for together in Together}
        for run in range(runs):
            draws = np.random.default_rng([8, run])
            simulation = Simulation(candidates=3_000)
            treated, share, way, _ = simulation.arms(draws)
            latency, cost, usual = (np.log(law(draws, len(way))) for _ in range(3))
            if harm is not None:
                latency = np.where(treated, latency + np.log(1.2), latency)
            edges = np.quantile(usual, LEVELS)
            evidence = np.array([
                simulations.success(treated, draws.random(len(way)) < 0.9, share),
                *(
                    simulations.assignment(treated, np.searchsorted(edges, values), share, RISE)
                    for values in (latency, cost)
                ),
            ])  # fmt: skip
            counts[Together.MEAN].append(found_after(evidence.mean(axis=0) >= NEEDED, treated, 100))
            counts[Together.BONFERRONI].append(found_after(evidence.max(axis=0) / 3 >= NEEDED, treated, 100))
            assert np.isclose(combined(dict(zip("abc", evidence[:, -1], strict=True))), evidence[:, -1].mean())
        for together, each in counts.items():
            say("guardrails", f"{name}, {together}", runs=runs, acted=share_of(each), median=level(each, 0.5))


def speed(scale):
    """What adding one outcome costs, in CPU time."""
    draws = np.random.default_rng(9)
    treated, value, share = (each.tolist() for each in Simulation(candidates=2_000).rates(draws, 0.9, 0.9))
    subjects = {
        "assignment bet on success": (AssignmentBet(), lambda bet, t, y, π: bet.add(t, int(y), π)),
        "assignment bet on six bins": (AssignmentBet(RISE), lambda bet, t, y, π: bet.add(t, 4 * int(y), π, "t")),
        "difference, with its interval": (DifferenceBet(), lambda bet, t, y, π: bet.add(t, float(y), π)),
        "sample ratio": (RatioBet(), lambda bet, t, y, π: bet.add(t, π)),
    }
    for name, (bet, add) in subjects.items():
        began = time.process_time()
        for each in zip(treated, value, share, strict=True):
            add(bet, *each)
        us = (time.process_time() - began) / len(treated) * 1e6
        say("speed", name, us_an_outcome=round(us, 2), bytes_kept=len(json.dumps(bet.kept())))


PARTS = {each.__name__: each for each in (b1, neighbours, b2, b3, b4, b5, units, late, guardrails, speed)}


def main(scale=1.0, parts=tuple(PARTS)):
    for part in parts:
        PARTS[part](scale)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0, tuple(sys.argv[2:]) or tuple(PARTS))
