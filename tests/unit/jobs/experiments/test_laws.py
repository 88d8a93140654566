"""Laws of experiments: ends are final, cuts and batches change nothing, a unit counts once, places never overlap."""

import asyncio
import json
from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from mahavishnu.errors import ExperimentMoved
from mahavishnu.jobs.experiments import pause, resume, start, stop
from mahavishnu.jobs.experiments.evidence import Observations
from mahavishnu.jobs.experiments.publication import place_in
from mahavishnu.jobs.experiments.reader import Hearing, Page
from mahavishnu.model.experiment import FOLLOWING, Guardrail, Measure, Underway
from mahavishnu.ports import Assigned, Observation
from mahavishnu.stats.assignment import threshold
from tests.examples import examples
from tests.experimenting import HARM, SETTINGS, SUCCESS, Works, experiment

GUARDRAILS = (SUCCESS, Guardrail(measure=Measure.LATENCY, margin=0.1, limit=300.0), Guardrail(measure=Measure.COST))


def history(seed, count, units=None):
    """Assignments, and later their outcomes, in the order of their positions; the treatment fails more."""
    draws = Random(seed)
    events, position, waiting = [], 0, []
    while len(events) < 2 * count:
        position += 1
        if waiting and (draws.random() < 0.5 or position > 2 * count):
            assigned = waiting.pop(draws.randrange(len(waiting)))
            succeeded = draws.random() < (0.6 if assigned.treated else 0.95)
            events.append(
                Observation(
                    position=position,
                    decision_id=assigned.decision_id,
                    unit=assigned.unit,
                    treated=assigned.treated,
                    probability=assigned.probability,
                    task_type=draws.choice(("etl", "rag")),
                    target="a",
                    succeeded=succeeded,
                    latency_ms=100 * draws.lognormvariate(0, 1) if succeeded else None,
                    cost_usd=draws.choice((0.0, 0.01)),
                    quality=None,
                )
            )
            continue
        unit = None if units is None else f"{draws.randrange(units)}"
        waiting.append(
            Assigned(
                position=position,
                decision_id=f"{position}",
                unit=unit,
                treated=draws.random() < 0.5 if unit is None else int(unit) % 2 == 0,
                probability=0.5,
                heard=draws.random() < 0.99,
            )
        )
        events.append(waiting[-1])
    return events


def page(events, since=0, upto=None, since_assigned=None, upto_assigned=None):
    """Outcomes after `since` and assignments after `since_assigned`, up to where they end."""
    upto = events[-1].position if upto is None else upto
    since_assigned = since if since_assigned is None else since_assigned
    upto_assigned = upto if upto_assigned is None else upto_assigned
    return Page(
        observations=[each for each in events if isinstance(each, Observation) and since < each.position <= upto],
        assigned=[
            each for each in events if isinstance(each, Assigned) and since_assigned < each.position <= upto_assigned
        ],
        since=since,
        since_assigned=since_assigned,
        upto=upto,
        upto_assigned=upto_assigned,
        more=False,
    )


def at_once(given_experiment, events):
    observations = Observations(given_experiment)
    heard = Hearing(observations).take(page(events))
    return observations, heard


def through_json(observations):
    return Observations.resumed(observations.experiment, json.loads(json.dumps(observations.kept())))


@examples(25)
@given(st.integers(0, 10**6), st.lists(st.integers(1, 1_200), max_size=6), st.sampled_from([None, 30]))
def test_kept_and_resumed_at_any_cuts_it_comes_to_the_same_and_stops_at_the_same_place(seed, cuts, units):
    events = history(seed, 400, units)
    given_experiment = experiment(guardrails=GUARDRAILS, min_evidence=20)
    whole, heard = at_once(given_experiment, events)
    observations, units_heard, units_assigned, upto = Observations(given_experiment), set(), set(), 0
    for since, end in pairwise([0, *sorted({min(cut, events[-1].position) for cut in cuts} | {events[-1].position})]):
        observations = through_json(observations)
        part = Hearing(observations, heard=units_heard, assigned=units_assigned).take(page(events, since, end))
        units_heard |= set(part.heard)
        units_assigned |= set(part.assigned)
        upto = part.upto
        if observations.verdict() is not None:
            break
    assert upto == heard.upto
    assert observations.verdict() == whole.verdict()
    assert observations.kept() == json.loads(json.dumps(whole.kept()))
    assert observations.reading() == whole.reading()


