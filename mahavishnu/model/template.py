"""Templates: `{{ step.value.key.0 }}` and `{{ inputs.name }}` in the texts and payloads of a workflow's steps."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mahavishnu.errors import did_you_mean, nearest_name

_OPEN, _CLOSE = "{{", "}}"
_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)+")
_FORM = '{{ step.value }}, {{ step.value.key.0 }} or {{ inputs.name }}; write {{ "{{" }} for the two braces themselves'


class TemplateError(ValueError):
    """A template that cannot be read, or that names what is not there; its text has no full stop."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What one template names: a step or the inputs, and the way down from there."""

    root: str
    path: tuple[str, ...]

    def __str__(self) -> str:
        return ".".join((self.root, *self.path))


def references(value: Any) -> Iterator[Reference]:
    """Everything that the templates in a text, or in the strings of a JSON value, name.

    >>> [str(each) for each in references({"a": ["{{ load.value }} of {{ inputs.name }}", 3]})]
    ['load.value', 'inputs.name']
    """
    match value:
        case str():
            yield from (part for part in _parts(value) if isinstance(part, Reference))
        case Mapping():
            for each in value.values():
                yield from references(each)
        case list() | tuple():
            for each in value:
                yield from references(each)


def render(value: Any, known: Mapping[str, Any]) -> Any:
    """The JSON value with every template replaced by what it names; what comes in is never read as a template itself.

    A string that is exactly one template becomes the value, of whatever type it is.

    >>> known = {"count": {"value": {"rows": [3, 4]}}, "inputs": {"name": "{{ x.y }}"}}
    >>> render({"n": "{{ count.value.rows.1 }}", "all": "{{count.value}} in {{ inputs.name }}"}, known)
    {'n': 4, 'all': '{"rows": [3, 4]} in {{ x.y }}'}
    """
    match value:
        case str():
            return _rendered(value, known)
        case Mapping():
            return {key: render(each, known) for key, each in value.items()}
        case list() | tuple():
            return [render(each, known) for each in value]
        case _:
            return value


def render_text(text: str, known: Mapping[str, Any]) -> str:
    """Like `render`, for what has to be a text: a value that is none is written as JSON."""
    return "".join(part if isinstance(part, str) else _shown(_value(part, known)) for part in _parts(text))


def _rendered(text: str, known: Mapping[str, Any]) -> Any:
    match _parts(text):
        case [Reference() as only]:
            return _value(only, known)
        case _:
            return render_text(text, known)


def _parts(text: str) -> list[str | Reference]:
    """The text cut at its templates; one that only quotes something is text."""
    parts: list[str | Reference] = []
    place = 0
    while (start := text.find(_OPEN, place)) >= 0:
        end = text.find(_CLOSE, start + len(_OPEN))
        if end < 0:
            raise TemplateError(f'opens "{{{{" and does not close it: {text[start:]:.60}')
        if start > place:
            parts.append(text[place:start])
        parts.append(_read(text[start + len(_OPEN) : end].strip()))
        place = end + len(_CLOSE)
    if place < len(text):
        parts.append(text[place:])
    return parts


def _read(inside: str) -> str | Reference:
    if inside == f'"{_OPEN}"':
        return _OPEN
    if not _PATH.fullmatch(inside):
        raise TemplateError(f'holds "{{{{ {inside:.60} }}}}", which is no template; write {_FORM}')
    root, *path = inside.split(".")
    return Reference(root, tuple(path))


def _value(reference: Reference, known: Mapping[str, Any]) -> Any:
    found: Any = known
    gone: list[str] = []
    for key in (reference.root, *reference.path):
        found = _below(found, key, ".".join(gone), reference)
        gone.append(key)
    return found


def _below(found: Any, key: str, where: str, reference: Reference) -> Any:
    match found:
        case Mapping() if key in found:
            return found[key]
        case Mapping():
            nearest = nearest_name(key, [str(each) for each in found])
            has = did_you_mean(nearest) or f"; it has {', '.join(str(each) for each in found) or 'no keys'}"
            raise TemplateError(f'"{reference}": {where} has no "{key}"{has}')
        case list() if key.isdecimal() and int(key) < len(found):
            return found[int(key)]
        case list():
            raise TemplateError(f'"{reference}": {where} is a list of {len(found)}; it has no "{key}"')
        case _:
            raise TemplateError(f'"{reference}": {where} is {_shown(found):.60}; it has nothing below it')


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
