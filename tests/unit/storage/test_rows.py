"""Texts and facts survive the way into a row and back."""

from hypothesis import given
from hypothesis import strategies as st

from mahavishnu.storage.sql.connection import tables
from mahavishnu.storage.sql.facts.fact_rows import (
    announcement_row,
    assignment_row,
    decision_row,
    end_row,
    escaped,
    outcome_row,
    start_row,
    unescaped,
)
from mahavishnu.testing.clock import ManualClock
from mahavishnu.testing.samples import Samples


@given(st.text(st.characters(exclude_categories=())))
def test_an_escaped_text_is_plain_ascii_and_comes_back(text):
    written = escaped(text)
    assert written.isascii()
    assert written.isprintable()
    # JSON itself joins two halves of a pair that stand side by side.
    joined = text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    assert unescaped(written) == joined


@given(st.text(st.characters(exclude_categories=())), st.text(st.characters(exclude_categories=())))
def test_different_texts_are_never_escaped_alike(one, other):
    same = one.encode("utf-16", "surrogatepass") == other.encode("utf-16", "surrogatepass")
    assert (escaped(one) == escaped(other)) is same


def test_every_row_has_a_value_for_every_column():
    make = Samples(ManualClock())
    decision = make.assigned()
    start = make.start(decision)
    rows = {
        tables.decisions: decision_row(1, decision),
        tables.assignments: assignment_row(1, decision, decision.assignments[0]),
        tables.starts: start_row(1, start),
        tables.executions: end_row(1, make.end(start)),
        tables.announcements: announcement_row(1, start.id, "run-1"),
        tables.outcomes: outcome_row(1, make.outcome(decision, completed=True), None, 1),
    }
    for table, row in rows.items():
        assert len(row) == len(table.columns), table.name
