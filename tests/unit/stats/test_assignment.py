"""Places by salts: uniform, without regard to one another, and many at once as one by one."""

from hypothesis import given
from hypothesis import strategies as st

from mahavishnu.stats.assignment import ALL, BITS, LANE, Thresholds, digest, multiplier, threshold

PLACES = st.integers(0, ALL)


@given(at=PLACES, salts=st.lists(st.tuples(st.text(max_size=5), st.integers(0, ALL + 1)), max_size=12))
def test_many_at_once_are_what_they_are_one_by_one(at, salts):
    numbers = [(multiplier(salt), below) for salt, below in salts]
    found = Thresholds(numbers).reached(at)
    one_by_one = [at * salt & ALL >= below for salt, below in numbers]
    assert [found >> LANE * lane + BITS & 1 for lane in range(len(numbers))] == [int(each) for each in one_by_one]
    assert found & ~Thresholds(numbers).all == 0, "nothing but those bits is set"


@given(salt=st.text(max_size=10))
def test_no_two_units_are_sent_to_one_place(salt):
    places = {at * multiplier(salt) & ALL for at in range(2_000)}
    assert len(places) == 2_000


def test_names_that_are_alike_are_spread_evenly_over_the_squares_of_two_salts():
    sides, names = 8, 40_000
    a, b = multiplier("a"), multiplier("b")
    counts = [0] * sides**2
    for number in range(names):
        at = digest(f"user-{number}") & ALL
        counts[(at * a & ALL) * sides // (ALL + 1) * sides + (at * b & ALL) * sides // (ALL + 1)] += 1
    expected = names / sides**2
    # Chi-squared with 63 degrees of freedom: above 120 once in 100,000 times.
    assert sum((count - expected) ** 2 / expected for count in counts) < 120


def test_a_text_that_is_no_proper_unicode_has_a_digest_too():
    assert digest("a\ud800") != digest("a")
    assert (threshold(0), threshold(1)) == (0, ALL + 1)
