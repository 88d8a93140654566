"""The real clock and its identifiers."""

import time
from concurrent.futures import ThreadPoolExecutor

from mahavishnu.engine.clock import SystemClock
from mahavishnu.model.identity import is_ulid


def test_identifiers_are_ulids_and_rise_also_from_many_threads_and_when_the_clock_steps_back(monkeypatch):
    clock = SystemClock()
    with ThreadPoolExecutor(4) as pool:
        many = [each for ids in pool.map(lambda _: [clock.new_id() for _ in range(2000)], range(4)) for each in ids]
    assert len(set(many)) == 8000
    newest = max(many)
    monkeypatch.setattr(time, "time_ns", lambda: 1_000_000_000)
    later = [clock.new_id() for _ in range(100)]
    assert later == sorted(later)
    assert later[0] > newest
    assert all(is_ulid(each) for each in [*many, *later])


def test_now_is_utc_in_microseconds():
    assert abs(SystemClock().now_us() / 1e6 - time.time()) < 5
