"""Facts to try a store with: ordinary ones, and some as odd as they come."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from mahavishnu.model import (
    Account,
    Considered,
    CostModel,
    Decision,
    Execution,
    Micros,
    Outcome,
    Reservation,
    Scorecard,
    Snapshot,
    Spender,
    Status,
    Target,
    Task,
    Usage,
)
from mahavishnu.model.experiment import (
    Assignment,
    Change,
    Experiment,
    ExperimentRun,
    ExperimentStatus,
    Guardrail,
    Measure,
    Step,
)
from mahavishnu.model.objective import Objective
from mahavishnu.model.queued import QueuedTask
from mahavishnu.ports import Charge, Clock

ODD_TEXT = "naïve “quotes” \" \\ 😀 \x00 \ud800 \u2028 %s ? :name '; DROP TABLE decisions; --\n\t"
"""What text columns, drivers and encodings stumble over, half a surrogate pair and a NUL among it."""

ODD_VALUE: dict[str, Any] = {
    ODD_TEXT: [None, True, 0, -1.5e-300, 2**80, {"": []}],
    "long": "x" * 1_000_000,
    "deep": [[[[[{"a": {"b": {"c": [ODD_TEXT]}}}]]]]],
}


def spender(start: Execution, **tags: str) -> Spender:
    return Spender(adapter=start.adapter, target=start.target, task_type=start.task_type, tags=tags)


class Samples:
    """Makes facts whose ids and times come from one clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def new_id(self) -> str:
        return self._clock.new_id()

    def decision(self, selected: str | None = "a", task_type: str = "etl") -> Decision:
        return Decision(
            id=self.new_id(),
            at_us=self._clock.now_us(),
            process_id="somebody",
            task=Task(type=task_type, text="load it"),
            selected=selected,
            probability=1.0 if selected else 0.0,
            confidence=0.5,
            confidence_kind="probability",
            randomised=False,
            reason="it was the first",
            considered=(Considered(target="a", eligible=selected is not None, why_not=None if selected else "asleep"),),
            policy="preference",
            policy_version="1",
            snapshot_version=0,
            snapshot_cursor=0,
            seed=1,
            overhead_us=12,
        )

    def assigned(
        self,
        experiment: str = "e",
        *,
        unit: str | None = None,
        treated: bool = False,
        probability: float | None = 0.1,
    ) -> Decision:
        """A decision that was in an experiment."""
        drawn = Assignment(experiment=experiment, unit=unit, treated=treated, probability=probability)
        return replace(self.decision(), assignments=(drawn,))

    def experiment(self, name: str = "e") -> ExperimentRun:
        """A draft."""
        experiment = Experiment(name=name, treatment=Change(policy="adaptive"), salt=self.new_id())
        return ExperimentRun(experiment=experiment, created_at_us=self._clock.now_us())

    def odd_experiment(self, name: str = "odd") -> ExperimentRun:
        """One with everything in it."""
        now_us = self._clock.now_us()
        experiment = Experiment(
            name=name,
            treatment=Change(order=("b", "a"), policy="statistical", objective=Objective(success=1 / 3, cost=7.0)),
            control=Change(instead=(("a", "b"), ("c", "d"))),
            hypothesis=ODD_TEXT,
            unit="user",
            layer="other",
            traffic=1 / 3,
            share=0.1 + 0.2,
            ramp=(Step(after_s=60.5, share=0.4), Step(after_s=3600.0, share=0.5)),
            task_types=frozenset({"etl", "rag"}),
            primary=Measure.LATENCY,
            guardrails=(
                Guardrail(measure=Measure.LATENCY, margin=0.2, limit=2000.0),
                Guardrail(measure=Measure.SUCCESS, margin=0.02),
            ),
            promote=True,
            alpha=0.01,
            min_evidence=7,
            max_days=0.5,
            owner=ODD_TEXT,
            salt=ODD_TEXT,
        )
        return ExperimentRun(
            experiment=experiment,
            status=ExperimentStatus.RUNNING,
            revision=3,
            offset=1 / 7,
            created_at_us=now_us,
            started_at_us=now_us + 1,
            checked_at_us=now_us + 2,
            ran_us=2**40,
            cursor=2**41,
            assigned_cursor=2**42,
            state={"odd": ODD_TEXT, "sums": [1 / 3, 1e-300, 2**70, None], "bets": {"etl": {"wealth": 0.1 + 0.2}}},
            note=ODD_TEXT,
        )

    def odd_decision(self) -> Decision:
        task = Task(
            type="etl",
            text=ODD_TEXT + "y" * 1_000_000,
            payload=ODD_VALUE,
            capabilities=frozenset({"sql", "python"}),
            target="a",
            exclude=frozenset({"b"}),
            max_latency_ms=10,
            deadline_ms=604_800_000,
            idempotency_key=ODD_TEXT,
            repeatable=False,
            tags={"team": ODD_TEXT},
        )
        considered = (
            Considered(
                target="a",
                eligible=True,
                probability=0.1 + 0.2,
                score=1e-17,
                components={"rate": 1 / 3, "samples": 7, "speed": None},
                note=ODD_TEXT,
            ),
            Considered(target="b", eligible=False, why_not=ODD_TEXT),
        )
        return replace(
            self.decision(), task=task, considered=considered, reason=ODD_TEXT, seed=2**100, confidence=1 / 3
        )

    def start(self, decision: Decision, process_id: str = "somebody", target: str = "a", attempt: int = 1) -> Execution:
        return Execution(
            id=self.new_id(),
            decision_id=decision.id,
            process_id=process_id,
            target=target,
            adapter="local",
            task_type=decision.task.type,
            attempt=attempt,
            fallback=attempt > 1,
            randomised=False,
            status=Status.RUNNING,
            started_at_us=self._clock.now_us(),
        )

    def end(self, start: Execution, status: Status = Status.SUCCEEDED, quality: float | None = None) -> Execution:
        succeeded = status is Status.SUCCEEDED
        return replace(
            start,
            status=status,
            ended_at_us=start.started_at_us + 1500,
            latency_us=1500,
            cost_micros=Micros(2000),
            quality=quality,
            value={"rows": 3} if succeeded else None,
            error_code=None if succeeded else "transient",
            error=None if succeeded else "the disk was full",
        )

    def odd_end(self, start: Execution) -> Execution:
        return replace(
            self.end(start, Status.FAILED, quality=1 / 3),
            fallback=True,
            randomised=True,
            cost_micros=Micros(2**60),
            usage=Usage(
                seconds=1.5,
                agent_seconds=0.1,
                queries=2,
                input_tokens=2**40,
                cached_tokens=3,
                output_tokens=1,
                estimated=True,
            ),
            price_version="d64a012e7a32",
            value=ODD_VALUE,
            error=ODD_TEXT,
            run_id=ODD_TEXT,
        )

    def run(
        self, decision: Decision, status: Status = Status.SUCCEEDED, quality: float | None = None, target: str = "a"
    ) -> list[Execution]:
        """The start and the end of one execution."""
        start = self.start(decision, target=target)
        return [start, self.end(start, status, quality)]

    def outcome(
        self,
        decision: Decision,
        *,
        completed: bool | None = None,
        quality: float | None = None,
        correct: bool | None = None,
    ) -> Outcome:
        return Outcome(
            id=self.new_id(),
            decision_id=decision.id,
            at_us=self._clock.now_us(),
            completed=completed,
            correct=correct,
            quality=quality,
        )

    def odd_outcome(self, decision: Decision) -> Outcome:
        return Outcome(
            id=self.new_id(),
            decision_id=decision.id,
            at_us=self._clock.now_us(),
            completed=False,
            correct=False,
            corrected_to=ODD_TEXT,
            quality=1 / 3,
            note=ODD_TEXT,
        )

    def snapshot(self, version: int = 1) -> Snapshot:
        card = Scorecard(
            target="a",
            task_type="etl",
            samples=2**50,
            successes=3,
            timed_out=1,
            lost=2,
            refused=3,
            cancelled=4,
            cost_micros=2**60,
            cost_samples=9,
            quality_ppm=333_333,
            quality_samples=1,
            latency={-691: 1, 0: 2, 268: 2**40},
            last_at_us=self._clock.now_us(),
        )
        cards = {("a", "etl"): card, ("b", "etl"): Scorecard(target="b", task_type="etl")}
        return Snapshot(version=version, cursor=7, published_at_us=self._clock.now_us(), scorecards=cards)

    def reservation(self, start: Execution, micros: int, **tags: str) -> Reservation:
        """What a run may cost, by a caller who knows of some budget that covers it."""
        return Reservation(
            execution_id=start.id,
            process_id=start.process_id,
            at_us=start.started_at_us,
            micros=Micros(micros),
            spender=spender(start, **tags),
            accounts=(Account(budget="some", label="total"),),
        )

    def charge(self, start: Execution, micros: int, at_us: int | None = None, **tags: str) -> Charge:
        at_us = self._clock.now_us() if at_us is None else at_us
        return Charge(execution_id=start.id, at_us=at_us, micros=Micros(micros), spender=spender(start, **tags))

    def queued(self, task: Task | None = None) -> QueuedTask:
        now_us = self._clock.now_us()
        return QueuedTask(
            id=self.new_id(),
            budget="some",
            task=task or Task(type="etl", text="load it"),
            queued_at_us=now_us,
            expires_at_us=now_us + 60_000_000,
        )

    def target(self, name: str = "a") -> Target:
        return Target(
            name=name,
            adapter="local",
            run="package.module:function",
            task_types=frozenset({"etl", "rag"}),
            capabilities=frozenset({"sql"}),
            deployment="cloud",
            cost_model=CostModel(
                per_run_usd=Decimal("0.0020"),
                per_input_token_usd=Decimal("1E-7"),
                monthly_usd=Decimal(30),
                monthly_runs=1000,
            ),
            max_concurrent=4,
            timeout_ms=900,
            enabled=False,
            place=3,
            options={"odd": ODD_TEXT, "deep": {"a": [1, None]}},
        )
