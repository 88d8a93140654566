"""The promises about processes: memory, waiting, liveness, and what reaches a caller."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median, quantiles

from mahavishnu.testing.torture.records import Leak, Sample, Wait, Window
from mahavishnu.testing.torture.verdicts import Verdict, verdict

FEWEST_SAMPLES = 6
"""Rounds that a worker must have lived through before its growth is judged."""

MOST_GROWTH = {"rss_kb": 32_768, "descriptors": 16, "threads": 8}
"""What the last third may hold above the first. Memory may also grow by a fifth; the descriptors leave room for a pool
of connections that fills up, two for each of four connections to SQLite, twice over."""

STORE_AWAY = ("hang", "outage", "answers", "disk")
NOT_RUNNING = ("pause", "block")


def flat(samples: Sequence[Sample]) -> Verdict:
    """By each worker that lived long enough; its first sample is left out, because a process warms up."""
    problems: list[str] = []
    slopes: dict[str, list[float]] = {name: [] for name in MOST_GROWTH}
    by_worker: dict[str, list[Sample]] = {}
    for sample in samples:
        by_worker.setdefault(sample.worker, []).append(sample)
    for worker, of_worker in sorted(by_worker.items()):
        if len(of_worker) <= FEWEST_SAMPLES:
            continue
        for name, most in MOST_GROWTH.items():
            values = [float(getattr(sample, name)) for sample in of_worker[1:]]
            slopes[name].append(slope(values))
            third = len(values) // 3
            before, after = median(values[:third]), median(values[-third:])
            if after - before > most and (name != "rss_kb" or after > before * 1.2):
                problems.append(f"{worker}: {name} grew from {before:,.0f} to {after:,.0f} in {len(values)} rounds")
    figures = {f"{name}_a_round": round(max(found), 3) if found else None for name, found in slopes.items()}
    return verdict("flat", "Memory, descriptors and threads of a worker stay flat", problems, **figures)


def slope(values: Sequence[float]) -> float:
    """What a straight line through these gains from one to the next (least squares).

    >>> slope([1, 3, 5, 7])
    2.0
    """
    middle = (len(values) - 1) / 2
    mean = sum(values) / len(values)
    spread = sum((place - middle) ** 2 for place in range(len(values)))
    return sum((place - middle) * (value - mean) for place, value in enumerate(values)) / spread if spread else 0.0


def waits(found: Sequence[Wait], windows: Sequence[Window]) -> Verdict:
    """A breach is a wait of more than twice the deadline, and a second beyond it; the figures say the rest.

    Waits of a worker that was stopped, or whose loop was blocked, are left out: it could not have answered.
    """
    counted = [wait for wait in found if not _during(wait, windows, NOT_RUNNING)]
    away = [wait for wait in counted if _during(wait, windows, STORE_AWAY)]
    problems = [
        f"{wait.worker} waited {wait.waited_ms:,.0f} ms for {wait.what} ({wait.how}), deadline {wait.deadline_ms:,} ms"
        for wait in counted
        if wait.deadline_ms is not None and wait.waited_ms - wait.deadline_ms > max(1000.0, wait.deadline_ms)
    ]
    beyond = [wait.waited_ms - wait.deadline_ms for wait in counted if wait.deadline_ms is not None]
    figures = {
        **_figures("away", [wait.waited_ms for wait in away]),
        **_figures("all", [wait.waited_ms for wait in counted]),
        "most_beyond_deadline_ms": round(max(0.0, *beyond), 1) if beyond else None,
    }
    return verdict(
        "waits", "No caller waits far beyond its deadline, also while the store is away", problems, **figures
    )


def refusals(leaks: Sequence[Leak], tried: int) -> Verdict:
    problems = [f"{leak.worker}, {leak.what}: {leak.problem}" for leak in leaks]
    return verdict(
        "refusals", "Only a MahavishnuError reaches a caller, and nonsense is refused", problems, tried=tried
    )


def alive(problems: Iterable[str], probed: int) -> Verdict:
    return verdict(
        "alive", "Every worker runs tasks after the faults, and hears of those of the others", problems, probed=probed
    )


def standing(troubles: Iterable[str], workers: int) -> Verdict:
    return verdict("standing", "No worker ends or stops answering by itself", troubles, workers=workers)


def _during(wait: Wait, windows: Iterable[Window], kinds: Sequence[str]) -> bool:
    end_ns = wait.began_ns + round(wait.waited_ms * 1e6)
    return any(
        window.kind in kinds
        and window.worker in ("", wait.worker)
        and wait.began_ns <= window.to_ns
        and end_ns >= window.from_ns
        for window in windows
    )


def _figures(name: str, values: Sequence[float]) -> Mapping[str, float | None]:
    if len(values) < 2:
        only = values[0] if values else None
        return {f"{name}_p50_ms": only, f"{name}_p99_ms": only, f"{name}_max_ms": only}
    cuts = quantiles(values, n=100, method="inclusive")
    return {
        f"{name}_p50_ms": round(cuts[49], 1),
        f"{name}_p99_ms": round(cuts[98], 1),
        f"{name}_max_ms": round(max(values), 1),
    }
