"""Asking a server: one request, and its answer whole or bit by bit."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager

import httpx

from mahavishnu.errors import Crashed, Transient
from mahavishnu.model import Chunk, Result
from mahavishnu.ports import Call
from mahavishnu_openai.answer import Answer, Reply, reply_of
from mahavishnu_openai.endpoint import Endpoint
from mahavishnu_openai.failures import failure_of_connection, failure_of_reply
from mahavishnu_openai.prompt import Request
from mahavishnu_openai.runs import Run
from mahavishnu_openai.sse import Events

_END = "[DONE]"


@contextmanager
def connected(endpoint: Endpoint) -> Iterator[None]:
    """Turns what the HTTP library raises into what an adapter may raise."""
    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as problem:
        raise failure_of_connection(problem, endpoint) from problem


async def ask(client: httpx.AsyncClient, request: Request, run: Run, call: Call) -> Result:
    """The whole answer, whichever way it is sent."""
    answer = Answer(request)
    if request.streamed:
        async with aclosing(_chunks(client, request, run, call, answer)) as chunks:
            async for _ in chunks:
                continue
        return answer.result()
    async with run.waiting():
        with connected(request.endpoint):
            response = await client.send(_post(client, request))
    if not response.is_success:
        raise failure_of_reply(response, response.content, request.endpoint, request.model)
    answer.add(_with_choice(reply_of(response.content, request), request))
    return answer.result()


async def follow(
    client: httpx.AsyncClient, request: Request, run: Run, call: Call
) -> AsyncGenerator[Chunk | Result, None]:
    """Chunks as they come, and the Result of the whole. Closing it closes the connection."""
    answer = Answer(request)
    async with aclosing(_chunks(client, request, run, call, answer)) as chunks:
        async for chunk in chunks:
            yield chunk
    yield answer.result()


async def _chunks(
    client: httpx.AsyncClient, request: Request, run: Run, call: Call, answer: Answer
) -> AsyncGenerator[Chunk, None]:
    announced = False
    async with _opened(client, request, run) as response, aclosing(_replies(response, request, run, answer)) as replies:
        async for reply in replies:
            text = answer.add(reply)
            if text is None:
                continue
            run.begun = True
            yield Chunk(text=text, usage=answer.usage())
            if answer.id and not announced:
                # After the first chunk, which must not wait for the store.
                announced = True
                await call.announce(answer.id)


@asynccontextmanager
async def _opened(client: httpx.AsyncClient, request: Request, run: Run) -> AsyncIterator[httpx.Response]:
    """A response that has begun, and is a success. Closed at the end, with its connection where it was not read."""
    async with run.waiting():
        with connected(request.endpoint):
            response = await client.send(_post(client, request), stream=True)
    try:
        if not response.is_success:
            async with run.waiting():
                with connected(request.endpoint):
                    body = await response.aread()
            raise failure_of_reply(response, body, request.endpoint, request.model)
        yield response
    finally:
        await response.aclose()


async def _replies(response: httpx.Response, request: Request, run: Run, answer: Answer) -> AsyncGenerator[Reply, None]:
    """Every chunk of a completion, in order. Raises Transient where the server breaks off in the middle."""
    if any(word in response.headers.get("content-type", "") for word in ("json", "html")):
        # A server that does not stream: its whole answer is the only chunk.
        async with run.waiting():
            with connected(request.endpoint):
                body = await response.aread()
        yield _with_choice(reply_of(body, request), request)
        return
    events = Events()
    pieces = response.aiter_bytes()
    while piece := await _next(pieces, request, run, answer):
        for data in events.feed(piece):
            if data == _END:
                return
            yield reply_of(data, request)
    rest = events.rest()
    if rest and rest != _END:
        yield reply_of(rest, request)
    elif not rest and not answer.finished:
        raise Transient(f"{request.endpoint.host}, {request.model}: the answer broke off in the middle")


async def _next(pieces: AsyncIterator[bytes], request: Request, run: Run, answer: Answer) -> bytes:
    """The next bytes; none at the end."""
    try:
        async with run.waiting():
            with connected(request.endpoint):
                return await anext(pieces, b"")
    except Transient:
        if answer.finished:
            # Only the usage is lost, and that can be estimated.
            return b""
        raise


def _post(client: httpx.AsyncClient, request: Request) -> httpx.Request:
    url = request.endpoint.url("chat/completions")
    return client.build_request("POST", url, content=request.content, headers=dict(request.headers))


def _with_choice(reply: Reply, request: Request) -> Reply:
    if not reply.choices:
        raise Crashed(f"{request.endpoint.host} sent no chat completion: it has no choices; check base_url")
    return reply
