"""Indexes in directories: reading one to ask it, and building one from documents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from llama_index.core import SimpleDirectoryReader, StorageContext, VectorStoreIndex, load_index_from_storage
from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.llms import LLM

from mahavishnu.errors import Contained, Misconfigured, TimedOut, Transient
from mahavishnu_llamaindex.failures import described, failure_of
from mahavishnu_llamaindex.finding import found
from mahavishnu_llamaindex.options import Options

T = TypeVar("T")

_SUFFIXES = [".md", ".txt", ".rst"]


def engine_of(path: str, options: Options) -> BaseQueryEngine | BaseRetriever:
    """What asks the index: with an llm it answers, without one it hands back the passages. Raises Misconfigured."""
    if options.embed_model is None:
        raise Misconfigured(f'"index:{path}" needs the option embed_model: the model that it was built with')
    embed_model = _embedding(options.embed_model)
    llm = _llm(options.llm) if options.llm else None
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise Misconfigured(f'there is no directory "{path}"; build the index, or correct the path')

    def read() -> BaseQueryEngine | BaseRetriever:
        storage = StorageContext.from_defaults(persist_dir=str(folder))
        index = load_index_from_storage(storage, embed_model=embed_model)
        if llm is None:
            return index.as_retriever(similarity_top_k=options.top_k)
        return index.as_query_engine(llm=llm, similarity_top_k=options.top_k, streaming=options.streaming)

    return made(read, f'"{path}" cannot be read as an index')


def build(documents: Path, into: Path, embed_model: str) -> int:
    """Persist an index of the texts in a folder; how many there were. Raises Misconfigured."""
    model = _embedding(embed_model)

    def persist() -> int:
        texts = SimpleDirectoryReader(str(documents), recursive=True, required_exts=_SUFFIXES).load_data()
        VectorStoreIndex.from_documents(texts, embed_model=model).storage_context.persist(str(into))
        return len(texts)

    return made(persist, f'no index can be built from "{documents}"')


def _embedding(name: str) -> BaseEmbedding:
    model: BaseEmbedding = _model(name, BaseEmbedding, "an embedding model")
    return model


def _llm(name: str) -> LLM:
    model: LLM = _model(name, LLM, "an LLM")
    return model


def _model(name: str, kind: type[Any], what: str) -> Any:
    """The model that `module:object` names; an object that can be called makes one."""
    model = found(name)
    if not isinstance(model, kind) and callable(model):
        model = made(model, f'"{name}" cannot be made')
    if not isinstance(model, kind):
        raise Misconfigured(f'"{name}" is {type(model).__name__} and not {what}')
    return model


def made(make: Callable[[], T], complaint: str) -> T:
    """What is made. Raises AdapterError: Misconfigured, unless it is only for now that it cannot be made."""
    with Contained() as inside:
        return make()
    failure = failure_of(inside.failure)
    if isinstance(failure, Transient | TimedOut | Misconfigured):
        raise replace(failure, may_have_run=False) from inside.failure
    raise Misconfigured(f"{complaint}: {described(inside.failure)}") from inside.failure
