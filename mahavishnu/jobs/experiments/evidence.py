"""Observations: what one experiment has heard, the bets on it put together, and the verdict they come to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from mahavishnu.jobs.experiments.guarding import ENOUGH, Edges, Guard, guard_of, micros_of
from mahavishnu.jobs.experiments.tracing import Trace
from mahavishnu.model.experiment import Experiment, ExperimentStatus, Guardrail, Measure
from mahavishnu.model.reading import Arm, GuardrailReading, Point, Reading
from mahavishnu.model.snapshot import Snapshot
from mahavishnu.ports import Assigned, Observation
from mahavishnu.stats.bins import edges_of
from mahavishnu.stats.evidence import quality_ppm
from mahavishnu.stats.guardrails import broken, combined
from mahavishnu.stats.ratio import RatioBet

RATIO_ALPHA = 0.01
"""How often a sound experiment may be called broken."""

_UNITS: Mapping[Measure, str] = {Measure.LATENCY: " ms", Measure.COST: " dollars"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Baselines:
    """What was there when an experiment began: everything up to the position `since`, and where by it the bins end."""

    since: int = 0
    edges: Mapping[Measure, Edges] = field(default_factory=dict)

    def kept(self) -> dict[str, Any]:
        edges = {
            measure.value: {stratum: list(each) for stratum, each in found.items()}
            for measure, found in self.edges.items()
        }
        return {"since": self.since, "edges": edges}

    @classmethod
    def resumed(cls, kept: Mapping[str, Any]) -> Baselines:
        edges = {
            Measure(measure): {stratum: tuple(each) for stratum, each in found.items()}
            for measure, found in kept["edges"].items()
        }
        return cls(since=kept["since"], edges=edges)


NO_BASELINES = Baselines()


def baselines_of(experiment: Experiment, snapshot: Snapshot, since: int) -> Baselines:
    """By all that is published of its task types, whichever target it was."""
    edges = {
        each.measure: _edges(experiment, snapshot, each.measure)
        for each in experiment.guardrails
        if not each.measure.of_rates
    }
    return Baselines(since=since, edges=edges)


def _edges(experiment: Experiment, snapshot: Snapshot, measure: Measure) -> Edges:
    counts: dict[str, dict[int, float]] = {}
    for (_, task_type), card in sorted(snapshot.scorecards.items()):
        if experiment.takes(task_type):
            mine = counts.setdefault(task_type, {})
            for bucket, count in (card.latency if measure is Measure.LATENCY else card.cost).items():
                mine[bucket] = mine.get(bucket, 0.0) + count
    known = {task_type: edges_of(each) for task_type, each in counts.items() if sum(each.values()) >= ENOUGH}
    return {task_type: edges for task_type, edges in known.items() if edges is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What an experiment has come to, and why, in words."""

    status: ExperimentStatus
    note: str


@dataclass(slots=True)
class Sums:
    """What one arm has had, in whole numbers: they add up to the same in every order."""

    assigned: int = 0
    outcomes: int = 0
    successes: int = 0
    timed: int = 0
    latency_us: int = 0
    cost_micros: int = 0
    rated: int = 0
    quality_ppm: int = 0

    def hear(self, observation: Observation) -> None:
        self.outcomes += 1
        self.successes += observation.succeeded
        self.cost_micros += micros_of(observation)
        if observation.succeeded and observation.latency_ms is not None:
            self.timed += 1
            self.latency_us += round(observation.latency_ms * 1000)
        if observation.quality is not None:
            self.rated += 1
            self.quality_ppm += quality_ppm(observation.quality)

    @property
    def arm(self) -> Arm:
        return Arm(
            assigned=self.assigned,
            outcomes=self.outcomes,
            successes=self.successes,
            success=_mean(self.successes, self.outcomes),
            latency_ms=_mean(self.latency_us / 1000, self.timed),
            cost_usd=_mean(self.cost_micros / 1e6, self.outcomes),
            quality=_mean(self.quality_ppm / 1e6, self.rated),
        )


def _mean(total: float, count: int) -> float | None:
    return total / count if count else None


