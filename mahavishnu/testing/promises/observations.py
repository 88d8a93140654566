"""What a store promises of observations: what came of the tasks that were assigned in an experiment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mahavishnu.model import Status
from mahavishnu.ports import Assigned, Observation, Store
from mahavishnu.testing.promises.places import Opener, Promise, opened, samples, two
from mahavishnu.testing.samples import ODD_TEXT

_EVER_US = 2**62


async def _observations(store: Store, experiment: str = "e", *, page: int = 100, since: int = 0) -> list[Observation]:
    """All of them, page by page."""
    found: list[Observation] = []
    while observations := await store.observations(experiment, since, page):
        assert len(observations) <= page
        found += observations
        since = found[-1].position
    return found


async def _assigned(store: Store, before_us: int = _EVER_US, *, page: int = 100, since: int = 0) -> list[Assigned]:
    """All of them, page by page."""
    found: list[Assigned] = []
    while assigned := await store.assigned("e", since, before_us, page):
        assert len(assigned) <= page
        found += assigned
        since = found[-1].position
    return found


async def an_observation_says_what_came_of_the_first_attempt(opener: Opener) -> None:
    make = samples()
    async with two(opener) as (one, other):
        good = make.assigned(unit=ODD_TEXT, treated=True, probability=1 / 3)
        bad = make.assigned()
        await one.record([good, bad])
        await one.record([make.start(good), make.end(make.start(good, target=ODD_TEXT), quality=0.25)])
        await other.record([make.end(make.start(bad), Status.FAILED)])
        first, second = await _observations(other)
        assert first == Observation(
            position=first.position,
            decision_id=good.id,
            unit=ODD_TEXT,
            treated=True,
            probability=1 / 3,
            task_type="etl",
            target=ODD_TEXT,
            succeeded=True,
            latency_ms=1.5,
            cost_usd=0.002,
            quality=0.25,
        )
        assert (second.decision_id, second.unit, second.treated, second.succeeded) == (bad.id, None, False, False)
        assert (second.latency_ms, second.cost_usd, second.quality) == (None, 0.002, None)
        assert await _observations(one) == [first, second]
        assert list(await one.observations("nothing", 0, 9)) == list(await one.observations(ODD_TEXT, 0, 9)) == []


async def what_was_not_drawn_is_no_observation(opener: Opener) -> None:
    make = samples()
    async with opened(opener) as store:
        chosen, plain, other = make.assigned(probability=None), make.decision(), make.assigned("other")
        for each in (chosen, plain, other):
            await store.record([each, *make.run(each)])
        assert await _observations(store) == []
        assert await _assigned(store) == []
        assert [each.decision_id for each in await _observations(store, "other")] == [other.id]


async def only_a_first_attempt_that_says_anything_is_an_observation(opener: Opener) -> None:
    make = samples()
    async with opened(opener) as store:
        decisions = {status: make.assigned() for status in Status if status.ended}
        for status, decision in decisions.items():
            first, second = make.start(decision), make.start(decision, target="b", attempt=2)
            fallback = replace(make.start(decision, target="c"), fallback=True)
            await store.record([decision, first, make.end(first, status), make.end(second), make.end(fallback)])
        running, nobody = make.assigned(), replace(make.assigned(), selected=None)
        await store.record([running, make.start(running), nobody])
        counting = [decision.id for status, decision in decisions.items() if status.counts_in_experiment]
        assert [each.decision_id for each in await _observations(store)] == counting
        assert len(counting) == 5
        # But it was heard of all of those, also of the one that had nobody to choose, and not of the one that runs.
        heard = {each.decision_id: each.heard for each in await _assigned(store)}
        ended = dict.fromkeys((decision.id for decision in decisions.values()), True)
        assert heard == {**ended, running.id: False, nobody.id: True}


async def observations_come_in_the_order_in_which_they_ended(opener: Opener) -> None:
    make = samples()
    async with two(opener) as (one, other):
        decisions = [make.assigned(treated=n % 2 == 0) for n in range(7)]
        starts = [make.start(each) for each in decisions]
        await one.record([*decisions, *starts])
        late = (5, 0, 3, 6, 1)
        for n in late:
            await (one, other)[n % 2].record([make.end(starts[n])])
        seen = await _observations(other)
        assert [each.decision_id for each in seen] == [decisions[n].id for n in late]
        await one.record([make.end(starts[n]) for n in (3, 4, 2, 4)])
        assert [each.decision_id for each in await _observations(one, since=seen[-1].position)] == [
            decisions[n].id for n in (4, 2)
        ]
        everything = await _observations(one)
        for page in (1, 2, 3, 7):
            assert await _observations(other, page=page) == everything
        assert list(await one.observations("e", 0, 0)) == []
        assert list(await one.observations("e", await one.newest() + 9, 5)) == []


async def what_is_recorded_twice_is_one_observation(opener: Opener) -> None:
    make = samples()
    async with two(opener) as (one, other):
        decision = make.assigned(unit="u")
        start = make.start(decision)
        end = make.end(start)
        await one.record([decision, start, end])
        once = await _observations(one), await _assigned(one)
        await one.record([decision, start, end, decision, end])
        await other.record([decision, make.end(start, Status.FAILED)])
        assert (await _observations(other), await _assigned(other)) == once
        assert len(once[0]) == len(once[1]) == 1


async def what_was_assigned_comes_up_to_a_time(opener: Opener) -> None:
    make = samples()
    async with two(opener) as (one, other):
        times = (10, 20, 30, 25, 40)
        decisions = [replace(make.assigned(unit=f"u{at_us}", treated=at_us > 20), at_us=at_us) for at_us in times]
        for each in decisions:
            await one.record([each])
        await one.record([make.end(make.start(decisions[1]), Status.REFUSED)])
        first, second = await _assigned(other, 30)
        assert second == Assigned(
            position=second.position,
            decision_id=decisions[1].id,
            unit="u20",
            treated=False,
            probability=0.1,
            heard=True,
        )
        assert (first.decision_id, first.heard) == (decisions[0].id, False)
        # A clock that was set back brings nobody forward, and loses nobody.
        assert [each.unit for each in await _assigned(other, 31)] == ["u10", "u20", "u30", "u25"]
        everything = await _assigned(one)
        assert [each.unit for each in everything] == ["u10", "u20", "u30", "u25", "u40"]
        for page in (1, 2, 5):
            assert await _assigned(other, page=page) == everything
        assert await _assigned(one, since=everything[2].position) == everything[3:]
        assert list(await one.assigned("e", 0, _EVER_US, 0)) == []


PROMISES: Sequence[Promise] = (
    an_observation_says_what_came_of_the_first_attempt,
    what_was_not_drawn_is_no_observation,
    only_a_first_attempt_that_says_anything_is_an_observation,
    observations_come_in_the_order_in_which_they_ended,
    what_is_recorded_twice_is_one_observation,
    what_was_assigned_comes_up_to_a_time,
)
