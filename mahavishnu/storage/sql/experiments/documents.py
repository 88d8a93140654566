"""Experiments as documents, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mahavishnu.model.experiment import Change, Experiment, Guardrail, Measure, Step, Underway
from mahavishnu.model.objective import Objective

Document = Mapping[str, Any]


def experiment_document(experiment: Experiment) -> dict[str, Any]:
    """Plain JSON values; what is not there is the default.

    >>> experiment = Experiment(name="e", treatment=Change(instead=(("a", "b"),)), ramp=(Step(after_s=60, share=0.5),))
    >>> experiment_of(experiment_document(experiment)) == experiment
    True
    """
    return {
        "name": experiment.name,
        "hypothesis": experiment.hypothesis,
        "unit": experiment.unit,
        "layer": experiment.layer,
        "traffic": experiment.traffic,
        "share": experiment.share,
        "ramp": [{"after_s": step.after_s, "share": step.share} for step in experiment.ramp],
        "treatment": _change_document(experiment.treatment),
        "control": _change_document(experiment.control),
        "task_types": sorted(experiment.task_types),
        "primary": experiment.primary.value,
        "guardrails": [
            {"measure": each.measure.value, "margin": each.margin, "limit": each.limit}
            for each in experiment.guardrails
        ],
        "promote": experiment.promote,
        "alpha": experiment.alpha,
        "min_evidence": experiment.min_evidence,
        "max_days": experiment.max_days,
        "owner": experiment.owner,
        "salt": experiment.salt,
    }


def experiment_of(found: Document) -> Experiment:
    return Experiment(
        **{
            **found,
            "ramp": tuple(Step(**each) for each in found["ramp"]),
            "treatment": _change_of(found["treatment"]),
            "control": _change_of(found["control"]),
            "task_types": frozenset(found["task_types"]),
            "primary": Measure(found["primary"]),
            "guardrails": tuple(
                Guardrail(measure=Measure(each["measure"]), margin=each["margin"], limit=each["limit"])
                for each in found["guardrails"]
            ),
        }
    )


def underway_document(underway: Underway) -> dict[str, Any]:
    return {
        "experiment": experiment_document(underway.experiment),
        "started_at_us": underway.started_at_us,
        "offset": underway.offset,
        "paused": underway.paused,
    }


def underway_of(found: Document) -> Underway:
    return Underway(**{**found, "experiment": experiment_of(found["experiment"])})


def _change_document(change: Change) -> dict[str, Any]:
    return {
        "order": None if change.order is None else list(change.order),
        "policy": change.policy,
        "objective": None if change.objective is None else dict(change.objective.weights),
        "instead": [list(pair) for pair in change.instead],
    }


def _change_of(found: Document) -> Change:
    return Change(
        order=None if found["order"] is None else tuple(found["order"]),
        policy=found["policy"],
        objective=None if found["objective"] is None else Objective(**found["objective"]),
        instead=tuple((before, after) for before, after in found["instead"]),
    )
