"""What an engine or a server answered, as a Result that can be written down."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from mahavishnu.errors import Crashed
from mahavishnu.model import Result, Usage
from mahavishnu_llamaindex.options import Options

_SOURCE_CHARACTERS = 500

_INPUT = ("prompt_tokens", "input_tokens", "prompt_token_count")
_OUTPUT = ("completion_tokens", "output_tokens", "candidates_token_count")


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered, and the passages that it rests on."""

    value: Any
    sources: Sequence[Mapping[str, Any]] = field(default_factory=tuple)


def answer_of(raw: Any) -> Answer:
    """What LlamaIndex handed back: a response, passages, or whatever a workflow ends with."""
    nodes = _part(raw, "source_nodes")
    if isinstance(nodes, list) and all(_is_passage(_part(each, "node")) for each in nodes):
        return Answer(plain(_part(raw, "response")), [_source(each) for each in nodes])
    return Answer(plain(raw))


def passages(nodes: Sequence[Any]) -> Answer:
    """What a retriever found: nobody wrote an answer, so the passages are it."""
    return Answer("\n\n".join(_text(each.node) for each in nodes), [_source(each) for each in nodes])


def result_of(answer: Answer, options: Options, usage: Usage, run_id: str | None, **detail: Any) -> Result:
    return Result(
        value=answer.value,
        usage=usage,
        quality=_quality(answer.sources, options),
        run_id=run_id,
        detail={"sources": list(answer.sources), **detail},
    )


def plain(value: Any) -> Any:
    """As JSON. Raises Crashed where it cannot be written as such."""
    try:
        value = to_jsonable_python(value)
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as problem:
        raise Crashed(
            f"answered with {type(value).__name__}, which cannot be written as JSON ({problem}); "
            "end with text, numbers, lists or dicts"
        ) from problem
    return value


def tokens_in(raw: Mapping[str, Any]) -> Usage | None:
    """The usage that a model's answer carries, in the words of whichever vendor; None where it carries none.

    >>> used = tokens_in({"usage": {"prompt_tokens": 9, "completion_tokens": 3}})
    >>> used.input_tokens, used.output_tokens, used.estimated
    (9, 3, False)
    """
    told = raw.get("usage") or raw.get("usage_metadata")
    if isinstance(told, BaseModel):
        told = told.model_dump()
    if not isinstance(told, Mapping):
        return None
    asked, answered = _count(told, *_INPUT), _count(told, *_OUTPUT)
    if not asked and not answered:
        return None
    details = told.get("prompt_tokens_details")
    cached = min(asked, _count(details, "cached_tokens")) if isinstance(details, Mapping) else 0
    return Usage(input_tokens=asked - cached, cached_tokens=cached, output_tokens=answered)


def _count(told: Mapping[str, Any], *names: str) -> int:
    counts = (told.get(name) for name in names)
    return next((each for each in counts if isinstance(each, int) and not isinstance(each, bool) and each >= 0), 0)


def _part(thing: Any, name: str) -> Any:
    """A part of an object, or of its JSON: a server sends the same responses as an engine hands back."""
    if isinstance(thing, Mapping):
        return thing.get(name)
    return getattr(thing, name, None)


def _is_passage(node: Any) -> bool:
    """A workflow may end with an object of its own that only has the same words in it."""
    return isinstance(node, Mapping) or hasattr(node, "get_content")


def _source(found: Any) -> dict[str, Any]:
    passage, score = _part(found, "node"), _part(found, "score")
    return {
        "id": str(_part(passage, "node_id") or _part(passage, "id_")),
        "score": float(score) if isinstance(score, Real) and math.isfinite(score) else None,
        "text": _text(passage)[:_SOURCE_CHARACTERS],
        "metadata": plain(_part(passage, "metadata") or {}),
    }


def _text(passage: Any) -> str:
    return str(passage.get("text") or "") if isinstance(passage, Mapping) else str(passage.get_content())


def _quality(sources: Sequence[Mapping[str, Any]], options: Options) -> float | None:
    scores = [each["score"] for each in sources if each["score"] is not None]
    if options.quality is None or not scores:
        return None
    score = max(scores) if options.quality == "retrieval_max" else math.fsum(scores) / len(scores)
    return min(1.0, max(0.0, score))
