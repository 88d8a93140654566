"""Switching off the retries of the models behind an engine: trying again is the business of mahavishnu's engine."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

from llama_index.core.base.llms.base import BaseLLM
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.schema import BaseNode
from llama_index.core.storage.docstore.types import BaseDocumentStore
from llama_index.core.vector_stores.types import BasePydanticVectorStore

_MOST = 2000
"""How many objects are looked at: an engine has dozens."""


def switch_off(engine: object) -> None:
    """Set `max_retries` to 0 on every model that the engine holds."""
    for model in _models(engine):
        if getattr(model, "max_retries", 0):
            # pydantic models that forbid assignment would refuse; those of LlamaIndex do not.
            model.max_retries = 0  # type: ignore[union-attr]


def _models(engine: object) -> Iterator[BaseLLM | BaseEmbedding]:
    waiting, seen = [engine], set[int]()
    while waiting and len(seen) < _MOST:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, BaseLLM | BaseEmbedding):
            yield each
        waiting.extend(part for part in _parts(each) if _is_of_llama_index(part))


def _parts(thing: object) -> Iterator[Any]:
    if isinstance(thing, dict):
        return iter(thing.values())
    if isinstance(thing, list | tuple):
        return iter(thing)
    # An engine that is a pydantic model keeps its parts in its fields, or in private attributes.
    private = getattr(thing, "__pydantic_private__", None) or {}
    return chain(getattr(thing, "__dict__", {}).values(), private.values())


def _is_of_llama_index(thing: object) -> bool:
    """Worth looking into. What an engine knows (its documents) is large and holds no models."""
    if isinstance(thing, BaseNode | BaseDocumentStore | BasePydanticVectorStore):
        return False
    if isinstance(thing, dict | list | tuple):
        return True
    return any(each.__module__.startswith("llama_index.") for each in type(thing).__mro__)
