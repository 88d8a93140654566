"""LlamaIndexAdapter without a server: engines of this process, options, words, and the error table of a server."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from contextlib import aclosing
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
from llama_index.core import Document, Response, VectorStoreIndex
from llama_index.core.agent.workflow import ReActAgent
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.llms.types import CompletionResponse, LLMMetadata
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.llms import CustomLLM
from llama_index.core.llms.callbacks import llm_completion_callback
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.query_engine import CustomQueryEngine, RetrieverQueryEngine
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.llms.openai_like import OpenAILike
from workflows import Context, Workflow, step
from workflows.events import Event, StartEvent, StopEvent

from mahavishnu.errors import (
    AdapterError,
    AuthenticationError,
    AuthorizationError,
    Cancelled,
    Crashed,
    Misconfigured,
    Refused,
    SettingsError,
    Throttled,
    TimedOut,
    Transient,
    Unsuitable,
)
from mahavishnu.model import Chunk, HealthStatus, Result, Status, Target, Task, Usage
from mahavishnu.model.identity import is_ulid
from mahavishnu.plugins import make
from mahavishnu.ports import Adapter, Call, Discovers, Priced, RunRef, Streams
from mahavishnu.testing.adapter import ADAPTER_PROMISES, AdapterCase, Example, Promise
from mahavishnu_llamaindex import LlamaIndexAdapter
from mahavishnu_llamaindex.offline import OfflineEmbedding, OfflineLLM

# LlamaIndex's agents look at all their attributes when they are made, those that pydantic deprecated among them, and
# ask their workflow something that it would rather not be asked.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pydantic.warnings.PydanticDeprecationWarning", "ignore:is_running called:DeprecationWarning"
)

SERVER = "http://rag.test:8080"
OFFLINE = "mahavishnu_llamaindex.offline"

# -- what the targets name ---------------------------------------------------------------------------------------------

calls: list[str] = []
under_way = threading.Event()
not_an_engine = {"a": "dict"}

index = VectorStoreIndex.from_documents(
    [
        Document(text="A breaker opens after five failures in a row.", metadata={"file": "breaker.md"}),
        Document(text="Money is kept in whole micro-dollars.", metadata={"file": "money.md"}),
    ],
    embed_model=OfflineEmbedding(),
)
query_engine = index.as_query_engine(llm=OfflineLLM(), similarity_top_k=1)
streaming_engine = index.as_query_engine(llm=OfflineLLM(), similarity_top_k=1, streaming=True)
retriever = index.as_retriever(similarity_top_k=2)


class Shouting(CustomQueryEngine):
    """Only has a sync way, and says in which thread it went."""

    def custom_query(self, query_str):
        calls.append(threading.current_thread().name)
        return Response(query_str.upper())


class Failing(CustomQueryEngine):
    def custom_query(self, query_str):
        calls.append(query_str)
        raise ValueError(f"cannot do {query_str}")


class Exiting(CustomQueryEngine):
    async def acustom_query(self, query_str):
        raise SystemExit(3)

    def custom_query(self, query_str):
        raise SystemExit(3)


class Hanging(CustomQueryEngine):
    async def acustom_query(self, query_str):
        await asyncio.Event().wait()

    def custom_query(self, query_str):
        under_way.set()
        threading.Event().wait()


class Unwritable(CustomQueryEngine):
    def custom_query(self, query_str):
        return Response("found", source_nodes=[NodeWithScore(node=TextNode(text="x" * 900), score=float("nan"))])


class SyncRetriever(BaseRetriever):
    def _retrieve(self, query_bundle):
        calls.append(threading.current_thread().name)
        return [NodeWithScore(node=TextNode(text="found", id_="1"), score=1.5)]


shouting, failing, exiting, hanging, unwritable = Shouting(), Failing(), Exiting(), Hanging(), Unwritable()
sync_retriever = SyncRetriever()


def make_engine():
    calls.append("made")
    return query_engine


def make_trouble():
    raise RuntimeError("no index today")


def make_without_its_database():
    raise ConnectionRefusedError("the vector store is down")


class Echoing(CustomLLM):
    """Says how much it was told, so that what one conversation leaves behind shows in the next."""

    @property
    def metadata(self):
        return LLMMetadata()

    @llm_completion_callback()
    def complete(self, prompt, formatted=False, **kwargs):
        said = [line for line in prompt.splitlines() if line.startswith("user:")]
        return CompletionResponse(text=" | ".join(line.removeprefix("user:").strip() for line in said))

    @llm_completion_callback()
    def stream_complete(self, prompt, formatted=False, **kwargs):
        text = ""
        for word in self.complete(prompt).text.split():
            text += word + " "
            yield CompletionResponse(text=text, delta=word + " ")


def make_chat():
    # The default memory is a database that it never closes.
    return SimpleChatEngine.from_defaults(llm=Echoing(), memory=ChatMemoryBuffer.from_defaults())


chat_engine = make_chat()


class Reasoning(CustomLLM):
    """Answers as a ReAct agent is expected to."""

    @property
    def metadata(self):
        return LLMMetadata()

    @llm_completion_callback()
    def complete(self, prompt, formatted=False, **kwargs):
        return CompletionResponse(text="Thought: I know.\nAnswer: forty-two")

    @llm_completion_callback()
    def stream_complete(self, prompt, formatted=False, **kwargs):
        yield CompletionResponse(
            text="Thought: I know.\nAnswer: forty-two", delta="Thought: I know.\nAnswer: forty-two"
        )


def make_agent():
    return ReActAgent(llm=Reasoning(), tools=[])


class Question(StartEvent):
    question: str


class Piece(Event):
    delta: str


class Steps(Workflow):
    @step
    async def only(self, event: StartEvent, context: Context) -> StopEvent:
        for letter in event.get("input"):
            context.write_event_to_stream(Piece(delta=letter))
        return StopEvent(result={"input": event.get("input"), "more": event.get("more", None)})


class Typed(Workflow):
    @step
    async def only(self, event: Question) -> StopEvent:
        return StopEvent(result=event.question)


class Broken(Workflow):
    @step
    async def only(self, event: StartEvent) -> StopEvent:
        calls.append("workflow")
        raise ValueError("step by step into the wall")


class Waiting(Workflow):
    @step
    async def only(self, event: StartEvent) -> StopEvent:
        under_way.set()
        try:
            await asyncio.Event().wait()
        finally:
            calls.append("stopped")
        return StopEvent()


class Opaque(Workflow):
    @step
    async def only(self, event: StartEvent) -> StopEvent:
        return StopEvent(result=object())


steps, typed, broken, waiting = Steps(), Typed(), Broken(), Waiting(timeout=None)
hurried, opaque = Waiting(timeout=0.05), Opaque()


def engine_over_http():
    """A query engine whose model is behind HTTP, and which would try five times."""
    llm = OpenAILike(model="m", api_base="http://llm.test/v1", api_key="sk-secret", is_chat_model=True, max_retries=5)
    return index.as_query_engine(llm=llm, similarity_top_k=1)


http_engine = engine_over_http()

# -- small things ------------------------------------------------------------------------------------------------------


def target(run: str, **options: object) -> Target:
    return Target(name="tried", adapter="llamaindex", run=run, task_types=frozenset({"any"}), options=options)


def mine(name: str, **options: object) -> Target:
    return target(f"{__name__}:{name}", **options)


def ask(text: str = "when does a breaker open?", **payload: object) -> Task:
    return Task(type="any", text=text, payload=payload)


async def to_nobody(run_id: str) -> None: ...


def call(execution_id: str = "e1", key: str | None = None, announce=to_nobody) -> Call:
    return Call(execution_id=execution_id, deadline_s=None, idempotency_key=key, announce=announce)


@pytest.fixture(autouse=True)
def nothing_under_way():
    under_way.clear()


@pytest.fixture
async def adapter():
    made = LlamaIndexAdapter(paths=(), server_url=SERVER, poll_ms=10, patience_s=0)
    yield made
    await made.close()


async def failure(adapter: LlamaIndexAdapter, task: Task, where: Target, **more: str) -> AdapterError:
    with pytest.raises(AdapterError) as raised:
        await adapter.run(task, where, call(**more))
    return raised.value


# -- the promises ------------------------------------------------------------------------------------------------------


def case_of_queries() -> AdapterCase:
    return AdapterCase(
        adapter=LlamaIndexAdapter(paths=()),
        succeeds=Example(target=mine("shouting"), task=ask("hello"), value="HELLO"),
        fails=Example(target=mine("failing"), task=ask("this")),
        hangs=Example(target=mine("hanging"), task=ask()),
        refused=Example(target=mine("shouting"), task=Task(type="any", payload={"no": "text"})),
        misconfigured=Example(target=mine("shoutign"), task=ask()),
        numbered=lambda n: Example(target=mine("shouting"), task=ask(f"n{n}"), value=f"N{n}"),
        calls=lambda: len(calls),
    )


def case_of_workflows() -> AdapterCase:
    return AdapterCase(
        adapter=LlamaIndexAdapter(paths=()),
        succeeds=Example(target=mine("steps"), task=ask("hi", more=1), value={"input": "hi", "more": 1}),
        fails=Example(target=mine("broken"), task=ask()),
        hangs=Example(target=mine("waiting"), task=ask()),
        refused=Example(target=mine("typed"), task=ask()),
        misconfigured=Example(target=mine("not_an_engine"), task=ask()),
        numbered=lambda n: Example(target=mine("steps"), task=ask(str(n)), value={"input": str(n), "more": None}),
        calls=lambda: len(calls),
    )


@pytest.mark.parametrize("promise", ADAPTER_PROMISES, ids=lambda promise: promise.__name__)
@pytest.mark.parametrize("make_case", [case_of_queries, case_of_workflows], ids=["queries", "workflows"])
async def test_engines_of_this_process_keep_the_promises_of_an_adapter(make_case, promise: Promise):
    await promise(make_case())


def test_the_adapter_has_the_shape_of_every_contract_that_it_claims():
    adapter: Adapter = LlamaIndexAdapter(paths=())
    assert isinstance(adapter, Streams)
    assert isinstance(adapter, Priced)
    assert isinstance(adapter, Discovers)


def test_its_capabilities_are_those_of_the_seed():
    adapter = LlamaIndexAdapter(paths=())
    assert {name: adapter.supports(name) for name in adapter.capabilities if name != "streaming"} == {
        "can_deploy_flows": True,
        "can_monitor_execution": True,
        "can_cancel_workflows": True,
        "supports_batch_execution": True,
        "supports_multi_agent": False,
        "has_cloud_ui": False,
    }
    assert adapter.supports("streaming")


def test_a_query_costs_nothing_here_and_the_price_of_the_seed_in_the_cloud():
    prices = LlamaIndexAdapter(paths=()).prices
    assert prices["local"].cost(Usage(queries=1000, seconds=60)) == 0
    assert prices["cloud"].per_query_usd == Decimal("0.00005")
    assert prices["cloud"].cost(Usage(queries=1)) == 50


# -- query engines, retrievers, chat engines ---------------------------------------------------------------------------


async def test_a_query_engine_answers_with_its_sources_and_what_it_used(adapter):
    result = await adapter.run(ask(), mine("query_engine"), call())
    assert "A breaker opens after five failures" in result.value
    (source,) = result.detail["sources"]
    assert source["metadata"] == {"file": "breaker.md"}
    assert source["text"] == "A breaker opens after five failures in a row."
    assert 0 < source["score"] <= 1
    assert result.quality is None, "similarity is no quality unless somebody says so"
    assert result.usage.queries == 1
    assert result.usage.seconds > 0
    assert result.usage.input_tokens > result.usage.output_tokens > 0
    assert result.usage.estimated, "the offline model counts no tokens"
    assert result.detail["embedded_tokens"] > 0


async def test_similarity_is_the_quality_where_the_target_says_so(adapter):
    mean = await adapter.run(ask("breaker"), mine("retriever", quality="retrieval"), call())
    best = await adapter.run(ask("breaker"), mine("retriever", quality="retrieval_max"), call())
    scores = [source["score"] for source in best.detail["sources"]]
    assert best.quality == pytest.approx(max(scores))
    assert mean.quality == pytest.approx(sum(scores) / len(scores))
    assert mean.quality < best.quality


async def test_a_retriever_answers_with_the_passages_it_found(adapter):
    result = await adapter.run(ask("whole micro-dollars"), mine("retriever"), call())
    assert result.value.startswith("Money is kept in whole micro-dollars.\n\n")
    assert [source["metadata"]["file"] for source in result.detail["sources"]] == ["money.md", "breaker.md"]
    assert (result.usage.input_tokens, result.usage.estimated) == (0, False)


@pytest.mark.parametrize("name", ["shouting", "sync_retriever"])
async def test_an_engine_without_an_async_way_of_its_own_is_asked_in_a_thread(adapter, name):
    await adapter.run(ask(), mine(name), call())
    assert calls[-1] == "mahavishnu-llamaindex"


async def test_a_query_engine_over_a_retriever_that_blocks_is_asked_in_a_thread(adapter, monkeypatch):
    blocking = RetrieverQueryEngine.from_args(sync_retriever, llm=OfflineLLM())
    monkeypatch.setattr(f"{__name__}.shouting", blocking)
    result = await adapter.run(ask(), mine("shouting"), call())
    assert calls[-1] == "mahavishnu-llamaindex"
    assert result.usage.output_tokens > 0, "what happens in the thread is counted, too"


async def test_the_option_in_thread_decides_where_an_engine_is_asked(adapter):
    await adapter.run(ask(), mine("sync_retriever", in_thread=False), call())
    assert calls[-1] == threading.main_thread().name


async def test_a_similarity_above_one_is_cut_to_one(adapter):
    result = await adapter.run(ask(), mine("sync_retriever", quality="retrieval"), call())
    assert result.quality == 1.0


async def test_a_score_that_is_no_number_is_left_out_and_long_sources_are_cut(adapter):
    result = await adapter.run(ask(), mine("unwritable", quality="retrieval"), call())
    (source,) = result.detail["sources"]
    assert (source["score"], result.quality) == (None, None)
    assert len(source["text"]) == 500
    assert json.loads(json.dumps(result.detail, allow_nan=False)) == result.detail


async def test_a_factory_of_an_engine_is_called_once(adapter):
    calls.clear()
    for _ in range(3):
        await adapter.run(ask(), mine("make_engine"), call())
    assert calls == ["made"]


async def test_a_chat_engine_forgets_one_task_before_the_next_and_holds_one_conversation_at_a_time(adapter):
    texts = [f"task {n}" for n in range(5)]
    results = await asyncio.gather(*(adapter.run(ask(text), mine("chat_engine"), call(text)) for text in texts))
    assert [result.value for result in results] == texts


async def test_a_factory_of_chat_engines_makes_one_for_each_task_and_history_comes_in_the_payload(adapter):
    said = [{"role": "user", "content": "before"}]
    with_history, without = await asyncio.gather(
        adapter.run(ask("now", chat_history=said), mine("make_chat"), call("a")),
        adapter.run(ask("now"), mine("make_chat"), call("b")),
    )
    assert (with_history.value, without.value) == ("before | now", "now")


async def test_a_history_that_is_none_is_refused(adapter):
    problem = await failure(adapter, ask("now", chat_history=[{"role": 5}]), mine("make_chat"))
    assert isinstance(problem, Refused)
    assert "chat_history" in str(problem)


# -- indexes -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def persisted(tmp_path: Path) -> str:
    index.storage_context.persist(str(tmp_path / "handbook"))
    return f"index:{tmp_path / 'handbook'}"


async def test_a_persisted_index_hands_back_passages_and_answers_with_an_llm(adapter, persisted):
    embed_model = f"{OFFLINE}:OfflineEmbedding"
    passages = await adapter.run(ask(), target(persisted, embed_model=embed_model, top_k=2), call())
    answer = await adapter.run(ask(), target(persisted, embed_model=embed_model, llm=f"{OFFLINE}:llm", top_k=1), call())
    assert len(passages.detail["sources"]) == 2
    assert passages.usage.output_tokens == 0
    assert len(answer.detail["sources"]) == 1
    assert "five failures" in answer.value
    assert answer.usage.output_tokens > 0


async def test_documents_are_deployed_as_an_index_that_can_be_asked(adapter, tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "lease.md").write_text("A process keeps a lease of thirty seconds.")
    deployed = await adapter.deploy("handbook", tmp_path / "docs", tmp_path / "index", f"{OFFLINE}:embedding")
    result = await adapter.run(ask("how long is a lease?"), deployed, call())
    assert result.value == "A process keeps a lease of thirty seconds."
    assert (await adapter.health(deployed)).status is HealthStatus.HEALTHY


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "needs the option embed_model"),
        ({"embed_model": f"{OFFLINE}:embeding"}, 'did you mean "embedding"'),
        ({"embed_model": f"{OFFLINE}:llm"}, "not an embedding model"),
        ({"embed_model": f"{OFFLINE}:embedding", "llm": f"{OFFLINE}:DIMENSIONS"}, "is int and not an LLM"),
        ({"embed_model": f"{OFFLINE}:embedding", "top_k": 0}, 'option "top_k" must be at least'),
        ({"embed_modle": "x"}, 'did you mean "embed_model"'),
    ],
)
async def test_an_index_that_is_set_up_wrongly_says_what_is_wrong_with_it(adapter, persisted, options, words):
    problem = await failure(adapter, ask(), target(persisted, **options))
    assert isinstance(problem, Misconfigured)
    assert words in str(problem)
    assert (await adapter.health(target(persisted, **options))).status is HealthStatus.MISCONFIGURED


@pytest.mark.parametrize("folder", ["missing", "empty", "broken"])
async def test_a_directory_that_holds_no_index_is_misconfigured(adapter, tmp_path, folder):
    if folder != "missing":
        (tmp_path / folder).mkdir()
    if folder == "broken":
        (tmp_path / folder / "docstore.json").write_text("{")
    where = target(f"index:{tmp_path / folder}", embed_model=f"{OFFLINE}:embedding")
    assert isinstance(await failure(adapter, ask(), where), Misconfigured)


def test_a_word_has_the_same_place_in_an_offline_embedding_in_every_process():
    """A hash that differs from process to process would make every persisted index worthless."""
    first = OfflineEmbedding().get_query_embedding("lease")
    assert [place for place, value in enumerate(first) if value] == [277]


# -- workflows ---------------------------------------------------------------------------------------------------------


async def test_an_agent_is_a_workflow_that_is_asked_by_its_own_field(adapter):
    result = await adapter.run(ask("what is it?"), mine("make_agent"), call())
    assert result.value == "forty-two"
    assert result.usage.output_tokens > 0


async def test_the_text_goes_to_the_field_that_the_target_names(adapter):
    result = await adapter.run(ask("why?"), mine("typed", text_as="question"), call())
    assert result.value == "why?"


async def test_a_start_event_that_cannot_be_made_is_refused_before_anything_runs(adapter):
    problem = await failure(adapter, ask("why?"), mine("typed"))
    assert isinstance(problem, Refused)
    assert not problem.may_have_run
    assert "question is missing" in str(problem)


async def test_a_workflow_that_runs_out_of_its_own_time_timed_out(adapter):
    problem = await failure(adapter, ask(), mine("hurried"))
    assert isinstance(problem, TimedOut)
    assert "0.05" in str(problem)


async def test_what_cannot_be_written_down_is_no_result(adapter):
    problem = await failure(adapter, ask(), mine("opaque"))
    assert isinstance(problem, Crashed)
    assert "JSON" in str(problem)


async def test_a_workflow_that_is_cancelled_cleans_up(adapter):
    calls.clear()
    run = asyncio.create_task(adapter.run(ask(), mine("waiting"), call("w")))
    await asyncio.to_thread(under_way.wait)
    ref = RunRef(target=mine("waiting"), execution_id="w", run_id=None)
    assert await adapter.status(ref) is Status.RUNNING
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert calls == ["stopped"]
    assert await adapter.status(ref) is None


async def test_a_run_that_is_stopped_on_request_was_cancelled_and_did_not_fail(adapter):
    run = asyncio.create_task(adapter.run(ask(), mine("waiting"), call("w")))
    ref = RunRef(target=mine("waiting"), execution_id="w", run_id=None)
    await asyncio.to_thread(under_way.wait)
    assert await adapter.cancel(ref)
    with pytest.raises(Cancelled):
        await run


# -- what goes wrong in an engine --------------------------------------------------------------------------------------


async def test_what_an_engine_raises_is_a_crash_in_its_own_words(adapter):
    problem = await failure(adapter, ask("this"), mine("failing"))
    assert isinstance(problem, Crashed)
    assert "ValueError: cannot do this" in str(problem)
    assert problem.may_have_run


@pytest.mark.parametrize("in_thread", [True, False])
async def test_an_engine_that_exits_does_not_take_the_process_with_it(adapter, in_thread):
    problem = await failure(adapter, ask(), mine("exiting", in_thread=in_thread))
    assert isinstance(problem, Crashed)
    assert "SystemExit" in str(problem)


async def test_a_thread_that_hangs_is_left_behind_when_its_run_is_cancelled(adapter):
    run = asyncio.create_task(adapter.run(ask(), mine("hanging", in_thread=True), call()))
    await asyncio.to_thread(under_way.wait)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (f"{__name__}:query_engin", 'did you mean "query_engine"'),
        (f"{__name__}:not_an_engine", "is dict; name a query engine"),
        (f"{__name__}:make_trouble", "no index today"),
        ("no_such_package.rag:engine", "no_such_package"),
        ("just-words", "names nothing to run"),
        ("index:", "names nothing to run"),
        ("https://rag.test/answer", "names no workflow"),
        ("http:///workflows/answer", "is no address"),
    ],
)
async def test_a_run_that_names_nothing_says_what_is_wrong_with_it(adapter, run, words):
    problem = await failure(adapter, ask(), target(run))
    assert isinstance(problem, Misconfigured)
    assert words in str(problem)
    health = await adapter.health(target(run))
    assert (health.status, health.detail) == (HealthStatus.MISCONFIGURED, str(problem))


async def test_an_engine_that_cannot_be_made_for_now_is_unreachable_and_not_misconfigured(adapter):
    problem = await failure(adapter, ask(), mine("make_without_its_database"))
    assert type(problem) is Transient
    assert not problem.may_have_run
    assert (await adapter.health(mine("make_without_its_database"))).status is HealthStatus.UNREACHABLE


async def test_a_workflow_without_a_server_says_where_to_name_one():
    problem = await failure(LlamaIndexAdapter(paths=()), ask(), target("workflows/answer"))
    assert isinstance(problem, Misconfigured)
    assert "server_url" in str(problem)


# -- a model behind an engine ------------------------------------------------------------------------------------------


def completion(**more: object) -> httpx.Response:
    message = {"role": "assistant", "content": "After five."}
    body = {"id": "1", "object": "chat.completion", "created": 1, "model": "m"}
    return httpx.Response(
        200, json={**body, "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], **more}
    )


async def test_the_usage_that_a_model_reports_is_taken_at_its_word(adapter, respx_mock):
    usage = {"prompt_tokens": 90, "completion_tokens": 7, "total_tokens": 97}
    usage["prompt_tokens_details"] = {"cached_tokens": 30}
    respx_mock.post("http://llm.test/v1/chat/completions").mock(return_value=completion(usage=usage))
    used = (await adapter.run(ask(), mine("http_engine"), call())).usage
    assert (used.input_tokens, used.cached_tokens, used.output_tokens) == (60, 30, 7)
    assert not used.estimated


async def test_a_model_that_reports_no_usage_is_counted_by_estimate_and_never_as_zero(adapter, respx_mock):
    respx_mock.post("http://llm.test/v1/chat/completions").mock(return_value=completion())
    used = (await adapter.run(ask(), mine("http_engine"), call())).usage
    assert used.input_tokens > 20
    assert used.output_tokens == 3
    assert used.estimated


async def test_concurrent_runs_of_one_engine_each_count_their_own_tokens(adapter, respx_mock):
    def answer(request: httpx.Request) -> httpx.Response:
        asked = json.loads(request.content)["messages"][-1]["content"]
        number = int(asked.split("number ")[1].split()[0])
        return completion(usage={"prompt_tokens": number, "completion_tokens": 1, "total_tokens": number + 1})

    respx_mock.post("http://llm.test/v1/chat/completions").mock(side_effect=answer)
    numbers = range(1, 21)
    runs = (adapter.run(ask(f"number {n} ?"), mine("http_engine"), call(f"e{n}")) for n in numbers)
    results = await asyncio.gather(*runs)
    assert [result.usage.input_tokens for result in results] == list(numbers)


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (httpx.Response(401, json={"error": {"message": "wrong key sk-secret"}}), AuthenticationError, "401"),
        (httpx.Response(403, json={"error": {"message": "sk-secret may not"}}), AuthorizationError, "403"),
        (httpx.Response(404, json={"error": {"message": "no model m"}}), Misconfigured, "no model m"),
        (httpx.Response(429, headers={"retry-after": "7"}, json={}), Throttled, "patience"),
        (httpx.Response(500, json={}), Transient, "in trouble"),
        (httpx.Response(503, json={}), Transient, "in trouble"),
        (httpx.Response(504, json={}), TimedOut, "too long"),
        (httpx.Response(413, json={}), Unsuitable, "shorten"),
        (
            httpx.Response(400, json={"error": {"message": "maximum context is 8", "code": "context_length_exceeded"}}),
            Unsuitable,
            "shorten",
        ),
        (httpx.Response(400, json={"error": {"message": "unknown parameter"}}), Crashed, "unknown parameter"),
        (httpx.ConnectError("nobody there"), Transient, "nobody there"),
        (httpx.ReadTimeout("still thinking"), TimedOut, "still thinking"),
    ],
    ids=lambda value: str(getattr(value, "status_code", "")) or type(value).__name__ or None,
)
async def test_what_the_model_behind_an_engine_says_decides_the_shape_of_the_failure(
    adapter, respx_mock, answer, kind, words
):
    route = respx_mock.post("http://llm.test/v1/chat/completions")
    route.mock(side_effect=answer) if isinstance(answer, Exception) else route.mock(return_value=answer)
    problem = await failure(adapter, ask(), mine("http_engine"))
    assert type(problem) is kind
    assert words in str(problem)
    assert problem.may_have_run, "the engine had begun"
    assert "sk-secret" not in str(problem)
    assert route.call_count == 1, "the vendor's own retries are switched off"
    if kind is Throttled:
        assert problem.retry_after_s == 7


# -- streaming ---------------------------------------------------------------------------------------------------------


async def streamed(adapter, task, where, **more) -> tuple[list[Chunk], Result]:
    async with aclosing(adapter.stream(task, where, call(**more))) as pieces:
        *chunks, result = [piece async for piece in pieces]
    return chunks, result


@pytest.mark.parametrize("name", ["streaming_engine", "make_chat", "chat_engine"])
async def test_an_engine_that_streams_answers_bit_by_bit_and_each_bit_tells_what_was_used(adapter, name):
    chunks, result = await streamed(adapter, ask("when does a breaker open?"), mine(name))
    assert len(chunks) > 3
    assert "".join(chunk.text for chunk in chunks).strip() == result.value.strip()
    tokens = [chunk.usage.output_tokens for chunk in chunks]
    assert tokens == sorted(tokens)
    assert all(chunk.usage.input_tokens > 0 for chunk in chunks), "an answer that breaks off is never free"
    assert result.usage.output_tokens >= tokens[-1] > 0


async def test_a_streaming_engine_that_is_only_run_answers_in_one_piece(adapter):
    result = await adapter.run(ask(), mine("streaming_engine"), call())
    assert "A breaker opens after five failures" in result.value
    assert result.detail["sources"][0]["metadata"] == {"file": "breaker.md"}


async def test_a_persisted_index_streams_where_its_target_says_so(adapter, persisted):
    options = {"embed_model": f"{OFFLINE}:embedding", "llm": f"{OFFLINE}:llm", "streaming": True}
    chunks, result = await streamed(adapter, ask(), target(persisted, **options))
    assert len(chunks) > 3
    assert "".join(chunk.text for chunk in chunks) == result.value


async def test_the_pieces_that_a_workflow_writes_are_streamed(adapter):
    chunks, result = await streamed(adapter, ask("abc"), mine("steps"))
    assert [chunk.text for chunk in chunks] == ["a", "b", "c"]
    assert result.value == {"input": "abc", "more": None}


async def test_a_stream_that_nobody_reads_to_its_end_stops_its_run(adapter):
    calls.clear()
    pieces = adapter.stream(ask(), mine("waiting"), call("s"))
    first = asyncio.create_task(anext(pieces))
    await asyncio.to_thread(under_way.wait)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await pieces.aclose()
    assert calls == ["stopped"]


async def test_a_target_that_is_set_up_wrongly_fails_its_stream_as_it_fails_its_run(adapter):
    with pytest.raises(Misconfigured):
        await streamed(adapter, ask(), target("just-words"))


# -- a server, by the table of what it may answer ----------------------------------------------------------------------


def handler(status: str = "completed", **more: object) -> httpx.Response:
    result = {"type": "StopEvent", "value": {"result": "done"}} if status == "completed" else None
    times = {"started_at": "2026-01-01T00:00:00+00:00", "completed_at": "2026-01-01T00:00:01.500000+00:00"}
    code = {"running": 202, "completed": 200}.get(status, 500)
    return httpx.Response(code, json={"status": status, "error": None, "result": result, **times, **more})


@pytest.fixture
def server(respx_mock):
    """A server that takes everything and has done it at once; a test changes what it is about."""
    respx_mock.post(f"{SERVER}/workflows/w/run-nowait", name="start").respond(200, json={"status": "running"})
    respx_mock.get(url__startswith=f"{SERVER}/handlers/", name="look").mock(return_value=handler())
    respx_mock.post(path__regex=r"/handlers/.*/cancel", name="cancel").respond(200, json={"status": "cancelled"})
    respx_mock.get(f"{SERVER}/workflows", name="list").respond(200, json={"workflows": ["w", "answer"]})
    respx_mock.get(f"{SERVER}/workflows/w/schema", name="schema").respond(200, json={"start": {"title": "Asked"}})
    respx_mock.get(f"{SERVER}/health", name="health").respond(200, json={"status": "healthy"})
    respx_mock._assert_all_called = False
    return respx_mock


W = target("workflows/w")


async def test_a_run_is_announced_before_it_starts_under_an_id_of_ours(adapter, server):
    announced = []

    async def announce(run_id):
        announced.append((run_id, server["start"].call_count))

    result = await adapter.run(ask("hi", tone="warm"), W, call("e7", announce=announce))
    assert announced == [("e7", 0)]
    assert (result.value, result.run_id, result.usage.seconds, result.usage.queries) == ("done", "e7", 1.5, 1)
    assert result.usage.estimated, "the server does not say what the models of its steps used"
    sent = json.loads(server["start"].calls.last.request.content)
    assert sent == {"start_event": {"input": "hi", "tone": "warm"}, "handler_id": "e7"}


async def test_usage_that_a_workflow_ends_with_is_taken_at_its_word(adapter, server):
    ended = {"text": "x", "usage": {"input_tokens": 5, "output_tokens": 2}}
    server["look"].mock(return_value=handler(result={"type": "StopEvent", "value": {"result": ended}}))
    used = (await adapter.run(ask(), W, call())).usage
    assert (used.input_tokens, used.output_tokens, used.queries, used.estimated) == (5, 2, 1, False)


@pytest.mark.parametrize("ended", [{"source_nodes": "three", "response": 5}, {"source_nodes": [1]}, {"usage": "much"}])
async def test_a_result_that_only_sounds_like_a_response_is_left_as_it_is(adapter, server, ended):
    server["look"].mock(return_value=handler(result={"type": "StopEvent", "value": {"result": ended}}))
    result = await adapter.run(ask(), W, call())
    assert (result.value, result.detail["sources"]) == (ended, [])


async def test_a_server_that_is_gone_before_anything_began_leaves_the_task_free_to_go_elsewhere(adapter, server):
    server["look"].mock(side_effect=httpx.ConnectError("refused"))
    problem = await failure(adapter, ask(), W, key="k1")
    assert type(problem) is Transient
    assert not problem.may_have_run


async def test_a_stream_that_breaks_off_is_transient_and_its_run_is_stopped(adapter, server):
    server.get(path__startswith="/events/").mock(side_effect=httpx.ReadError("cut"))
    with pytest.raises(Transient) as raised:
        await streamed(adapter, ask(), W)
    assert raised.value.may_have_run
    assert server["cancel"].called


async def test_a_stop_event_of_the_workflows_own_is_the_result(adapter, server):
    server["look"].mock(return_value=handler(result={"type": "Told", "value": {"answer": 42}}))
    assert (await adapter.run(ask(), W, call())).value == {"answer": 42}


async def test_a_payload_that_looks_like_an_envelope_is_put_into_one(adapter, server):
    await adapter.run(ask("hi", value=5), W, call())
    sent = json.loads(server["start"].calls.last.request.content)
    assert sent["start_event"] == {"type": "Asked", "value": {"input": "hi", "value": 5}}


@pytest.mark.parametrize(
    ("answer", "kind", "may_have_run", "words"),
    [
        (httpx.Response(400, json={"detail": "question: Field required"}), Refused, False, "question: Field required"),
        (httpx.Response(422, json={"detail": "no"}), Refused, False, "text_as"),
        (httpx.Response(401, json={"detail": "no"}), AuthenticationError, False, "401"),
        (httpx.Response(403, json={"detail": "no"}), AuthorizationError, False, "403"),
        (httpx.Response(404, json={"detail": "Workflow not found"}), Misconfigured, False, "it has answer, other"),
        (httpx.Response(429, headers={"retry-after": "2"}), Throttled, False, "patience"),
        (httpx.Response(405), Misconfigured, False, "is it a workflow server?"),
        (httpx.Response(302), Misconfigured, False, "is it a workflow server?"),
        (httpx.Response(500, json={"detail": "Initial persistence failed"}), Transient, True, "persistence"),
        (httpx.Response(503, headers={"retry-after": "3"}), Transient, True, "in trouble"),
        (httpx.ConnectError("refused"), Transient, False, "is it up?"),
        (httpx.ConnectTimeout("slow"), Transient, False, "is it up?"),
        (httpx.ReadTimeout("silent"), TimedOut, True, "does not answer"),
        (httpx.RemoteProtocolError("cut"), Transient, True, "broke"),
    ],
    ids=lambda value: str(value.status_code) if isinstance(value, httpx.Response) else None,
)
async def test_what_a_server_answers_to_a_start_decides_the_shape_of_the_failure(
    adapter, server, answer, kind, may_have_run, words
):
    server["list"].respond(200, json={"workflows": ["answer", "other"]})
    route = server["start"]
    route.mock(side_effect=answer) if isinstance(answer, Exception) else route.mock(return_value=answer)
    problem = await failure(adapter, ask(), W)
    assert type(problem) is kind
    assert problem.may_have_run is may_have_run
    assert words in str(problem)
    assert route.call_count == 1, "an adapter never tries again"
    if isinstance(problem, Transient) and isinstance(answer, httpx.Response) and "retry-after" in answer.headers:
        assert problem.retry_after_s == float(answer.headers["retry-after"])


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (handler("failed", error="cannot do this"), Crashed, "cannot do this"),
        (handler("failed", error="Workflow timed out after 2s"), TimedOut, "after 2s"),
        (handler("cancelled"), Cancelled, "stopped on its server"),
        (httpx.Response(404, json={"detail": "Handler not found"}), Transient, "no longer knows"),
        (httpx.Response(422, json={"detail": "cannot be decoded"}), Crashed, "plain JSON"),
        (httpx.Response(500, text="oops"), Transient, "lost from sight"),
        (httpx.Response(503), Transient, "lost from sight"),
        (httpx.Response(401), AuthenticationError, "401"),
        (httpx.ConnectError("refused"), Transient, "lost from sight"),
        (httpx.Response(200, text='{"status": "completed", "result": {"value": {"x": NaN}}}'), Crashed, "JSON"),
    ],
    ids=lambda value: str(value.status_code) if isinstance(value, httpx.Response) else None,
)
async def test_what_a_server_tells_of_a_run_decides_how_it_ended(adapter, server, answer, kind, words):
    route = server["look"]
    route.mock(side_effect=answer) if isinstance(answer, Exception) else route.mock(return_value=answer)
    problem = await failure(adapter, ask(), W)
    assert type(problem) is kind
    assert words in str(problem)
    assert problem.may_have_run, "the run had begun"
    assert server["start"].call_count == 1


async def test_a_server_that_comes_back_in_time_is_not_lost(server):
    looks = [httpx.Response(503), handler("running"), httpx.ConnectError("restarting"), handler()]
    server["look"].mock(side_effect=looks)
    adapter = LlamaIndexAdapter(paths=(), server_url=SERVER, poll_ms=10, patience_s=30)
    assert (await adapter.run(ask(), W, call())).value == "done"
    await adapter.close()


async def test_a_run_that_is_given_up_is_stopped_where_it_runs(adapter, server):
    server["look"].mock(return_value=httpx.Response(503))
    await failure(adapter, ask(), W, execution_id="e9")
    assert server["cancel"].calls[0].request.url.path == "/handlers/e9/cancel"


@pytest.mark.parametrize(("there", "value"), [(handler(), "done"), (handler("running"), "done")])
async def test_under_one_idempotency_key_work_that_is_there_is_taken_up_and_not_redone(adapter, server, there, value):
    server["look"].mock(side_effect=[there, handler()])
    announced = []

    async def announce(run_id):
        announced.append(run_id)

    result = await adapter.run(ask(), W, call(key="k1", announce=announce))
    assert result.value == value
    assert announced == [result.run_id]
    assert result.run_id.startswith("key-")
    assert server["start"].call_count == 0


async def test_under_one_idempotency_key_the_same_work_has_one_id_and_other_work_another(adapter, server):
    server["look"].mock(side_effect=[httpx.Response(404), handler()] * 3)
    first = await adapter.run(ask("a"), W, call("e1", key="k1"))
    same = await adapter.run(ask("a"), W, call("e2", key="k1"))
    other = await adapter.run(ask("b"), W, call("e3", key="k1"))
    assert first.run_id == same.run_id != other.run_id


async def test_work_that_failed_under_a_key_is_begun_anew_and_not_with_what_it_left_behind(adapter, server):
    server["look"].mock(side_effect=[handler("failed"), handler()])
    result = await adapter.run(ask(), W, call("e5", key="k1"))
    assert result.run_id == "e5"
    assert server["start"].call_count == 1


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (handler("running"), Status.RUNNING),
        (handler(), Status.SUCCEEDED),
        (handler("failed", error="no"), Status.FAILED),
        (handler("failed", error="Workflow timed out after 2s"), Status.TIMED_OUT),
        (handler("cancelled"), Status.CANCELLED),
        (httpx.Response(404), None),
    ],
    ids=lambda value: value.json()["status"] if isinstance(value, httpx.Response) and value.content else None,
)
async def test_the_status_of_a_run_is_read_from_its_server(adapter, server, answer, status):
    server["look"].mock(return_value=answer)
    assert await adapter.status(RunRef(target=W, execution_id="e1", run_id="r1")) is status
    assert server["look"].calls.last.request.url.path == "/handlers/r1"


async def test_a_server_that_cannot_be_asked_says_nothing_about_a_run(adapter, server):
    ref = RunRef(target=W, execution_id="e1", run_id="r1")
    server["look"].mock(side_effect=httpx.ConnectError("refused"))
    server["cancel"].mock(side_effect=httpx.ConnectError("refused"))
    with pytest.raises(Transient):
        await adapter.status(ref)
    with pytest.raises(Transient):
        await adapter.cancel(ref)


async def test_a_run_that_takes_its_time_to_stop_has_been_told_to(adapter, server):
    server["cancel"].mock(side_effect=httpx.ReadTimeout("cleaning up"))
    assert await adapter.cancel(RunRef(target=W, execution_id="e1", run_id="r1"))


@pytest.mark.parametrize(
    ("route", "answer", "status", "words"),
    [
        ("health", httpx.ConnectError("refused"), HealthStatus.UNREACHABLE, "is it up?"),
        ("list", httpx.Response(401), HealthStatus.UNAUTHORISED, "401"),
        ("list", httpx.Response(403), HealthStatus.UNAUTHORISED, "403"),
        ("health", httpx.Response(503), HealthStatus.DEGRADED, "not ready"),
        ("list", httpx.Response(404), HealthStatus.MISCONFIGURED, "correct the name or the address"),
        ("list", httpx.Response(200, json={"workflows": ["ww"]}), HealthStatus.MISCONFIGURED, 'did you mean "ww"'),
        ("list", httpx.Response(500), HealthStatus.UNREACHABLE, "in trouble"),
    ],
)
async def test_health_tells_apart_what_can_be_wrong_with_a_server(adapter, server, route, answer, status, words):
    assert (await adapter.health(W)).status is HealthStatus.HEALTHY
    mocked = server[route]
    mocked.mock(side_effect=answer) if isinstance(answer, Exception) else mocked.mock(return_value=answer)
    health = await adapter.health(W)
    assert health.status is status
    assert words in health.detail


async def test_what_a_server_has_is_offered_as_targets_that_run(adapter, server):
    server["list"].respond(200, json={"workflows": ["w", "ask me!"]})
    found = await adapter.discover()
    assert [(each.name, each.run) for each in found] == [("w", "workflows/w"), ("ask-me-", "workflows/ask me!")]
    assert (await adapter.run(ask(), found[0], call())).value == "done"


async def test_without_a_server_there_is_nothing_to_discover():
    assert await LlamaIndexAdapter(paths=()).discover() == ()


# -- keys --------------------------------------------------------------------------------------------------------------


async def test_the_key_goes_to_the_server_that_it_belongs_to_and_to_no_other(server, monkeypatch):
    monkeypatch.setenv("RAG_KEY", "s3cret")
    elsewhere = server.get("http://elsewhere.test/workflows").respond(200, json={"workflows": ["w"]})
    server.get("http://elsewhere.test/health").respond(200)
    adapter = LlamaIndexAdapter(paths=(), server_url=SERVER, key_env="RAG_KEY")
    await adapter.health(W)
    await adapter.health(target(f"{SERVER}/workflows/w"))
    assert [each.request.headers["authorization"] for each in server["list"].calls] == ["Bearer s3cret"] * 2
    await adapter.health(target("http://elsewhere.test/workflows/w"))
    assert "authorization" not in elsewhere.calls.last.request.headers
    await adapter.health(target("http://elsewhere.test/workflows/w", key_env="RAG_KEY"))
    assert elsewhere.calls.last.request.headers["authorization"] == "Bearer s3cret"
    await adapter.close()


async def test_a_key_that_is_not_set_is_misconfigured_and_names_its_variable(server, monkeypatch):
    monkeypatch.delenv("RAG_KEY", raising=False)
    adapter = LlamaIndexAdapter(paths=(), server_url=SERVER, key_env="RAG_KEY")
    problem = await failure(adapter, ask(), W)
    assert isinstance(problem, Misconfigured)
    assert "RAG_KEY" in str(problem)
    await adapter.close()


async def test_a_server_that_repeats_the_key_does_not_get_it_into_our_words(server, monkeypatch):
    monkeypatch.setenv("RAG_KEY", "s3cret")
    server["start"].respond(400, json={"detail": "Bearer s3cret says nonsense"})
    adapter = LlamaIndexAdapter(paths=(), server_url=SERVER, key_env="RAG_KEY")
    problem = await failure(adapter, ask(), W)
    assert "says nonsense" in str(problem)
    assert "s3cret" not in f"{problem!r} {adapter!r}"
    await adapter.close()


# -- settings, and the names of the seed -------------------------------------------------------------------------------


def test_the_adapter_is_built_from_its_settings_and_says_which_is_wrong():
    assert make(LlamaIndexAdapter, {"server_url": SERVER, "poll_ms": 50}, "[adapters.llamaindex]").name == "llamaindex"
    with pytest.raises(SettingsError, match='did you mean "poll_ms"'):
        make(LlamaIndexAdapter, {"pol_ms": 50}, "[adapters.llamaindex]")
    with pytest.raises(SettingsError, match="poll_ms"):
        make(LlamaIndexAdapter, {"poll_ms": 1}, "[adapters.llamaindex]")
    with pytest.raises(SettingsError, match="server_url"):
        make(LlamaIndexAdapter, {"key_env": "RAG_KEY"}, "[adapters.llamaindex]")


async def test_the_names_of_the_seed_do_the_same_work(adapter, server):
    await adapter.initialize()
    result = await adapter.execute(ask(), mine("query_engine"))
    assert "five failures" in result.value
    assert is_ulid(result.run_id)
    assert (await adapter.get_health()).status is HealthStatus.HEALTHY
    server["list"].respond(401)
    assert (await adapter.get_health()).status is HealthStatus.UNAUTHORISED
    await adapter.shutdown()


def test_importing_the_adapter_does_not_wait_for_llamaindex():
    """It takes seconds, and a router whose workflows are on a server never needs it."""
    program = "import sys, mahavishnu_llamaindex; print('llama_index.core' in sys.modules)"
    paths = os.pathsep.join(path for path in sys.path if path)
    ended = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True
    )
    assert ended.stdout.strip() == "False", ended.stderr
