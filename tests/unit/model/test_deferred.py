"""Rankings and decisions of which a part is worked out when it is first read."""

import copy
import pickle
from dataclasses import FrozenInstanceError, fields, replace

import pytest

from mahavishnu.model import NO_EVIDENCE, Candidate, Considered, Decision, Ranked, Ranking, Target, Task
from mahavishnu.model.experiment import Assignment

KNOWN = {
    "id": "01ARYZ6S410000000000000000",
    "at_us": 1,
    "process_id": "p",
    "task": Task(type="etl", text="x"),
    "selected": "a",
    "confidence": 0.5,
    "confidence_kind": "probability",
    "randomised": True,
    "policy": "adaptive",
    "policy_version": "1",
    "snapshot_version": 0,
    "snapshot_cursor": 0,
    "seed": 1,
    "overhead_us": 12,
}
LATER = {
    "probability": 0.25,
    "reason": "it was drawn",
    "considered": (Considered(target="a", eligible=True), Considered(target="b", eligible=True)),
    "assignments": (Assignment(experiment="e", unit=None, treated=True, probability=0.1),),
}


class Source:
    """Counts how often it is asked."""

    def __init__(self):
        self.asked = []

    def __getattr__(self, name):
        if name in LATER:
            self.asked.append(name)
            return LATER[name]
        raise AttributeError(name)


def test_nothing_is_worked_out_before_it_is_read_and_then_once():
    source = Source()
    decision = Decision.deferred(source, **KNOWN)
    assert (decision.selected, source.asked) == ("a", [])
    assert decision.probability == decision.probability == 0.25
    assert source.asked == ["probability"]
    assert decision.alternatives == ("b",)


def test_a_deferred_decision_is_in_every_way_the_one_that_was_made_at_once():
    whole = Decision(**KNOWN, **LATER)

    def fresh():
        return Decision.deferred(Source(), **KNOWN)

    assert {each.name for each in fields(Decision)} == {*KNOWN, *LATER}
    assert fresh() == whole
    assert whole == fresh()
    assert repr(fresh()) == repr(whole)
    assert pickle.loads(pickle.dumps(fresh())) == whole
    assert copy.deepcopy(fresh()) == whole
    assert replace(fresh(), selected="b") == replace(whole, selected="b")
    with pytest.raises(FrozenInstanceError):
        fresh().probability = 1.0


def test_a_name_that_there_is_not_is_an_attribute_error():
    for decision in (Decision(**KNOWN, **LATER), Decision.deferred(Source(), **KNOWN)):
        with pytest.raises(AttributeError, match="nonsense"):
            _ = decision.nonsense


def test_a_ranking_that_was_made_at_once_knows_its_order():
    pair = [Candidate(Target(name=n, adapter="local", run="m:f", task_types={"t"}), NO_EVIDENCE) for n in "ab"]
    chain = tuple(Ranked(candidate=each, probability=0.5, score=None, components={}) for each in pair)
    ranking = Ranking(chain=chain, why="so", confidence=0.0, confidence_kind="none")
    assert (ranking.first, ranking.order) == (pair[0], tuple(pair))
