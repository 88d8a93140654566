"""Numbers at the edge of what can be counted, and a register of the functions that have been tried with them."""

import math
import pkgutil
from functools import cached_property
from importlib import import_module
from types import FunctionType

from hypothesis import strategies as st

TINIEST, TINY, HUGE, LARGEST = 5e-324, 1e-222, 1e308, math.nextafter(math.inf, 0)
LEFT_BEHIND = (0, 0.0, -0.0, TINIEST, -TINIEST, TINY, 2.04e-222, 1e-160, -1e-17, 1e-17, 0.5, 1.0, 2.0, 1 + 2**-52, 100)
"""What sums of weighed counts come to where corrections take back all of them, or nearly."""

VAST = (2**53, 2**63 - 1, 10**30, 1e77, 1e154, 1e200, HUGE, LARGEST)

COUNTS = st.one_of(
    st.sampled_from((*LEFT_BEHIND, *VAST)), st.integers(-2, 300), st.floats(0, 1e4), st.floats(allow_nan=False)
)
"""Counts as callers may come by them; some negative, some infinite."""

ANY = st.one_of(
    st.sampled_from((math.nan, math.inf, -math.inf, *LEFT_BEHIND, *VAST)), st.floats(), st.integers(-2, 300)
)
"""Any number at all, and what is no number."""

SHARES = st.one_of(
    st.sampled_from((TINIEST, 1e-310, TINY, 1e-17, 0.05, 0.1, 0.5, 0.9, 1 - 2**-53)),
    st.floats(0, 1, exclude_min=True, exclude_max=True),
)
"""What lies between 0 and 1, without either."""

BUCKETS = st.one_of(st.integers(-800, 800), st.sampled_from((-(10**6), -691, 35_455, 35_489, 10**6, 2**63 - 1)))

HISTOGRAMS = st.dictionaries(BUCKETS, ANY, max_size=5)


def is_interval(interval, least, most, around=None):
    """Whether it is ordered, inside its range, and holds the estimate but for the last rounding."""
    lo, hi = interval
    hair = 0.0 if around is None else 4e-16 * max(1.0, abs(around))
    inside = around is None or (lo <= around + hair and hi >= around - hair)
    return least <= lo <= hi <= most and inside


def said(call):
    """What a call answers, or the sentence with which it refuses what it was handed: that says what must be."""
    try:
        return call(), ""
    except ValueError as refused:
        return None, str(refused)


class Register:
    """Which public functions and methods of a package have a test at the edge.

    A function that is added later without one is named by `missing`.
    """

    def __init__(self, package):
        self.package = import_module(package)
        self.tried = set()

    def __call__(self, *names):
        """Marks a test as the one that tries these."""
        self.tried.update(names)
        return lambda test: test

    def missing(self):
        return sorted(set(self._public()) - self.tried)

    def gone(self):
        """What is registered and is there no longer."""
        return sorted(self.tried - set(self._public()))

    def _public(self):
        for info in pkgutil.iter_modules(self.package.__path__):
            module = import_module(f"{self.package.__name__}.{info.name}")
            for name, thing in vars(module).items():
                if name.startswith("_") or getattr(thing, "__module__", "") != module.__name__:
                    continue
                if isinstance(thing, type):
                    yield from (f"{info.name}.{name}{method}" for method in _methods(thing))
                elif callable(thing):
                    yield f"{info.name}.{name}"


def _methods(kind):
    members = vars(kind)
    generated = "__dataclass_fields__" in members
    if getattr(kind, "_is_protocol", False):
        return
    if "__post_init__" in members or ("__init__" in members and not generated):
        yield ""
    for name, member in members.items():
        works = isinstance(member, FunctionType | property | classmethod | staticmethod | cached_property)
        if works and (not name.startswith("_") or (name == "__str__" and member.__module__ == kind.__module__)):
            yield f".{name}"
