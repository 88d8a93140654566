"""Secrets that give themselves away: by the name before them, by how they begin, by what surrounds them."""

from __future__ import annotations

import re

from mahavishnu.redaction.names import HIDDEN, holds_secret
from mahavishnu.redaction.urls import without_userinfo

# Every repetition here is possessive or bounded, and no search begins again inside what another one has looked at:
# so the time is linear in the length of the text, whatever stands in it.

_QUOTE = r"""(?:\\*+["']|&quot;|&\#0?3[49];|%2[27]|\\*u002[27])"""
_BEFORE = r"(?:(?<![A-Za-z0-9])|(?<=\\[nrt])|(?<=%[0-9A-Fa-f]{2}))"

_HINT = re.compile(r"(?i)pass|pwd|secret|token|key|auth|cookie|credential|jwt|sig")

_NAMED = re.compile(
    rf"""(?<![A-Za-z0-9_.-])(?P<name>[A-Za-z0-9_][A-Za-z0-9_.-]*+)
    (?:
        (?P<quoted>{_QUOTE})?+[ \t]*+(?P<sign>=>|:=|==|[:=]|%3[AaDd])(?P<gap>[ \t]*+)
        | {_QUOTE}[ \t]*+,[ \t]*+(?P<pair>(?:{_QUOTE}value{_QUOTE}[ \t]*+:[ \t]*+)?+b?)(?={_QUOTE})
    )""",
    re.VERBOSE,
)
_OPENING = re.compile(r"[bru]?(?P<slashes>\\*+)(?:(?P<quote>[\"'])|(?P<entity>&quot;|&\#0?3[49];|%2[27]|u002[27]))")
_BARE = re.compile(r"""(?:[^\s&,;"'<>\\%]|[,;](?![\s,;]|$)|%(?!26|0[AaDd]|2[27])|\\(?![nrt"'\\]))++""")
_SCHEME = re.compile(r"(?:[A-Za-z][A-Za-z0-9-]*+[ \t]++)?")
_LINE = re.compile(r"(?:[^\r\n\\]|\\(?![nr]))*+")
_REST_OF_LINE = re.compile(r"(?:[^\r\n\\\"'<>]|\\(?![nr\"']))*+")
_MANY_PARTS = re.compile(r"(?i)(?:digest|aws4|hawk|oauth|signature)\b")

_BY_SCHEME = re.compile(r"(?i)\b(?P<scheme>bearer|basic)(?P<gap>(?:[ \t]|%20|\+)++)(?P<value>[A-Za-z0-9._~+/%=-]++)")
_IN_QUERY = re.compile(r"(?i)(?<=[?&])(?P<name>key|sig|signature|auth)=[^\s&\"'<>]++")
_IN_PROSE = re.compile(
    r"(?i)\b(?P<before>api[ ]keys?(?:[ ](?:is|was|provided|given|supplied|used)){0,2}[ ]?[:=]?[ ]?[\"'`]?)"
    r"(?P<value>[A-Za-z0-9._~+/=*-]++)"
)

_BY_BEGINNING = re.compile(
    rf"""{_BEFORE}(?:
        (?P<loose>(?:sk|pk|rk)[-_][A-Za-z0-9_-]{{6,}}+)
        | gh[oprsu]_[A-Za-z0-9]{{10,}}+ | github_pat_\w{{10,}}+ | glpat-[\w-]{{10,}}+
        | xox[a-z]-[A-Za-z0-9-]{{6,}}+ | xapp-[A-Za-z0-9-]{{6,}}+
        | A(?:KIA|SIA|BIA|CCA)[A-Z0-9]{{12,}}+
        | AIza[\w-]{{16,}}+ | ya29\.[\w.-]{{10,}}+ | SG\.[\w.-]{{16,}}+
        | eyJ[\w-]{{8,}}+(?:\.[\w-]*+)*+
        | pn[ub]_[A-Za-z0-9]{{6,}}+
        | (?:gsk|hf|llx|lsv2_[a-z]{{2}}|npm|nvapi|pcsk|pypi|r8|shpat|tvly|xai|dop_v1)[-_][A-Za-z0-9_-]{{16,}}+
    )""",
    re.VERBOSE,
)
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}?PRIVATE KEY(?: BLOCK)?-----"
    r"(?:.*?-----END [A-Z0-9 ]{0,40}?PRIVATE KEY(?: BLOCK)?-----|.*)",
    re.DOTALL,
)

_LONGEST_WORD = 16
_SHORTEST_KEY = 6
_MAY_BE_PROSE = re.compile(r"(?i)(?!x-).*(?:token|secret|pass|credentials?|key)")


