"""The engines of LlamaIndex, each asked in its own way, all answering in pieces of text and then the whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, Protocol

from llama_index.core.agent.workflow import AgentOutput
from llama_index.core.agent.workflow.workflow_events import AgentWorkflowStartEvent
from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.base.response.schema import AsyncStreamingResponse, StreamingResponse
from llama_index.core.chat_engine.types import BaseChatEngine
from llama_index.core.query_engine import CustomQueryEngine, RetrieverQueryEngine
from pydantic import TypeAdapter, ValidationError
from workflows import Workflow
from workflows.errors import WorkflowCancelledByUser, WorkflowTimeoutError
from workflows.events import StartEvent

from mahavishnu.errors import Cancelled, Misconfigured, Refused, TimedOut
from mahavishnu.errors.wording import in_plain_words
from mahavishnu.model import Task
from mahavishnu_llamaindex import indexes, listening, retries
from mahavishnu_llamaindex.answers import Answer, answer_of, passages
from mahavishnu_llamaindex.finding import found
from mahavishnu_llamaindex.options import Options
from mahavishnu_llamaindex.places import Here, Index
from mahavishnu_llamaindex.starting import TEXT_AS, start_fields
from mahavishnu_llamaindex.threads import Threads

Pieces = AsyncGenerator[str | Answer, None]
"""Pieces of the text as they come, where the engine has any, and last the Answer."""

_CANCELS_WITHIN_S = 1.0

listening.begin()


class Engine(Protocol):
    """Something to ask. Closing the generator early stops what was asked, as far as it can be stopped."""

    def ask(self, task: Task, *, streaming: bool) -> Pieces: ...


def engine_at(place: Here | Index, options: Options, threads: Threads) -> Engine:
    """Find it, or read it from its directory: may take long. Raises Misconfigured."""
    if isinstance(place, Index):
        return _engine(indexes.engine_of(place.path, options), options, threads, f"index:{place.path}")
    thing = found(place.object)
    if isinstance(thing, _KINDS) or not callable(thing):
        return _engine(thing, options, threads, place.object)

    def make() -> Any:
        return indexes.made(thing, f'"{place.object}" does not make an engine when it is called')

    engine = make()
    if isinstance(engine, BaseChatEngine):
        return Chat(make)
    return _engine(engine, options, threads, place.object)


_KINDS = (BaseQueryEngine, BaseChatEngine, BaseRetriever, Workflow)


def _engine(thing: object, options: Options, threads: Threads, name: str) -> Engine:
    retries.switch_off(thing)
    in_thread = _blocks(thing) if options.in_thread is None else options.in_thread
    match thing:
        case BaseQueryEngine():
            return Query(thing, threads, in_thread)
        case BaseRetriever():
            return Retrieval(thing, threads, in_thread)
        case BaseChatEngine():
            return SharedChat(thing, threads)
        case Workflow():
            return Steps(thing, options.text_as)
        case _:
            raise Misconfigured(
                f'"{name}" is {type(thing).__name__}; name a query engine, a chat engine, a retriever or a workflow, '
                "or a function without parameters that makes one"
            )


def _blocks(thing: object) -> bool:
    """Whether its async way is the sync one in disguise, which is the default of both base classes."""
    match thing:
        case CustomQueryEngine():
            return type(thing).acustom_query is CustomQueryEngine.acustom_query
        case BaseRetriever():
            return type(thing)._aretrieve is BaseRetriever._aretrieve  # noqa: SLF001  # there is no public way to ask
        case RetrieverQueryEngine():
            return _blocks(thing.retriever)
        case _:
            return False


class Query:
    """A query engine."""

    def __init__(self, engine: BaseQueryEngine, threads: Threads, in_thread: bool) -> None:
        self._engine = engine
        self._threads = threads
        self._in_thread = in_thread

    async def ask(self, task: Task, *, streaming: bool) -> Pieces:
        del streaming  # it was decided when the engine was built
        text = _text(task)
        if self._in_thread:
            response = await self._threads.call(lambda: _whole(self._engine.query(text)))
        else:
            response = await self._engine.aquery(text)
        if isinstance(response, StreamingResponse):
            response = await self._threads.call(response.get_response)
        if isinstance(response, AsyncStreamingResponse):
            async with aclosing(response.async_response_gen()) as pieces:
                async for piece in pieces:
                    yield piece
            response = await response.get_response()
        yield answer_of(response)


def _whole(response: Any) -> Any:
    """Read to its end where it was read from: the generator of a thread must not be read on the event loop."""
    return response.get_response() if isinstance(response, StreamingResponse) else response


class Retrieval:
    """A retriever: its answer is what it found."""

    def __init__(self, retriever: BaseRetriever, threads: Threads, in_thread: bool) -> None:
        self._retriever = retriever
        self._threads = threads
        self._in_thread = in_thread

    async def ask(self, task: Task, *, streaming: bool) -> Pieces:
        del streaming  # passages are found all at once
        text = _text(task)
        if self._in_thread:
            nodes = await self._threads.call(lambda: self._retriever.retrieve(text))
        else:
            nodes = await self._retriever.aretrieve(text)
        yield passages(nodes)


class Chat:
    """A function that makes chat engines: every task is a conversation of its own.

    What was said before comes in the payload: `{"chat_history": [{"role": "user", "content": "..."}]}`.
    """

    def __init__(self, make: Callable[[], BaseChatEngine]) -> None:
        self._make = make

    async def ask(self, task: Task, *, streaming: bool) -> Pieces:
        engine = self._make()
        retries.switch_off(engine)
        async with aclosing(_said(engine, task, streaming=streaming)) as pieces:
            async for piece in pieces:
                yield piece


class SharedChat:
    """One chat engine, which remembers: it has one conversation at a time, and forgets it before the next."""

    def __init__(self, engine: BaseChatEngine, threads: Threads) -> None:
        self._engine = engine
        self._threads = threads
        self._one_at_a_time = asyncio.Lock()

    async def ask(self, task: Task, *, streaming: bool) -> Pieces:
        async with self._one_at_a_time:
            # There is only a sync way, which for some memories waits for a database.
            await self._threads.call(self._engine.reset)
            async with aclosing(_said(self._engine, task, streaming=streaming)) as pieces:
                async for piece in pieces:
                    yield piece


async def _said(engine: BaseChatEngine, task: Task, *, streaming: bool) -> Pieces:
    text, history = _text(task), _history(task)
    if not streaming:
        yield answer_of(await engine.achat(text, history))
        return
    response = await engine.astream_chat(text, history)
    async with aclosing(response.async_response_gen()) as pieces:
        async for piece in pieces:
            yield piece
    yield answer_of(response)


class Steps:
    """A workflow: the payload is its start event, and the text one field of that."""

    def __init__(self, workflow: Workflow, text_as: str | None) -> None:
        self._workflow = workflow
        of_agent = issubclass(workflow.start_event_class, AgentWorkflowStartEvent)
        self._text_as = text_as or ("user_msg" if of_agent else TEXT_AS)

    async def ask(self, task: Task, *, streaming: bool) -> Pieces:
        handler = self._workflow.run(start_event=self._start_event(task))
        # Awaited from afar: to be cancelled while awaiting a handler ends its own wait, and not the workflow.
        ended = asyncio.ensure_future(handler.stop_event_result())
        ended.add_done_callback(_heard)
        try:
            if streaming:
                async for event in handler.stream_events():
                    if (delta := getattr(event, "delta", None)) and isinstance(delta, str):
                        yield delta
            await asyncio.wait({ended})
            yield answer_of(_output(await handler))
        except WorkflowTimeoutError as problem:
            raise TimedOut(f"{problem}; give the workflow more time, or less to do") from problem
        except WorkflowCancelledByUser as problem:
            raise Cancelled("the workflow was stopped where it ran") from problem
        finally:
            if not handler.is_done():
                await handler.cancel_run(timeout=_CANCELS_WITHIN_S)

    def _start_event(self, task: Task) -> StartEvent:
        kind = self._workflow.start_event_class
        try:
            return kind(**start_fields(task, self._text_as))
        except ValidationError as problem:
            wrong = "; ".join(
                f"{'.'.join(map(str, each['loc']))} {in_plain_words(each['msg'])}" for each in problem.errors()
            )
            raise Refused(
                f"the payload makes no {kind.__name__} ({wrong}); correct it, or set the target's option text_as"
            ) from problem


def _heard(ended: asyncio.Future[Any]) -> None:
    """The handler tells the failure. asyncio complains about one that nobody looked at, so this one is looked at."""
    if not ended.cancelled():
        ended.exception()


def _output(returned: Any) -> Any:
    if isinstance(returned, AgentOutput):
        return returned.structured_response or str(returned)
    return returned


def _text(task: Task) -> str:
    if not task.text.strip():
        raise Refused("the task has no text, and an engine is asked by text; put the question there")
    return task.text


def _history(task: Task) -> list[ChatMessage] | None:
    said = task.payload.get("chat_history")
    if said is None:
        return None
    try:
        return TypeAdapter(list[ChatMessage]).validate_python(said)
    except ValidationError as problem:
        raise Refused(
            f'the payload\'s chat_history has {problem.error_count()} faults; write a list of {{"role": "user", '
            '"content": "..."}}'
        ) from problem
