"""What an experiment leaves behind: only harm puts a target aside, and that is lifted only when asked for."""

from dataclasses import replace

import pytest

from mahavishnu.errors import UnknownName
from mahavishnu.jobs import scores
from mahavishnu.jobs.asides import release
from mahavishnu.jobs.experiments import start, stop
from mahavishnu.model.aside import Aside, AsideReason, rows_of
from mahavishnu.model.experiment import Change
from mahavishnu.storage.sql.facts.documents import snapshot_json, snapshot_of
from tests.experimenting import BENEFIT, DAY, HARM, SETTINGS, Works


@pytest.fixture
async def works():
    return await Works.opened()


async def put_aside(works):
    newest = await works.store.latest()
    return {
        task_type: {target: (aside.experiment, aside.reason.value) for target, aside in rows.items()}
        for task_type, rows in newest.put_aside.items()
    }


async def harmed(works, name="e", **fields):
    await works.begin(name, **fields)
    await works.run(1_500, name=name, **HARM)
    await works.check()


async def test_an_experiment_that_is_stopped_by_hand_leaves_what_was_there_before(works):
    before = await works.store.latest()
    await works.begin()
    await stop(works.store, works.clock, "e")
    after = await works.store.latest()
    assert after == replace(before, version=after.version, published_at_us=after.published_at_us, notes=after.notes)
    assert after.notes == ("experiment e is over (completed): stopped by hand",)


@pytest.mark.parametrize("promote", [True, False])
async def test_an_experiment_that_ran_its_time_leaves_what_was_there_before(works, promote):
    await works.begin(max_days=1, promote=promote)
    await works.run(600)
    works.clock.advance(DAY)
    (run,) = (await works.check()).ended
    assert run.status.value in ("completed", "inconclusive")
    assert await put_aside(works) == {}


async def test_an_experiment_whose_arms_are_broken_puts_no_target_aside(works):
    await works.begin()
    await works.run(3_000, lost=0.9)
    (run,) = (await works.later()).ended
    assert run.status.value == "broken"
    assert await put_aside(works) == {}


async def test_harm_puts_the_targets_of_the_treatment_aside_and_not_those_of_the_control(works):
    await harmed(works, control=Change(instead=(("a", "c"),)), task_types={"etl"})
    assert await put_aside(works) == {"etl": {"b": ("e", "harm")}}
    (run,) = await works.store.experiments()
    assert (await works.store.latest()).put_aside["etl"]["b"].since_us == run.ended_at_us


async def test_a_target_that_is_tried_again_and_stopped_stays_put_aside_for_the_harm_of_before(works):
    await harmed(works)
    await works.begin("again")
    await stop(works.store, works.clock, "again")
    assert await put_aside(works) == {"*": {"b": ("e", "harm")}}


async def test_a_promotion_replaces_and_going_back_to_before_it_undoes_that(works):
    await works.begin(promote=True)
    before = await works.store.newest_version()
    await works.run(3_000, **BENEFIT)
    await works.check()
    assert await put_aside(works) == {"*": {"a": ("e", "replaced")}}
    await scores.roll_back(works.store, works.clock, before)
    assert await put_aside(works) == {}


async def test_a_rollback_names_what_harm_has_put_aside_since_and_lifts_it_only_when_asked(works):
    await works.begin()
    with_it = await works.store.newest_version()
    await works.run(1_500, **HARM)
    await works.check()
    kept = await scores.roll_back(works.store, works.clock, with_it)
    assert await put_aside(works) == {"*": {"b": ("e", "harm")}}
    assert kept.after.notes == (
        f"back to snapshot {with_it}",
        "every task type: b stays put aside by experiment e, which found harm; --release lifts that too",
    )
    lifted = await scores.roll_back(works.store, works.clock, with_it, release=True)
    assert await put_aside(works) == {}
    assert lifted.after.notes[1:] == ("every task type: b is released (put aside by experiment e)",)


async def test_a_release_publishes_a_snapshot_without_the_target_and_what_is_not_aside_is_unknown(works):
    await harmed(works, task_types={"etl", "load"})
    published = await release(works.store, works.clock, "b", "etl")
    assert await put_aside(works) == {"load": {"b": ("e", "harm")}}
    assert published.after.notes == ("etl: b is released (put aside by experiment e)",)
    with pytest.raises(UnknownName, match='There is no target put aside "bb"; did you mean "b"'):
        await release(works.store, works.clock, "bb")
    with pytest.raises(UnknownName, match='There is no target put aside for etl "b"; mahavishnu routing aside shows'):
        await release(works.store, works.clock, "b", "etl")
    await release(works.store, works.clock, "b")
    assert await put_aside(works) == {}


async def test_what_earlier_versions_put_aside_is_read_with_its_experiment_and_no_reason(works):
    aside = Aside(experiment="e", reason=AsideReason.HARM, since_us=7)
    snapshot = replace(await works.store.latest(), version=1, put_aside={"*": {"b": aside}})
    assert snapshot_of(1, 0, 0, snapshot_json(snapshot)) == snapshot
    old = snapshot_json(snapshot).replace('{"experiment": "e", "reason": "harm", "since_us": 7}', '"e"')
    assert snapshot_of(1, 0, 0, old).put_aside == {"*": {"b": Aside(experiment="e", reason=AsideReason.UNRECORDED)}}


async def test_what_is_put_aside_is_listed_by_task_type_and_target(works):
    await harmed(works, task_types={"etl"})
    (row,) = rows_of((await works.store.latest()).put_aside)
    assert (row.target, str(row)) == ("b", "put aside by experiment e (etl)")
    await start_again(works)


async def start_again(works):
    """One that tries it again lifts nothing."""
    await works.draft("f")
    await start(works.store, works.clock, SETTINGS, "f")
    assert await put_aside(works) == {"etl": {"b": ("e", "harm")}}