@examples(25)
@given(st.integers(0, 10**6), st.lists(st.integers(1, 1_200), min_size=2, max_size=8))
def test_how_far_the_ratio_is_behind_the_outcomes_changes_nothing_in_the_end(seed, steps):
    events = history(seed, 300)
    end = events[-1].position
    whole = Observations(experiment(guardrails=GUARDRAILS))
    Hearing(whole).take(page(events), stop=False)
    observations = Observations(experiment(guardrails=GUARDRAILS))
    hearing = Hearing(observations)
    since = since_assigned = 0
    for step, late in zip(steps, reversed(steps), strict=True):
        upto = min(end, since + step)
        upto_assigned = max(since_assigned, min(upto, upto - late))
        hearing.take(page(events, since, upto, since_assigned, upto_assigned), stop=False)
        since, since_assigned = upto, upto_assigned
    hearing.take(page(events, since, end, since_assigned, end), stop=False)
    assert observations.kept() == whole.kept()


@examples(25)
@given(st.integers(0, 10**6), st.integers(1, 20))
def test_a_unit_counts_once_however_often_it_comes(seed, units):
    events = history(seed, 200, units)
    observations = Observations(experiment(min_evidence=10**6))
    Hearing(observations).take(page(events), stop=False)
    reading = observations.reading()
    heard = [each for each in events if isinstance(each, Observation)]
    came = {each.unit for each in heard}
    assert reading.treatment.outcomes + reading.control.outcomes == len(came)
    assert reading.treatment.assigned + reading.control.assigned == len(
        {each.unit for each in events if isinstance(each, Assigned)}
    )
    assert reading.repeated == len(heard) - len(came)
    first = [next(each for each in heard if each.unit == unit) for unit in came]
    again = Observations(observations.experiment)
    for each in sorted(first, key=lambda each: each.position):
        again.hear(each)
    assert again.kept()["guards"] == observations.kept()["guards"]


MOVES = {
    "start": lambda works: start(works.store, works.clock, SETTINGS, "e"),
    "pause": lambda works: pause(works.store, works.clock, "e"),
    "resume": lambda works: resume(works.store, works.clock, "e"),
    "stop": lambda works: stop(works.store, works.clock, "e"),
    "check": lambda works: works.check(),
    "harm": lambda works: works.run(300, **HARM),
    "wait": lambda works: works.later(),
}


@examples(30)
@given(st.lists(st.sampled_from(sorted(MOVES)), max_size=14))
def test_it_only_goes_where_it_may_and_never_leaves_an_end_and_the_snapshot_says_the_same(moves):
    asyncio.run(_followed(moves))


async def _followed(moves):
    works = await Works.opened()
    await works.draft()
    before = await works.stands()
    for move in moves:
        try:
            await MOVES[move](works)
        except ExperimentMoved:
            assert await works.stands() == before
        after = await works.stands()
        if after.status is not before.status:
            assert after.status in FOLLOWING[before.status] or not after.status.over
            assert after.status.over == (after.ended_at_us is not None)
        if before.status.over:
            assert after == before
        published = (await works.store.latest()).experiments
        assert published == ((after.underway,) if after.status.value in ("running", "paused") else ())
        before = after


@given(st.lists(st.tuples(st.floats(0.01, 1), st.integers(0, 5)), max_size=30))
def test_places_of_a_layer_never_overlap_whoever_comes_and_goes(comings):
    layer = []
    for number, (traffic, leaves) in enumerate(comings):
        if leaves < len(layer):
            del layer[leaves]
        offset = place_in(layer, traffic)
        if offset is not None:
            layer.append(Underway(experiment=experiment(f"e{number}", traffic=traffic), started_at_us=0, offset=offset))
    spans = sorted((threshold(each.offset), threshold(each.offset + each.experiment.traffic)) for each in layer)
    assert all(end <= begin for (_, end), (begin, _) in pairwise(spans))
    assert not spans or spans[-1][1] <= threshold(1.0)


def test_ten_tenths_fit_and_an_eleventh_does_not():
    layer = []
    for number in range(10):
        offset = place_in(layer, 0.1)
        layer.append(Underway(experiment=experiment(f"e{number}", traffic=0.1), started_at_us=0, offset=offset))
    assert place_in(layer, 0.1) is None
    del layer[3]
    assert place_in(layer, 0.1) is not None