def without_shapes(text: str) -> str:
    """Text with everything hidden in it that looks like a secret."""
    if "PRIVATE KEY" in text:
        text = _PRIVATE_KEY.sub(HIDDEN, text)
    text = without_userinfo(text)
    text = _BY_BEGINNING.sub(_without_key, text)
    if _HINT.search(text):
        text = _without_named(text)
        text = _IN_QUERY.sub(rf"\g<name>={HIDDEN}", text)
        text = _IN_PROSE.sub(_without_told, text)
    return _BY_SCHEME.sub(_without_credentials, text)


def _without_key(found: re.Match[str]) -> str:
    key = found.group()
    return HIDDEN if found["loose"] is None or any(letter.isdigit() for letter in key) else key


def _without_credentials(found: re.Match[str]) -> str:
    """Whatever goes with a scheme. "Bearer realm=…" is a question, and "basic authentication" is prose."""
    value = found["value"]
    if (
        len(value) < _SHORTEST_KEY
        or _is_word(value)
        or value.lower().startswith(("realm=", "error=", "scope=", "charset="))
    ):
        return found.group()
    return f"{found['scheme']}{found['gap']}{HIDDEN}"


def _without_told(found: re.Match[str]) -> str:
    return found.group() if _is_word(found["value"]) else f"{found['before']}{HIDDEN}"


def _without_named(text: str) -> str:
    """Names and values: in headers, JSON, query strings, forms, and as Python and TOML write them."""
    kept: list[str] = []
    at = 0
    for found in _NAMED.finditer(text):
        if found.start() < at or not holds_secret(found["name"]):
            continue
        begin, end, value = _value(text, found)
        if end > begin and not _stays(text, found, begin, end):
            kept.append(f"{text[at:begin]}{value}")
            at = end
    return f"{''.join(kept)}{text[at:]}"


def _value(text: str, found: re.Match[str]) -> tuple[int, int, str]:
    """Where the secret begins and ends, and what to put there."""
    begin = found.end()
    opening = _OPENING.match(text, begin)
    name = found["name"].lower()
    if opening:
        return opening.end(), _closing(text, opening), HIDDEN
    if found["pair"] is not None:
        return begin, begin, ""
    if name.endswith("cookie"):
        return begin, _end(_REST_OF_LINE, text, begin), HIDDEN
    if name.endswith("authorization"):
        if _MANY_PARTS.match(text, begin):
            return begin, _end(_LINE, text, begin), HIDDEN
        after = _end(_SCHEME, text, begin)
        end = _bare(text, after)
        return begin, end if end > after else _bare(text, begin), HIDDEN
    return begin, _bare(text, begin), HIDDEN


def _bare(text: str, begin: int) -> int:
    """Where a value without quotes ends. A bracket or a stop at its end mostly belongs to the sentence."""
    value = text[begin : _end(_BARE, text, begin)]
    return begin + len(value.rstrip(")]}.:!?"))


def _end(pattern: re.Pattern[str], text: str, begin: int) -> int:
    found = pattern.match(text, begin)
    return found.end() if found else begin


def _closing(text: str, opening: re.Match[str]) -> int:
    """Where a quoted text ends; at the end of everything where nothing closes it."""
    mark = f"{opening['slashes']}{opening['quote'] or opening['entity']}"
    if opening["slashes"] or opening["entity"]:
        end = text.find(mark, opening.end())
        while end > 0 and opening["slashes"] and text[end - 1] == "\\":
            # One that is escaped once more belongs to what is quoted.
            end = text.find(mark, end + 1)
        return len(text) if end < 0 else end
    return _end(_UNTIL[mark], text, opening.end())


_UNTIL = {mark: re.compile(rf"(?:[^{mark}\\]|\\.)*+", re.DOTALL) for mark in "\"'"}


def _stays(text: str, found: re.Match[str], begin: int, end: int) -> bool:
    """Whether it is no secret after all: already hidden in a URL, or a word of a sentence such as "token: expired"."""
    if text.startswith(f"{HIDDEN}@", begin):
        return True
    said = found["sign"] == ":" and found["gap"] and not found["quoted"] and begin == found.end()
    return bool(said) and _MAY_BE_PROSE.fullmatch(found["name"]) is not None and _is_word(text[begin:end])


def _is_word(text: str) -> bool:
    """Whether it is an ordinary word, also one with a hyphen, or a short number."""
    bare = text.strip(".,;:!?*=%").replace("-", "")
    if len(bare) >= _LONGEST_WORD:
        return False
    return (
        not bare
        or (bare.isalpha() and (bare[1:].islower() or bare.isupper() or len(bare) == 1))
        or (bare.isdigit() and len(bare) < 6)
    )