class Observations:
    """Hears outcomes in the order of their commit, counts assignments in that of theirs: each unit once.

    What it comes to depends on what was heard and counted, and not on how either was divided up, nor on how far the one
    was ahead of the other. All it remembers is JSON: `resumed` goes on from `kept` as if nothing had happened.
    """

    def __init__(self, experiment: Experiment, baselines: Baselines = NO_BASELINES) -> None:
        self.experiment = experiment
        self.baselines = baselines
        self.repeated = 0
        self.unheard: list[str] = []
        """The decisions that nothing had come of when it was due. What comes later changes nothing any more."""
        self._guards: dict[Measure, Guard] = {
            each.measure: guard_of(
                each, baselines.edges.get(each.measure, {}), primary=each.measure is experiment.primary
            )
            for each in experiment.guardrails
        }
        self._ratio = RatioBet()
        self._treatment = Sums()
        self._control = Sums()
        self._trace = Trace()
        self._share = experiment.share
        # Dear to work out, and asked for more than once between two outcomes.
        self._worse: Mapping[str, float] | None = None

    # -- what comes in -------------------------------------------------------------------------------------------------

    def hear(self, observation: Observation) -> None:
        """The first outcome of a unit."""
        for guard in self._guards.values():
            guard.hear(observation)
        self._arm(observation.treated).hear(observation)
        self._share = observation.probability
        self._worse = None
        if self._trace.due(self.outcomes):
            self._trace.add(self._point(), observation.position)

    def repeat(self) -> None:
        """Another outcome of a unit of which one was heard before: it tells nothing that may be read."""
        self.repeated += 1

    def count(self, assigned: Assigned) -> None:
        """The first assignment of a unit, when its first attempt should be over."""
        self._trace.pass_by(assigned.position, self._ratio.e_value)
        self._arm(assigned.treated).assigned += 1
        if assigned.heard:
            self._ratio.add(assigned.treated, assigned.probability)
        else:
            self.unheard.append(assigned.decision_id)

    # -- what it comes to ----------------------------------------------------------------------------------------------

    @property
    def outcomes(self) -> int:
        return self._treatment.outcomes + self._control.outcomes

    def verdict(self) -> Verdict | None:
        """To be looked for after everything that comes in.

        A wrong ratio is a matter of the records, and needs no outcomes: they may be what is missing.
        """
        if self._ratio.e_value >= 1 / RATIO_ALPHA:
            return Verdict(status=ExperimentStatus.BROKEN, note=self._of_ratio())
        if self._treatment.outcomes < self.experiment.min_evidence:
            return None
        if harmed := broken(self._against(), self.experiment.alpha):
            return Verdict(status=ExperimentStatus.ROLLED_BACK, note=self._of_harm(harmed))
        if self.experiment.promote and all(each.better >= self._needed for each in self._to_be_better()):
            return Verdict(status=ExperimentStatus.PROMOTED, note=self._of_benefit())
        return None

    def reading(self) -> Reading:
        path = self._trace.path(self._point())
        return Reading(
            treatment=self._treatment.arm,
            control=self._control.arm,
            guardrails=tuple(self._read(guard) for guard in self._guards.values()),
            worse=self._all_worse,
            better=self._primary.better,
            needed=self._needed,
            ratio=self._ratio.e_value,
            ratio_needed=1 / RATIO_ALPHA,
            share=self._ratio.share,
            expected_share=self._ratio.expected,
            repeated=self.repeated,
            path=path,
        )

    # -- what is remembered --------------------------------------------------------------------------------------------

    def kept(self) -> dict[str, Any]:
        return {
            "baselines": self.baselines.kept(),
            "guards": {measure.value: guard.kept() for measure, guard in self._guards.items()},
            "ratio": self._ratio.kept(),
            "treatment": asdict(self._treatment),
            "control": asdict(self._control),
            "repeated": self.repeated,
            "unheard": list(self.unheard),
            "share": self._share,
            "trace": self._trace.kept(),
        }

    @classmethod
    def resumed(cls, experiment: Experiment, kept: Mapping[str, Any] | None) -> Observations:
        """None is kept of an experiment that has not begun."""
        if kept is None:
            return cls(experiment)
        observations = cls(experiment, Baselines.resumed(kept["baselines"]))
        for measure, guard in observations._guards.items():
            guard.resume(kept["guards"][measure.value])
        observations._ratio = RatioBet.resumed(kept["ratio"])
        observations._treatment, observations._control = Sums(**kept["treatment"]), Sums(**kept["control"])
        observations.repeated, observations.unheard, observations._share = (
            kept["repeated"],
            list(kept["unheard"]),
            kept["share"],
        )
        observations._trace = Trace.resumed(kept["trace"])
        return observations

    # -- within --------------------------------------------------------------------------------------------------------

    @property
    def _needed(self) -> float:
        return 1 / self.experiment.alpha

    @property
    def _primary(self) -> Guard:
        return self._guards[self.experiment.primary]

    @property
    def _all_worse(self) -> float:
        return combined(self._against())

    def _arm(self, treated: bool) -> Sums:
        return self._treatment if treated else self._control

    def _against(self) -> Mapping[str, float]:
        """By guardrail, the e-value against "no worse than its margin allows"."""
        if self._worse is None:
            self._worse = {measure.value: guard.worse for measure, guard in self._guards.items()}
        return self._worse

    def _to_be_better(self) -> list[Guard]:
        """Those of which a promotion must know: the primary one, and every other rate with a margin."""
        others = (
            guard
            for measure, guard in self._guards.items()
            if measure is not self.experiment.primary and measure.of_rates and guard.guardrail.margin > 0
        )
        return [self._primary, *others]

    def _point(self) -> Point:
        return Point(
            outcomes=self.outcomes,
            treated=self._treatment.outcomes,
            worse=self._all_worse,
            better=self._primary.better,
            ratio=self._ratio.e_value,
            share=self._share,
        )

    def _read(self, guard: Guard) -> GuardrailReading:
        bounds = guard.interval(self.experiment.alpha)
        return GuardrailReading(
            measure=guard.guardrail.measure,
            margin=guard.guardrail.margin,
            worse=self._against()[guard.guardrail.measure.value],
            better=guard.better,
            lo=None if bounds is None else bounds[0],
            hi=None if bounds is None else bounds[1],
        )

    # -- in words ------------------------------------------------------------------------------------------------------

    def _of_harm(self, names: tuple[str, ...]) -> str:
        told = "; ".join(self._told(self._guards[Measure(name)].guardrail) for name in names)
        return (
            f"{' and '.join(names)} got worse{_beyond(self._guards[Measure(names[0])].guardrail)}: {told}; the e-value "
            f"of all guardrails together is {self._all_worse:.3g} of {self._needed:.3g} needed"
        )

    def _of_benefit(self) -> str:
        guardrail = self._primary.guardrail
        better = "better" if guardrail.margin == 0 else f"not worse{_beyond(guardrail)}"
        return (
            f"{guardrail.measure.value} is {better}: {self._told(guardrail)}; its e-value is "
            f"{self._primary.better:.3g} of {self._needed:.3g} needed"
        )

    def _of_ratio(self) -> str:
        ratio = self._ratio
        return (
            f"of {ratio.assigned} units that were heard of {ratio.treated} had the treatment "
            f"({100 * (ratio.share or 0):.2f} %), and {100 * (ratio.expected or 0):.2f} % were to have it (e-value "
            f"{ratio.e_value:.3g} of {1 / RATIO_ALPHA:.0f} needed); records of one arm are lost, doubled or misrouted, "
            "so nothing may be read off it"
        )

    def _told(self, guardrail: Guardrail) -> str:
        """One measure in both arms, and its own e-value."""
        measure = guardrail.measure
        arms = (
            f"{_figure(measure, sums.arm)} of {_heard(measure, sums)} {name}"
            for name, sums in (("treated", self._treatment), ("control", self._control))
        )
        return f"{measure.value} {', '.join(arms)}, e-value {self._against()[measure.value]:.3g}"


def _beyond(guardrail: Guardrail) -> str:
    """By how much.

    >>> _beyond(Guardrail(measure=Measure.SUCCESS, margin=0.02)), _beyond(Guardrail(measure=Measure.COST))
    (' by more than 2 points', '')
    """
    if guardrail.margin == 0:
        return ""
    return f" by more than {100 * guardrail.margin:g} {'points' if guardrail.measure.of_rates else '%'}"


def _figure(measure: Measure, arm: Arm) -> str:
    match measure:
        case Measure.SUCCESS:
            value = arm.success
        case Measure.LATENCY:
            value = arm.latency_ms
        case Measure.COST:
            value = arm.cost_usd
        case Measure.QUALITY:
            value = arm.quality
    if value is None:
        return "nothing"
    return f"{100 * value:.2f} %" if measure is Measure.SUCCESS else f"{value:.4g}{_UNITS.get(measure, '')}"


def _heard(measure: Measure, sums: Sums) -> int:
    return {Measure.LATENCY: sums.timed, Measure.QUALITY: sums.rated}.get(measure, sums.outcomes)
