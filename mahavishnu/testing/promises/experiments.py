"""What a store promises of experiments, and of how they stand."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from mahavishnu.errors import ExperimentExists
from mahavishnu.model.experiment import ExperimentRun, ExperimentStatus
from mahavishnu.ports import Stage
from mahavishnu.testing.promises.places import Opener, Promise, raised, samples, two
from mahavishnu.testing.samples import ODD_TEXT


def _after(before: ExperimentRun, note: str = "") -> ExperimentRun:
    return replace(before, revision=before.revision + 1, note=note)


async def an_experiment_comes_back_exactly(opener: Opener) -> None:
    make = samples()
    async with two(opener) as (one, other):
        plain, odd = make.experiment(), replace(make.odd_experiment(), created_at_us=2**60)
        for each in (plain, odd):
            await one.create_experiment(each)
            assert await other.experiment(each.name) == each
        assert list(await other.experiments()) == [odd, plain]
        for name in ("nothing", ODD_TEXT):
            assert await other.experiment(name) is None


async def a_name_is_never_used_twice(opener: Opener) -> None:
    make = samples()
    async with two(opener) as (one, other):
        first = make.experiment()
        await one.create_experiment(first)
        assert (await raised(ExperimentExists, other.create_experiment(make.experiment()))).status == "draft"
        over = replace(_after(first), status=ExperimentStatus.BROKEN, ended_at_us=7)
        assert await other.move_experiment(first, over)
        assert (await raised(ExperimentExists, one.create_experiment(make.experiment()))).status == "broken"
        assert list(await one.experiments()) == [over]


async def an_experiment_moves_with_everything_that_was_worked_out(opener: Opener) -> None:
    make = samples()
    async with two(opener) as (one, other):
        before = make.experiment()
        odd = make.odd_experiment(before.name)
        after = replace(odd, experiment=before.experiment, created_at_us=before.created_at_us, revision=1)
        await one.create_experiment(before)
        assert await one.move_experiment(before, after)
        assert await other.experiment(before.name) == after
        assert not await other.move_experiment(make.experiment("nothing"), _after(make.experiment("nothing")))


async def of_two_that_move_it_from_the_same_place_one_does(opener: Opener) -> None:
    make = samples()
    async with two(opener) as (one, other):
        before = make.experiment()
        await one.create_experiment(before)
        noted: set[str] = set()
        for turn in range(2):
            rivals = [_after(before, f"{turn}-{n}") for n in range(6)]
            moved = await asyncio.gather(
                *(
                    (one, other)[n % 2].move_experiment(before, each, heard=[each.note], assigned=[each.note])
                    for n, each in enumerate(rivals)
                )
            )
            assert sorted(moved) == [False] * 5 + [True]
            before = rivals[moved.index(True)]
            assert await other.experiment(before.name) == before
            noted.add(before.note)
        every = [f"{turn}-{n}" for turn in range(2) for n in range(6)]
        for stage in Stage:
            assert await one.counted_units(before.name, stage, every) == noted


async def units_are_noted_once_and_found(opener: Opener) -> None:
    make = samples()
    async with two(opener) as (one, other):
        before = make.experiment()
        await one.create_experiment(before)
        many = [f"user-{n}" for n in range(1200)]
        after = _after(before)
        assert await one.move_experiment(before, after, heard=[*many[:900], ODD_TEXT, "", ODD_TEXT], assigned=many[:3])
        assert await one.move_experiment(after, _after(after), heard=many[500:1000])
        asked = [*many, ODD_TEXT, "", "nobody"]
        assert await other.counted_units("e", Stage.HEARD, asked) == {*many[:1000], ODD_TEXT, ""}
        assert await other.counted_units("e", Stage.ASSIGNED, asked) == set(many[:3])
        assert await other.counted_units("another", Stage.HEARD, asked) == frozenset()
        assert await other.counted_units("e", Stage.HEARD, []) == frozenset()


async def decisions_bring_what_they_were_in_experiments(opener: Opener) -> None:
    make = samples()
    async with two(opener) as (one, other):
        (first,) = make.assigned("one", unit=ODD_TEXT, treated=True, probability=1 / 3).assignments
        (second,) = make.assigned("a:b", unit=None, probability=None).assignments
        both = replace(make.odd_decision(), assignments=(first, second))
        plain, alone = make.decision(), make.assigned("one", unit="")
        await one.record([both, plain, alone])
        await other.record([alone, both, both, plain])
        for each in (both, plain, alone):
            assert await other.decision(each.id) == each
        assert list(await other.decisions(9)) == [alone, plain, both]
        assert list(await other.decisions(1)) == [alone]
        assert list(await other.decisions(9, "rag")) == []
        assert await one.newest() >= 6


PROMISES: Sequence[Promise] = (
    an_experiment_comes_back_exactly,
    a_name_is_never_used_twice,
    an_experiment_moves_with_everything_that_was_worked_out,
    of_two_that_move_it_from_the_same_place_one_does,
    units_are_noted_once_and_found,
    decisions_bring_what_they_were_in_experiments,
)
