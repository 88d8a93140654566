"""A flow to try things out with: change this file, and the next run of it is another."""

from __future__ import annotations

from prefect import flow

from mahavishnu_prefect import deliver


@flow(name="count-words")
def count_words(text: str, longest: int = 3) -> None:
    """Hand over how many words a text has, and its longest ones."""
    words = text.split()
    by_length = sorted(set(words), key=lambda word: (-len(word), word))
    deliver({"words": len(words), "longest": by_length[:longest]})
