"""The redactor: text from elsewhere, as it may be shown, stored and logged."""

from __future__ import annotations

from mahavishnu.redaction.known import Known
from mahavishnu.redaction.shapes import without_shapes

_ROUNDS = 4
_LOOKED_AT = 20_000

_known = Known()


def redacted(text: str) -> str:
    """The text without secrets: those that this process has learnt, and whatever looks like one.

    Every error of an adapter, every word on health, every log record and whatever the store keeps of a failure passes
    here. Values that tasks return do not: they are the user's data, and stay as they are.

    Takes time linear in the length of the text, raises nothing, and changes nothing the second time.

    >>> redacted("401 for GET /x?token=t0psecret (Authorization: Bearer abc.def)")
    '401 for GET /x?token=*** (Authorization: ***)'
    >>> redacted("the password is wrong; set MAHAVISHNU_STORE_PASSWORD or correct the URL")
    'the password is wrong; set MAHAVISHNU_STORE_PASSWORD or correct the URL'
    """
    for _ in range(_ROUNDS):
        cleaned = without_shapes(_known.hide(text))
        if cleaned == text:
            break
        text = cleaned
    return text


def excerpt(text: str, longest: int) -> str:
    """The beginning of a text without secrets. To cut first would leave the half of one, which nothing recognises."""
    return redacted(text[: max(_LOOKED_AT, 2 * longest)])[:longest]


def learn(*secrets: str | None) -> None:
    """Have these hidden from now on, in every form, as long as this process lives."""
    for secret in secrets:
        if secret:
            _known.learn(secret)


def learnt(secret: str) -> str:
    """The secret itself, to be used; it is hidden from now on."""
    learn(secret)
    return secret


def forget_secrets() -> None:
    """Know none any more: for tests, which share a process."""
    _known.forget()
