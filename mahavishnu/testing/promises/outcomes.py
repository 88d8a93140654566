"""What a store promises of outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mahavishnu.errors import (
    InvalidOutcome,
    UnknownName,
)
from mahavishnu.model import Revision, Status
from mahavishnu.testing.promises.places import (
    Opener,
    Promise,
    evidence,
    id_of,
    opened,
    raised,
    revisions,
    samples,
)


async def outcomes_end_where_the_last_one_points(opener: Opener) -> None:
    make = samples()
    async with opened(opener) as store:
        decision = make.decision()
        await store.record([decision, *make.run(decision, quality=0.5)])
        for completed, quality in ((True, None), (False, 0.25), (False, None), (None, 1.0), (True, 0.5), (None, 0.5)):
            await store.record([make.outcome(decision, completed=completed, quality=quality)])
        assert await revisions(store) == [(0, -1, 0, -250_000), (0, 0, 0, 750_000), (0, 1, 0, -500_000)]
        assert len(await store.outcomes(decision.id)) == 6


async def an_outcome_is_about_the_execution_that_succeeded_or_the_last_one_that_says_something(opener: Opener) -> None:
    make = samples()
    for statuses, about, change in (
        ("failed succeeded failed", "target-1", (0, -1)),
        ("failed timed_out refused", "target-1", (0, 0)),
        ("failed lost cancelled", "target-0", (0, 0)),
        ("cancelled lost refused", "target-1", (1, 0)),
        ("failed unsuitable cancelled", "target-1", (0, 0)),
    ):
        async with opened(opener) as store:
            decision = make.decision()
            runs = [make.run(decision, Status(s), target=f"target-{n}") for n, s in enumerate(statuses.split())]
            await store.record([decision, *(fact for run in runs for fact in run)])
            outcome = make.outcome(decision, completed=False, quality=0.5)
            await store.record([outcome])
            revision = next(f for _, f in await evidence(store) if id_of(f) == outcome.id)
            assert isinstance(revision, Revision)
            assert (revision.target, revision.task_type, revision.at_us) == (about, "etl", outcome.at_us)
            assert (revision.samples, revision.successes) == change
            assert (revision.quality_samples, revision.quality_ppm) == (1, 500_000)


async def an_outcome_of_a_decision_that_was_only_routed_is_a_sample(opener: Opener) -> None:
    make = samples()
    async with opened(opener) as store:
        routed, nothing, judged = make.decision(), make.decision(selected=None), make.decision()
        await store.record([routed, nothing, judged])
        for completed in (False, True, True):
            await store.record([make.outcome(routed, completed=completed)])
        await store.record([make.outcome(nothing, completed=False), make.outcome(judged, correct=False)])
        assert await revisions(store) == [(1, 0, 0, 0), (0, 1, 0, 0)]


async def an_outcome_needs_a_decision_that_is_over(opener: Opener) -> None:
    make = samples()
    async with opened(opener) as store:
        decision = make.decision()
        start = make.start(decision)
        outcome = make.outcome(decision, completed=True)
        unknown = await raised(UnknownName, store.record([outcome]))
        assert (unknown.kind, unknown.name) == ("decision", decision.id)
        await raised(UnknownName, store.record([replace(outcome, decision_id="no:such:decision")]))
        await store.record([decision, start])
        await raised(InvalidOutcome, store.record([outcome]))
        assert list(await store.outcomes(decision.id)) == []
        await store.record([make.end(start, Status.FAILED), outcome])
        assert await revisions(store) == [(0, 1, 0, 0)]


PROMISES: Sequence[Promise] = (
    outcomes_end_where_the_last_one_points,
    an_outcome_is_about_the_execution_that_succeeded_or_the_last_one_that_says_something,
    an_outcome_of_a_decision_that_was_only_routed_is_a_sample,
    an_outcome_needs_a_decision_that_is_over,
)
