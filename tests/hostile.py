"""Values that a careless or hostile caller may hand in."""

import math
from collections import OrderedDict, defaultdict
from collections.abc import Mapping
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from types import MappingProxyType

from hypothesis import strategies as st


class Unreadable:
    """Raises whatever is asked of it."""

    def __repr__(self):
        raise RuntimeError("no repr")

    __str__ = __bool__ = __len__ = __iter__ = __hash__ = __eq__ = __repr__


class Disguised:
    """Claims to be text, and is none."""

    __class__ = str


class Lying:
    """Cannot be asked what it is."""

    @property
    def __class__(self):
        raise ZeroDivisionError


class OddText(str):
    __slots__ = ()

    def __eq__(self, other):
        return True

    def __hash__(self):
        return 1

    def __str__(self):
        return "another"

    __repr__ = __str__


class OddNumber(int):
    def __le__(self, other):
        return True

    __ge__ = __lt__ = __gt__ = __le__


class OddFloat(float):
    def __le__(self, other):
        return True

    __ge__ = __lt__ = __gt__ = __le__


class OddTable(dict):
    def items(self):
        raise RuntimeError("no items")

    def __iter__(self):
        raise RuntimeError("no keys")


class OddMapping(Mapping):
    def __getitem__(self, key):
        raise RuntimeError("no value")

    def __len__(self):
        return 3

    def __iter__(self):
        return iter((1, 2, 3))


class Number(IntEnum):
    ONE = 1


def endless():
    while True:
        yield "x"


def broken():
    yield "x"
    raise RuntimeError("no more")


def deep(depth, leaf=1):
    value = leaf
    for _ in range(depth):
        value = {"a": [value]} if depth % 2 else [value]
    return value


def circle():
    ring = {}
    ring["ring"] = [ring]
    return ring


ODD = (
    object(),
    Unreadable(),
    Disguised(),
    Lying(),
    ValueError("x"),
    b"bytes",
    bytearray(b"x"),
    object,
    len,
    ...,
    OddText("etl"),
    OddText("a b"),
    OddNumber(7),
    OddNumber(2**70),
    OddFloat("nan"),
    OddFloat(0.5),
    Number.ONE,
    True,
    False,
    0,
    -1,
    1,
    1.5,
    2**63 - 1,
    2**63,
    -(2**64),
    10**400,
    10**5000,
    math.nan,
    math.inf,
    -math.inf,
    -0.0,
    5e-324,
    1.7e308,
    1 + 2j,
    Fraction(1, 3),
    Decimal("0.5"),
    Decimal(-1),
    Decimal("NaN"),
    Decimal("sNaN"),
    Decimal("Infinity"),
    Decimal("1E-999999"),
    Decimal("1E+999999"),
    "",
    " ",
    "etl",
    "two words",
    "x" * 300,
    "\x00",
    "\ud800",
    "\ud83d\ude00",
    "\udc00\ud800",
    "😀",
    "a\nb",
    "NaN",
    "1e400",
    "{{ inputs.x }}",
    "{{ {{",
    (),
    [],
    {},
    set(),
    frozenset(),
    ["search"],
    [["search"]],
    ("a", 5),
    {"a", 5},
    {1: "a"},
    {1: "a", "1": "b"},
    {None: 1},
    {"a": object()},
    {"a": {1, 2}},
    {"a": b"x"},
    {"a": math.nan},
    {"a": 10**5000},
    {math.inf: 1},
    {"a": ("b", 1)},
    {"a": "\ud83d\ude00"},
    {"\ud83d\ude00": 1, "😀": 2},
    {"team": "search"},
    {OddText("a"): OddText("b")},
    {"a": Number.ONE, "b": True},
    OddTable(a=1),
    OddMapping(),
    MappingProxyType({"a": "b"}),
    defaultdict(list, a="b"),
    OrderedDict(a="b"),
    {"success": 1},
    {"success": math.nan},
    {"success": 10**400},
    {"success": "much"},
    {5: 1},
    {"a": circle()},
    circle(),
    {"a": deep(99)},
    {"a": deep(101)},
    {"a": deep(5000)},
    deep(100_000),
)

MADE_ANEW = (endless, broken, lambda: iter(()), lambda: iter([object()]))
"""What can be read only once."""


def values():
    """One hostile value, or a plain one where a hostile one may be expected."""
    return st.one_of(
        # By their index: Hypothesis hashes what it samples from.
        st.integers(0, len(ODD) - 1).map(ODD.__getitem__),
        st.sampled_from(MADE_ANEW).map(lambda make: make()),
        st.integers(),
        st.floats(),
        st.text(st.characters(), max_size=5),
        st.decimals(allow_nan=True),
        st.recursive(
            st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters(), max_size=3)),
            lambda inner: st.one_of(
                st.lists(inner, max_size=3), st.dictionaries(st.one_of(st.text(max_size=3), st.integers()), inner)
            ),
            max_leaves=5,
        ),
    )


def fields(names, most=2):
    """Some of these fields, each with a hostile value."""
    return st.dictionaries(st.sampled_from(sorted(names)), values(), min_size=1, max_size=most)
