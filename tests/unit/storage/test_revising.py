"""Outcomes are differences that converge, whatever came before them."""

from hypothesis import given
from hypothesis import strategies as st

from mahavishnu.model import Execution, Outcome, Revision, Scorecard, Status
from mahavishnu.stats.evidence import fold, quality_ppm
from mahavishnu.storage.sql.facts.revisions import concerned, revise
from mahavishnu.testing.clock import ManualClock
from mahavishnu.testing.samples import Samples

ENDED = [status for status in Status if status.ended]
QUALITY = st.none() | st.floats(0, 1)
NEWS = st.tuples(st.sampled_from([None, True, False]), QUALITY).filter(lambda news: news != (None, None))


def last(values):
    known = [value for value in values if value is not None]
    return known[-1] if known else None


@given(st.lists(st.tuples(st.sampled_from(ENDED), QUALITY), max_size=4), st.lists(NEWS, min_size=1, max_size=6))
def test_the_evidence_says_what_the_last_outcomes_said(runs, news):
    make = Samples(ManualClock())
    decision = make.decision()
    ended: list[Execution] = [make.end(make.start(decision), status, quality) for status, quality in runs]
    changes: list[Revision] = []
    for completed, quality in news:
        outcome: Outcome = make.outcome(decision, completed=completed, quality=quality)
        change = revise(outcome, decision, ended, changes)
        if change is not None:
            changes.append(change)
    about = concerned(ended)
    # Folded alone, what the outcomes were about stands as the outcomes left it.
    card = Scorecard(target="a", task_type="etl")
    for fact in [*([] if about is None else [about]), *changes]:
        card = fold(card, fact)
    completed, quality = (last(each) for each in zip(*news, strict=True))
    if completed is None:
        assert (card.samples, card.successes) == (
            (0, 0) if about is None else (1, int(about.status is Status.SUCCEEDED))
        )
    else:
        assert (card.samples, card.successes) == (1, int(completed))
    if quality is not None:
        assert (card.quality_samples, card.quality_ppm) == (1, quality_ppm(quality))


@given(st.lists(st.tuples(st.sampled_from(ENDED), QUALITY), max_size=4), NEWS)
def test_the_same_news_again_changes_nothing(runs, news):
    make = Samples(ManualClock())
    decision = make.decision()
    ended = [make.end(make.start(decision), status, quality) for status, quality in runs]
    once = revise(make.outcome(decision, completed=news[0], quality=news[1]), decision, ended, [])
    again = make.outcome(decision, completed=news[0], quality=news[1])
    assert revise(again, decision, ended, [] if once is None else [once]) is None
