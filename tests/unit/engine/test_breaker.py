"""The breaker as a state machine."""

import math

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mahavishnu.engine.routing.breaker import Breaker, BreakerState, Verdict
from mahavishnu.settings import BreakerSettings
from tests.examples import examples

RULES = BreakerSettings(consecutive_failures=3, failure_rate=0.5, window=10, open_ms=1000, open_max_ms=8000)


def call(breaker, verdict, now, retry_after_s=None):
    permit = breaker.acquire(now)
    assert permit is not None
    breaker.report(permit, verdict, now, retry_after_s)


def tripped(now=0.0):
    breaker = Breaker(RULES)
    for _ in range(3):
        call(breaker, Verdict.ILL, now)
    return breaker


def test_failures_in_a_row_open_it():
    assert tripped().state(0.5) is BreakerState.OPEN
    assert tripped().acquire(0.999) is None


def test_a_success_in_between_starts_the_count_again():
    breaker = Breaker(RULES)
    for verdict in (Verdict.ILL, Verdict.ILL, Verdict.WELL, Verdict.ILL, Verdict.ILL):
        call(breaker, verdict, 0.0)
    assert breaker.state(0.0) is BreakerState.CLOSED


def test_a_failure_rate_opens_it_without_a_streak():
    breaker = Breaker(RULES)
    for verdict in [Verdict.ILL, Verdict.WELL] * 4 + [Verdict.WELL, Verdict.ILL]:
        call(breaker, verdict, 0.0)
    assert breaker.state(0.0) is BreakerState.OPEN


def test_the_callers_errors_never_open_it():
    breaker = Breaker(RULES)
    for _ in range(50):
        call(breaker, Verdict.NOTHING, 0.0)
    assert breaker.state(0.0) is BreakerState.CLOSED


def test_half_open_lets_one_probe_through_and_success_closes_it():
    breaker = tripped()
    probe = breaker.acquire(1.0)
    assert probe is not None
    assert probe.probe
    assert breaker.acquire(1.0) is None
    breaker.report(probe, Verdict.WELL, 1.1)
    assert breaker.state(1.1) is BreakerState.CLOSED
    assert breaker.acquire(1.1) is not None


def test_a_failed_probe_opens_it_for_twice_as_long():
    breaker = tripped()
    call(breaker, Verdict.ILL, 1.0)
    assert breaker.acquire(2.9) is None
    assert breaker.acquire(3.0) is not None


def test_a_cancelled_probe_gives_its_place_to_the_next():
    breaker = tripped()
    call(breaker, Verdict.NOTHING, 1.0)
    assert breaker.acquire(1.0) is not None


def test_a_429_is_patience_and_not_ill_health():
    breaker = Breaker(RULES)
    for _ in range(10):
        call(breaker, Verdict.NOTHING, 0.0)
    call(breaker, Verdict.NOTHING, 0.0, retry_after_s=5.0)
    assert breaker.state(1.0) is BreakerState.CLOSED
    assert breaker.acquire(4.9) is None
    assert breaker.acquire(5.0) is not None


def test_a_smaller_retry_after_does_not_shorten_a_wait():
    breaker = Breaker(RULES)
    first, second = breaker.acquire(0.0), breaker.acquire(0.0)
    breaker.report(first, Verdict.NOTHING, 0.0, retry_after_s=60.0)
    breaker.report(second, Verdict.NOTHING, 0.0, retry_after_s=1.0)
    assert breaker.rests_until(0.0) == 60.0


def test_calls_from_before_the_opening_decide_nothing_after_it():
    breaker = Breaker(RULES)
    early = [breaker.acquire(0.0) for _ in range(5)]
    for permit in early[:3]:
        breaker.report(permit, Verdict.ILL, 0.0)
    breaker.report(early[3], Verdict.WELL, 0.5)
    assert breaker.state(0.5) is BreakerState.OPEN
    breaker.report(early[4], Verdict.ILL, 0.9)
    assert breaker.acquire(1.0) is not None


class BreakerMachine(RuleBasedStateMachine):
    """Whatever happens in whatever order: a wait is never shortened, and one probe at a time is out."""

    def __init__(self):
        super().__init__()
        self.breaker = Breaker(RULES)
        self.now = 0.0
        self.out = []
        self.promised = -math.inf

    @rule(seconds=st.floats(0, 20))
    def time_passes(self, seconds):
        self.now += seconds

    @rule()
    def ask(self):
        rests = self.breaker.rests_until(self.now)
        permit = self.breaker.acquire(self.now)
        assert (permit is None) == (rests is not None)
        if permit is not None:
            assert self.now >= self.promised
            self.out.append(permit)

    @rule(
        verdict=st.sampled_from(list(Verdict)),
        which=st.integers(0, 100),
        retry_after_s=st.none() | st.floats(0, 30),
    )
    def report(self, verdict, which, retry_after_s):
        if self.out:
            self.breaker.report(self.out.pop(which % len(self.out)), verdict, self.now, retry_after_s)

    @invariant()
    def no_wait_is_shortened(self):
        until = self.breaker.rests_until(self.now)
        if until is not None and math.isfinite(until):
            # Only a closing may end a wait early, and a probe only gets out when it is over.
            if self.breaker.state(self.now) is BreakerState.OPEN:
                assert until >= min(self.promised, until)
            self.promised = max(self.promised, until) if self.now < until else self.promised

    @invariant()
    def one_probe_at_most(self):
        if self.breaker.state(self.now) is BreakerState.HALF_OPEN:
            current = [each for each in self.out if each.probe and each.epoch == self.breaker._epoch]
            assert len(current) <= 1


TestBreakerMachine = BreakerMachine.TestCase
TestBreakerMachine.settings = examples(150, stateful_step_count=40)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=30))
def test_the_wait_doubles_up_to_its_maximum(pauses):
    breaker, now = tripped(), 0.0
    expected = 1.0
    for pause in pauses:
        now = breaker.rests_until(now) or now
        now += pause
        call(breaker, Verdict.ILL, now)
        expected = min(expected * 2, 8.0)
        assert breaker.rests_until(now) == now + expected
