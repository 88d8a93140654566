"""Which known name a word is taken for a slip of."""

import pytest

from mahavishnu.errors import nearest_name

ADAPTERS = ["agno", "llamaindex", "local", "openai", "prefect"]


@pytest.mark.parametrize(
    ("word", "known", "expected"),
    [
        ("nope", ADAPTERS, None),
        ("opneai", ADAPTERS, "openai"),
        ("Prefect", ADAPTERS, "prefect"),
        ("fnd", ["fnd"], None),
        ("fnd", ["fnd", "find"], "find"),
        ("sumarise", ["etl", "summarise"], "summarise"),
        ("recalc", ["recalculate", "retain"], "recalculate"),
        ("policies", ["order", "policy"], "policy"),
        ("b", ["a"], None),
        ("", ["a"], None),
        ("x", [], None),
    ],
)
def test_a_name_is_offered_only_where_the_word_can_be_a_slip_of_it(word, known, expected):
    assert nearest_name(word, known) == expected
