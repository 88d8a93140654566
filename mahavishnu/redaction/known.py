"""Secrets that this process knows, and every form in which a server may hand them back."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from threading import Lock
from urllib.parse import quote, quote_plus

from mahavishnu.redaction.names import HIDDEN

MOST = 1_000
"""Secrets that are remembered at once; where keys are changed all the time, the oldest are forgotten."""

_SHORTEST = 4
_ANYWHERE = 8
_HALF_FROM = 16
_SHORTEST_CORE = 6

_PLACEHOLDERS = frozenset(
    [
        "dummy",
        "empty",
        "fake",
        "false",
        "n/a",
        "na",
        "none",
        "not-needed",
        "null",
        "ollama",
        "placeholder",
        "test",
        "true",
        "unused",
        "user",
        "xxxx",
    ]
)
"""What stands for a key where a server wants none: to hide such a word would hide it in every sentence."""

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")
_BASE64_BACK = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-")


@dataclass(frozen=True, slots=True)
class Forms:
    """One secret as it may be met: as a part of anything, as a word of its own, begun only, or within Base64."""

    parts: tuple[str, ...]
    words: re.Pattern[str] | None
    whole: str
    half: str
    cores: tuple[str, ...]

    def hide(self, text: str) -> str:
        for part in self.parts:
            if part in text:
                text = text.replace(part, HIDDEN)
        if self.words is not None:
            text = self.words.sub(HIDDEN, text)
        if self.half and self.half in text:
            text = self._without_beginnings(text)
        for core in self.cores:
            if core in text:
                text = _without_base64(text, core)
        return text

    def _without_beginnings(self, text: str) -> str:
        """Hide also what was cut off after more than a half of it."""
        kept: list[str] = []
        at = 0
        while (begin := text.find(self.half, at)) >= 0:
            length = len(self.half)
            while text[begin + length : begin + length + 1] == self.whole[length : length + 1] != "":
                length += 1
            kept += (text[at:begin], HIDDEN)
            at = begin + length
        return "".join((*kept, text[at:]))


def forms_of(secret: str) -> Forms | None:
    """None for what is too short, or too common, to be hidden wherever it stands."""
    if len(secret) < _SHORTEST or secret.lower() in _PLACEHOLDERS or not secret.strip(HIDDEN):
        return None
    spellings = sorted(_spellings(secret), key=lambda spelling: (-len(spelling), spelling))
    anywhere = len(secret) >= _ANYWHERE and not secret.isalpha()
    words = None if anywhere else _as_words(spellings)
    half = secret[: max(_ANYWHERE, len(secret) // 2)] if anywhere and len(secret) >= _HALF_FROM else ""
    return Forms(tuple(spellings) if anywhere else (), words, secret, half, tuple(dict.fromkeys(_cores(secret))))


def _spellings(secret: str) -> set[str]:
    quoted = (
        quote(secret, safe="", errors="surrogatepass"),
        quote(secret, errors="surrogatepass"),
        quote_plus(secret, errors="surrogatepass"),
    )
    octets = secret.encode("utf-8", "surrogateescape")
    spellings = {
        secret,
        " ".join(secret.split()),
        *quoted,
        *(_lowered(each) for each in quoted),
        quote(quoted[0], safe=""),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        json.dumps(json.dumps(secret))[3:-3],
        repr(secret)[1:-1],
        repr(octets)[2:-1],
        escape(secret),
        escape(secret, quote=False),
        octets.decode("latin-1"),
    }
    return {spelling for spelling in spellings if len(spelling) >= _SHORTEST}


def _lowered(quoted: str) -> str:
    return re.sub("%[0-9A-F]{2}", lambda found: found.group().lower(), quoted)


def _as_words(spellings: list[str]) -> re.Pattern[str]:
    """A short secret is hidden as a word: within longer words, such letters are mostly others' own."""
    before = r"(?:(?<![A-Za-z0-9])|(?<=\\[nrt])|(?<=%[0-9A-Fa-f]{2}))"
    return re.compile(f"{before}(?:{'|'.join(map(re.escape, spellings))})(?![A-Za-z0-9])")


def _cores(secret: str) -> Iterator[str]:
    """What is in every Base64 text that has the secret in it, wherever in the text it begins: as in "user:password"."""
    octets = secret.encode("utf-8", "surrogateescape")
    for before in range(3):
        encoded = b64encode(b"\0" * before + octets).decode()
        # Letters at the edges also hold bits of what stands before or after.
        begin = (0, 2, 3)[before]
        end = len(encoded) if (before + len(octets)) % 3 == 0 else len(encoded.rstrip("=")) - 1
        core = encoded[begin:end]
        if len(core) >= _SHORTEST_CORE:
            yield core
            yield core.replace("+", "-").replace("/", "_")


def _without_base64(text: str, core: str) -> str:
    kept: list[str] = []
    at = 0
    while (begin := text.find(core, at)) >= 0:
        end = _BASE64.match(text, begin).end()  # type: ignore[union-attr]
        while begin > at and text[begin - 1] in _BASE64_BACK:
            begin -= 1
        kept += (text[at:begin], HIDDEN)
        at = end
    return "".join((*kept, text[at:]))


class Known:
    """The secrets of a process. Safe in any thread: what is read is replaced and never changed."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._by_value: dict[str, Forms] = {}
        self._forms: tuple[Forms, ...] = ()

    def learn(self, secret: str) -> None:
        if secret in self._by_value:
            return
        forms = forms_of(secret)
        if forms is None:
            return
        with self._lock:
            held = {**self._by_value, secret: forms}
            while len(held) > MOST:
                del held[next(iter(held))]
            # The longest first: one may be a part of another.
            self._forms = tuple(sorted(held.values(), key=lambda each: -len(each.whole)))
            self._by_value = held

    def forget(self) -> None:
        with self._lock:
            self._by_value, self._forms = {}, ()

    def hide(self, text: str) -> str:
        for forms in self._forms:
            text = forms.hide(text)
        return text
