"""What the gate keeps from one decision to the next, and that it notices whatever changes in between."""

from dataclasses import dataclass, field

import pytest

from mahavishnu.engine.routing.admission import Gate, Gates
from mahavishnu.engine.routing.assignment import Assigner
from mahavishnu.engine.routing.breaker import Verdict
from mahavishnu.engine.routing.choice import Chooser
from mahavishnu.engine.routing.evidence import EvidenceBook
from mahavishnu.engine.routing.roster import Roster
from mahavishnu.engine.spending.spending import Purse
from mahavishnu.model import Health, HealthStatus, Status, Target, Task
from mahavishnu.policies.adaptive import Adaptive
from mahavishnu.settings import load_settings
from mahavishnu.stats.scoring import Scoring
from mahavishnu.storage import open_store
from mahavishnu.testing.clock import ManualClock
from mahavishnu.testing.samples import Samples
from tests.unit.engine.scripted import ScriptedAdapter, fine

SETTINGS = load_settings(None, {}, {"breaker": {"consecutive_failures": 2, "open_ms": 1000}})


@dataclass
class House:
    """A roster and a book over a memory store, with a gate before them."""

    clock: ManualClock
    adapter: ScriptedAdapter
    store: object
    roster: Roster
    book: EvidenceBook
    gate: Gate = field(init=False)
    purse: Purse = field(init=False)

    def __post_init__(self):
        self.purse = Purse(self.store, self.clock, "p", 60_000)
        self.gate = Gate("t", self.roster, self.book, self.purse)

    def admitted(self, **asked):
        admission = self.gate.admit(Task(type="t", text="x", **asked), self.clock.monotonic_s())
        return [each.target.name for each in admission.candidates], admission

    def names(self, **asked):
        return self.admitted(**asked)[0]

    def report(self, name, verdict, retry_after_s=None):
        breaker = self.roster.breaker(name)
        permit = breaker.acquire(self.clock.monotonic_s())
        self.roster.report(breaker, permit, verdict, retry_after_s)


@pytest.fixture
async def house():
    clock = ManualClock()
    store = open_store("memory:", clock)
    await store.open()
    adapter = ScriptedAdapter(a=fine, b=fine, c=fine)
    roster = Roster({}, {adapter.name: adapter}, {}, store, clock, SETTINGS.breaker)
    await roster.refresh()
    book = EvidenceBook(store, Scoring())
    await book.load()
    yield House(clock, adapter, store, roster, book)
    await store.close()


def test_nothing_changed_nothing_is_worked_out_again(house):
    (_, first), (_, again) = house.admitted(), house.admitted()
    assert first.candidates is again.candidates


async def test_what_is_switched_off_is_out_and_on_again_is_in(house):
    assert house.names() == ["a", "b", "c"]
    await house.roster.switch("b", enabled=False)
    names, admission = house.admitted()
    assert names == ["a", "c"]
    assert "disabled" in admission.why_not["b"]
    await house.roster.switch("b", enabled=True)
    assert house.names() == ["a", "b", "c"]


async def test_health_is_followed(house):
    house.names()
    house.adapter.healths["c"] = Health(HealthStatus.UNREACHABLE, "no answer")
    await house.roster.check(fresh=True)
    names, admission = house.admitted()
    assert (names, admission.why_not) == (["a", "b"], {"c": "unreachable: no answer"})
    house.adapter.healths.clear()
    await house.roster.check(fresh=True)
    assert house.names() == ["a", "b", "c"]


def test_a_breaker_that_opens_half_opens_and_closes_is_followed(house):
    house.names()
    for _ in range(2):
        house.report("a", Verdict.ILL)
    names, admission = house.admitted()
    assert names == ["b", "c"]
    assert admission.next_at == pytest.approx(1.0)
    house.clock.advance(1.5)
    assert house.names() == ["a", "b", "c"]
    breaker = house.roster.breaker("a")
    probe = breaker.acquire(house.clock.monotonic_s())
    assert house.names() == ["b", "c"]
    house.roster.report(breaker, probe, Verdict.WELL)
    assert house.names() == ["a", "b", "c"]


def test_patience_that_was_asked_for_is_kept_and_ends_by_itself(house):
    house.names()
    house.report("b", Verdict.NOTHING, retry_after_s=2.0)
    assert house.names() == ["a", "c"]
    house.clock.advance(2.5)
    (names, first), (_, again) = house.admitted(), house.admitted()
    assert names == ["a", "b", "c"]
    assert first.candidates is again.candidates


async def test_targets_that_come_and_go_are_followed(house):
    house.names()
    await house.roster.add(Target(name="d", adapter="scripted", run="d", task_types={"t"}))
    assert house.names() == ["a", "b", "c", "d"]
    await house.roster.remove("d")
    assert house.names() == ["a", "b", "c"]


async def test_new_evidence_reaches_the_candidates_and_leaves_earlier_ones_as_they_were(house):
    samples = Samples(house.clock)
    _, before = house.admitted()
    decision = samples.decision(task_type="t")
    start, end = samples.run(decision, status=Status.SUCCEEDED, target="b")
    position = await house.store.record([decision, start, end])
    house.book.fold(end, position)
    _, after = house.admitted()
    assert [each.estimate.samples for each in after.candidates] == [0, 1, 0]
    assert [each.estimate.samples for each in before.candidates] == [0, 0, 0]
    assert list(after.candidates.successes) == [0, 1, 0]


async def test_what_a_task_asks_for_is_asked_of_everybody(house):
    assert house.names(exclude={"a"}) == ["b", "c"]
    assert house.names(target="c") == ["c"]
    assert house.names(capabilities={"can_cancel_workflows"}) == ["a", "b", "c"]
    names, admission = house.admitted(capabilities={"fly"})
    assert (names, admission.why_not["a"]) == ([], "cannot fly")
    await house.roster.add(Target(name="other", adapter="scripted", run="o", task_types={"u"}))
    names, admission = house.admitted(target="other")
    assert (names, admission.why_not["other"]) == ([], 'does not take "t" (it takes u)')


def test_the_chain_and_the_record_of_a_choice_agree(house):
    gates = Gates(house.roster, house.book, house.purse)
    chooser = Chooser(gates, house.book, Assigner(), {"adaptive": Adaptive()}, "adaptive", house.clock, "p")
    choice = chooser.choose(Task(type="t", text="x"), "id", seed=5)
    assert choice.chain[0].candidate.target.name == choice.decision.selected
    assert [each.candidate.target.name for each in choice.chain] == [each.target for each in choice.decision.considered]
    assert [each.probability for each in choice.chain] == [each.probability for each in choice.decision.considered]
    assert len(choice.chain[:2]) == 2
    assert choice.decision.probability == pytest.approx(1 / 3)
    assert choice.decision.reason == f"Chose {choice.decision.selected}: no evidence yet; drawn with probability 33 %"
    assert chooser.choose(Task(type="t", text="x"), "id", seed=5).decision.considered == choice.decision.considered
