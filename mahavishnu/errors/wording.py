"""What a validation library says of a value, in the words that all our messages use."""

from __future__ import annotations

import re

_WORDS = (
    (r"(Value error|Assertion failed), ", ""),
    (r"Input should be a valid integer\b.*", "must be a whole number"),
    (r"Input should be a valid (number|decimal)\b.*", "must be a number"),
    (r"Decimal input should be .*", "must be a number"),
    (r"Input should be a finite number", "must be a finite number"),
    (r"Input should be a valid boolean\b.*", "must be true or false"),
    (r"Input should be a valid string\b.*", "must be a text"),
    (r"Input should be a valid (list|tuple|set|frozenset)\b.*", "must be a list"),
    (r"Input should be (a valid (dictionary|mapping)|an object|an instance of|a dictionary)\b.*", "must be a table"),
    (r"Input should be greater than or equal to (\S+)", r"must be at least \1"),
    (r"Input should be less than or equal to (\S+)", r"must be at most \1"),
    (r"Input should be greater than (\S+)", r"must be above \1"),
    (r"Input should be less than (\S+)", r"must be below \1"),
    (r"Input should be ", "must be "),
    (r"(String|List|Tuple|Set|Frozenset|Dictionary|Value) should ", "must "),
    (r"Field required", "is missing"),
    (r"Extra inputs are not permitted", "is unknown"),
)


def in_plain_words(message: str) -> str:
    """A message of pydantic, and of typer, which hands pydantic's on; what is none of theirs stays as it is.

    >>> in_plain_words("Input should be greater than or equal to 1")
    'must be at least 1'
    >>> in_plain_words("Input should be a valid boolean, unable to interpret input")
    'must be true or false'
    >>> in_plain_words("Value error, the order is empty")
    'the order is empty'
    """
    for pattern, words in _WORDS:
        message = re.sub(pattern, words, message, count=1)
    return message
