"""Templates: what they name, what comes of them, and what is said where they cannot be meant."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mahavishnu.model.template import TemplateError, references, render, render_text

KNOWN = {
    "load": {"value": {"rows": [1, {"n": None}], "name": "Ada", "a-b": True}},
    "inputs": {"n": 3, "x": "{{ y.z }}"},
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{{ load.value }}", KNOWN["load"]["value"]),
        ("{{load.value.rows}}", [1, {"n": None}]),
        ("{{ load.value.rows.0 }}", 1),
        ("{{ load.value.rows.1.n }}", None),
        ("{{ load.value.a-b }}", True),
        ("{{ inputs.n }}", 3),
        (" {{ inputs.n }}", " 3"),
        ("{{ inputs.n }}{{ inputs.n }}", "33"),
        ("{{ load.value.name }}: {{ load.value.rows }}", 'Ada: [1, {"n": null}]'),
        ("no template at all } {", "no template at all } {"),
        ('{{ "{{" }} x }}', "{{ x }}"),
        ("", ""),
    ],
)
def test_a_template_becomes_the_value_and_in_a_longer_text_its_words(template, value):
    assert render(template, KNOWN) == value


def test_what_has_to_be_a_text_is_one_also_where_it_is_exactly_one_template():
    assert render_text("{{ inputs.n }}", KNOWN) == "3"
    assert render_text("{{ load.value.rows }}", KNOWN) == '[1, {"n": null}]'


def test_every_string_of_a_payload_is_a_template_and_no_key_is():
    payload = {"{{ inputs.n }}": ["{{ inputs.n }}", {"deep": "{{ load.value.name }}!"}], "plain": 7}
    assert render(payload, KNOWN) == {"{{ inputs.n }}": [3, {"deep": "Ada!"}], "plain": 7}
    assert [str(each) for each in references(payload)] == ["inputs.n", "load.value.name"]


def test_what_comes_in_is_never_read_as_a_template():
    assert render("{{ inputs.x }} and {{ inputs.x }}", KNOWN) == "{{ y.z }} and {{ y.z }}"


@given(JSON)
def test_any_value_passes_through_unchanged(value):
    assert render("{{ s.value }}", {"s": {"value": value}}) == value


@given(st.text())
def test_a_text_without_two_braces_is_no_template(text):
    plain = text.replace("{{", "{")
    assert list(references(plain)) == []
    assert render(plain, {}) == plain


@given(st.text("{} .ab\"'"))
def test_whatever_is_written_it_names_something_or_is_refused_and_never_does_anything_else(text):
    with suppress(TemplateError):
        named = {str(each) for each in references(text)}
        assert all(f"{{{{{each}" in text.replace(" ", "") for each in named)


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ load.value", 'opens "{{" and does not close it'),
        ("{{ load }}", "is no template"),
        ("{{ load.value | upper }}", "is no template"),
        ("{{ load.value.rows[0] }}", "is no template"),
        ("{{ 1 + 1 }}", "is no template"),
        ("{{ __import__('os') }}", "is no template"),
        ("{{ load.value.row }}", 'load.value has no "row"; did you mean "rows"?'),
        ("{{ load.value.zzz }}", 'load.value has no "zzz"; it has rows, name, a-b'),
        ("{{ load.value.rows.2 }}", 'load.value.rows is a list of 2; it has no "2"'),
        ("{{ load.value.rows.-1 }}", 'load.value.rows is a list of 2; it has no "-1"'),
        ("{{ load.value.name.0 }}", "load.value.name is Ada; it has nothing below it"),
        ("{{ load.value.__class__.x }}", 'load.value has no "__class__"'),
    ],
)
def test_what_cannot_be_meant_is_said_with_what_there_is(template, words):
    with pytest.raises(TemplateError) as raised:
        render(template, KNOWN)
    assert words in str(raised.value)
