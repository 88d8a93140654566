"""Outcomes: what they may say."""

import pytest

from mahavishnu.errors import InvalidOutcome
from mahavishnu.model import Outcome


def outcome(**said):
    return Outcome(id="O", decision_id="D", at_us=0, **said)


def test_silence_is_not_success():
    assert outcome(quality=0.5).completed is None
    assert outcome(completed=True).correct is None
    with pytest.raises(InvalidOutcome, match="says nothing"):
        outcome(note="just a note")


@pytest.mark.parametrize("quality", [-0.1, 1.1, float("nan"), float("inf")])
def test_quality_lies_between_0_and_1(quality):
    with pytest.raises(InvalidOutcome, match="between 0 and 1"):
        outcome(quality=quality)


def test_right_and_corrected_at_once_is_a_contradiction():
    with pytest.raises(InvalidOutcome, match="corrects the target"):
        outcome(correct=True, corrected_to="b")
    assert outcome(correct=False, corrected_to="b").corrected_to == "b"
