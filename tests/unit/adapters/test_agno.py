"""The Agno adapter without a server: components in this process, and every answer that an AgentOS may give."""

import asyncio
import json
import logging
import os
from decimal import Decimal

import httpx
import pytest
import respx
from agno.agent import Agent
from agno.db.in_memory import InMemoryDb
from agno.exceptions import InputCheckError, ModelAuthenticationError, ModelProviderError, ModelRateLimitError
from agno.team import Team
from agno.team.mode import TeamMode
from agno.workflow import Step, Workflow
from pydantic import BaseModel

from mahavishnu.errors import (
    AdapterError,
    AuthenticationError,
    AuthorizationError,
    Cancelled,
    Crashed,
    InvalidTarget,
    Misconfigured,
    Refused,
    TargetExists,
    Throttled,
    TimedOut,
    Transient,
    UnknownName,
    Unsuitable,
)
from mahavishnu.model import Chunk, HealthStatus, Result, Status, Target, Task, Usage
from mahavishnu.model.identity import is_ulid
from mahavishnu.plugins import make
from mahavishnu.ports import Call, Discovers, Priced, RunRef, Streams
from mahavishnu.testing.adapter import ADAPTER_PROMISES, AdapterCase, Example
from mahavishnu_agno import AgnoAdapter
from mahavishnu_agno.offline import OfflineModel
from mahavishnu_agno.usage import usage_of

# -- what runs in this process -----------------------------------------------------------------------------------------

calls: list[str] = []


def fail(text: str) -> str:
    calls.append(text)
    raise ValueError(f"cannot do {text}")


def refuse(text: str) -> str:
    raise InputCheckError("that is off topic")


def agent(name: str, answer=str.upper, **model) -> Agent:
    return Agent(id=name, name=name, model=OfflineModel(answer=answer, **model))


shout = agent("shout")
faulty = agent("faulty", fail)
refusing = agent("refusing", refuse)
hanging = agent("hanging", word_delay_s=3600)
pair = Team(id="pair", members=[agent("loud"), agent("quiet", str.lower)], model=OfflineModel())
unlucky = Team(id="unlucky", members=[faulty], model=OfflineModel())
chain = Workflow(id="chain", steps=[Step(name="a", agent=shout), Step(name="b", agent=agent("last", str.title))])
broken = Workflow(id="broken", steps=[Step(name="a", agent=shout), Step(name="b", agent=faulty)])
number = 7


def factory() -> Agent:
    return agent("made")


def target(run: str, **options) -> Target:
    return Target(name="tried", adapter="agno", run=run, task_types=frozenset({"any"}), options=options)


def example(name: str, text: str = "hello", value=None) -> Example:
    return Example(target=target(f"{__name__}:{name}"), task=Task(type="any", text=text), value=value)


def call(execution_id: str = "e1", announced: list[str] | None = None) -> Call:
    async def announce(run_id: str) -> None:
        if announced is not None:
            announced.append(run_id)

    return Call(execution_id=execution_id, deadline_s=None, idempotency_key=None, announce=announce)


@pytest.fixture
async def adapter():
    made = AgnoAdapter()
    yield made
    await made.close()


async def run(adapter: AgnoAdapter, name: str, text: str = "hello", **given) -> Result:
    return await adapter.run(Task(type="any", text=text, **given), target(f"{__name__}:{name}"), call())


async def failure(adapter: AgnoAdapter, wanted: Target, text: str = "hello") -> AdapterError:
    with pytest.raises(AdapterError) as caught:
        await adapter.run(Task(type="any", text=text), wanted, call())
    return caught.value


@pytest.mark.parametrize("promise", ADAPTER_PROMISES, ids=lambda promise: promise.__name__)
@pytest.mark.parametrize("succeeds", ["shout", "pair"])
async def test_the_adapter_keeps_the_promise(promise, succeeds, adapter):
    await promise(
        AdapterCase(
            adapter=adapter,
            succeeds=example(succeeds, value="HELLO"),
            fails=example("faulty"),
            hangs=example("hanging"),
            refused=example("refusing"),
            misconfigured=example("no_such_agent"),
            numbered=lambda number: example(succeeds, f"n{number}", f"N{number}"),
            calls=lambda: len(calls),
        )
    )


def test_it_streams_has_prices_and_can_be_asked_what_there_is(adapter):
    assert isinstance(adapter, Streams)
    assert isinstance(adapter, Priced)
    assert isinstance(adapter, Discovers)
    assert adapter.prices["local"].cost(Usage(agent_seconds=100)) == 0
    assert adapter.prices["cloud"].cost(Usage(agent_seconds=10)) == 2000


def test_it_says_what_it_can_and_what_it_cannot(adapter):
    can = ("can_monitor_execution", "can_cancel_workflows", "supports_batch_execution", "supports_multi_agent")
    assert all(adapter.supports(word) for word in (*can, "streaming"))
    assert not any(adapter.supports(word) for word in ("can_deploy_flows", "has_cloud_ui"))


def test_it_is_made_from_a_table_of_settings():
    assert isinstance(make(AgnoAdapter, {"max_concurrent": 2}, "[adapters.agno]"), AgnoAdapter)
    with pytest.raises(ValueError, match="at least 1"):
        AgnoAdapter(max_concurrent=0)


def test_a_password_in_the_url_is_refused_and_not_repeated():
    with pytest.raises(Misconfigured) as caught:
        AgnoAdapter(os_url="http://ann:sesame@localhost:7777")
    assert "sesame" not in str(caught.value)


async def test_an_agents_answer_comes_with_its_tokens_and_its_seconds(adapter):
    announced: list[str] = []
    result = await adapter.run(Task(type="any", text="one two"), target(f"{__name__}:shout"), call("e7", announced))
    assert (result.value, result.run_id, announced) == ("ONE TWO", "e7", ["e7"])
    assert (result.usage.input_tokens, result.usage.output_tokens) == (2, 2)
    assert 0 < result.usage.agent_seconds <= result.usage.seconds
    assert result.detail == {"session_id": "mahavishnu-e7", "worked": ["shout"]}


async def test_a_teams_usage_is_that_of_its_head_and_its_members(adapter):
    result = await run(adapter, "pair", "Hello quiet one")
    assert (result.value, result.detail["worked"]) == ("hello quiet one", ["quiet"])
    assert result.usage.output_tokens == 1 + 3 + 3, "the head delegates, the member answers, the head hands it on"


async def test_a_workflow_answers_with_its_last_step_and_everybodys_usage(adapter):
    result = await run(adapter, "chain", "good day")
    assert (result.value, result.detail["worked"]) == ("Good Day", ["shout", "last"])
    assert result.usage.output_tokens == 4


async def test_a_workflow_whose_last_step_fails_has_failed_although_it_says_completed(adapter):
    assert "cannot do HELLO" in str(await failure(adapter, target(f"{__name__}:broken")))


async def test_a_team_whose_member_fails_and_that_has_nothing_to_say_has_failed_although_it_says_completed(adapter):
    assert "cannot do hello" in str(await failure(adapter, target(f"{__name__}:unlucky")))


async def test_a_broadcasting_team_does_not_mix_its_members_words_up(adapter):
    made = adapter.create_crew("choir", [agent("loud"), agent("quiet", str.lower)], "broadcast", OfflineModel())
    result = await adapter.run(Task(type="any", text="One Two Three"), made, call())
    assert "ONE TWO THREE" in result.value
    assert "one two three" in result.value


async def test_a_factory_makes_the_agent_once(adapter):
    assert (await run(adapter, "factory")).value == "HELLO"


async def test_a_payload_reaches_an_agent_as_context_and_a_workflow_in_the_message(adapter):
    for name in ("shout", "chain"):
        result = await run(adapter, name, "count them", payload={"orders": 3})
        assert '"ORDERS": 3' in result.value.upper()


async def test_a_payload_without_a_text_is_the_message(adapter):
    assert (await run(adapter, "shout", "", payload={"orders": 3})).value == '{"ORDERS": 3}'


async def test_a_structured_answer_comes_back_as_json(adapter, monkeypatch):
    class Order(BaseModel):
        number: int

    monkeypatch.setitem(
        globals(),
        "structured",
        Agent(model=OfflineModel(answer=lambda text: '{"number": 5}'), output_schema=Order, use_json_mode=True),
    )
    assert (await run(adapter, "structured")).value == {"number": 5}


async def test_each_run_has_a_session_of_its_own(adapter, monkeypatch):
    seen: list[str] = []

    def remember(run_context):
        seen.append(run_context.session_id)

    monkeypatch.setitem(globals(), "watched", Agent(model=OfflineModel(), pre_hooks=[remember]))
    for execution in ("e1", "e2"):
        await adapter.run(Task(type="any", text="x"), target(f"{__name__}:watched"), call(execution))
    assert seen == ["mahavishnu-e1", "mahavishnu-e2"]


@pytest.mark.parametrize(
    ("raised", "kind", "may_have_run"),
    [
        (ValueError("odd"), Crashed, True),
        (ModelRateLimitError("slow down, rate limit reached"), Throttled, False),
        (ModelProviderError("HTTP 503 service unavailable", 503), Transient, True),
        (ModelProviderError("Connection error.", 502), Transient, True),
        (ModelProviderError("Request timed out.", 502), TimedOut, True),
        (ModelProviderError("maximum context length is 8192 tokens", 400), Unsuitable, False),
        (ModelProviderError("Incorrect API key provided", 401), AuthenticationError, False),
        (ModelAuthenticationError("OPENAI_API_KEY not set"), AuthenticationError, False),
        (ModelProviderError("something else", 500), Crashed, True),
        (TimeoutError("too slow"), TimedOut, True),
        (ConnectionResetError("gone"), Transient, True),
        (InputCheckError("prompt injection"), Refused, False),
        (RuntimeError("429 too many requests, says a tool"), Crashed, True),
    ],
    ids=lambda each: str(each)[:40],
)
async def test_what_an_agent_fails_with_becomes_one_of_the_shapes(raised, kind, may_have_run, adapter, monkeypatch):
    def answer(text):
        raise raised

    monkeypatch.setitem(globals(), "raising", agent("raising", answer))
    ended = await failure(adapter, target(f"{__name__}:raising"))
    assert (type(ended), ended.may_have_run) == (kind, may_have_run)


async def test_a_throttle_after_a_tool_was_called_may_have_run(adapter, monkeypatch):
    def throttled(text):
        raise ModelRateLimitError("rate limit")

    team = Team(members=[agent("late", throttled)], model=OfflineModel())
    monkeypatch.setitem(globals(), "team", team)
    ended = await failure(adapter, target(f"{__name__}:team"))
    assert isinstance(ended, Throttled)
    assert ended.may_have_run


@pytest.mark.parametrize("raised", [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError()])
async def test_an_agent_cannot_end_the_event_loop(raised, adapter, monkeypatch):
    def answer(text):
        raise raised

    monkeypatch.setitem(globals(), "rude", agent("rude", answer))
    assert isinstance(await failure(adapter, target(f"{__name__}:rude")), AdapterError)
    assert (await run(adapter, "shout")).value == "HELLO"


async def test_a_key_in_an_error_is_not_repeated(adapter, monkeypatch):
    def leak(text):
        raise ModelProviderError("bad key sk-abcdefghijklmnop1234", 500)

    monkeypatch.setitem(globals(), "leaking", agent("leaking", leak))
    assert "abcdefghijklmnop" not in str(await failure(adapter, target(f"{__name__}:leaking")))


async def test_retries_and_telemetry_of_the_vendor_are_switched_off_all_the_way_down(adapter, monkeypatch):
    tries: list[str] = []

    def stumble(text):
        tries.append(text)
        raise ModelProviderError("down", 503)

    stumbling = Agent(model=OfflineModel(answer=stumble, retries=2), retries=2)
    monkeypatch.setitem(globals(), "flow", Workflow(steps=[Step(name="s", agent=stumbling)]))
    await failure(adapter, target(f"{__name__}:flow"))
    assert len(tries) == 1
    assert stumbling.telemetry is False
    assert os.environ["AGNO_TELEMETRY"] == "false"


async def test_what_agno_logs_does_not_land_on_stdout(adapter, capfd, caplog):
    with caplog.at_level(logging.ERROR):
        await failure(adapter, target(f"{__name__}:faulty"))
    assert capfd.readouterr().out == ""
    assert "cannot do hello" in caplog.text


@pytest.mark.parametrize(
    ("name", "mend"),
    [
        ("no_such_module:agent", "there is no module no_such_module"),
        (f"{__name__}:shuot", 'did you mean "shout"'),
        (f"{__name__}:number", "name an Agent, Team or Workflow"),
        ("not a name", "write it as package.module:name"),
        ("http://localhost:7777/agent/echo", "end it with /agents/ID"),
        ("agents/echo", "set os_url"),
        ("nowhere/crew.toml", "there is no crew file"),
    ],
)
async def test_a_target_that_names_nothing_says_how_to_mend_it(name, mend, adapter):
    ended = await failure(adapter, target(name))
    assert isinstance(ended, Misconfigured)
    assert mend in str(ended)
    health = await adapter.health(target(name))
    assert (health.status, health.detail) == (HealthStatus.MISCONFIGURED, str(ended))


async def test_an_unknown_option_is_refused_with_the_nearest_name(adapter):
    ended = await failure(adapter, target(f"{__name__}:shout", backgruond=False))
    assert 'did you mean "background"' in str(ended)
    assert "must be true or false" in str(await failure(adapter, target(f"{__name__}:shout", background="often")))


async def test_no_more_runs_than_allowed_are_under_way_at_once(monkeypatch):
    now, most = 0, 0

    class Watched(OfflineModel):
        async def ainvoke_stream(self, messages, **given):
            nonlocal now, most
            now += 1
            most = max(most, now)
            await asyncio.sleep(0.005)
            async for word in super().ainvoke_stream(messages, **given):
                yield word
            now -= 1

    monkeypatch.setitem(globals(), "watched", Agent(model=Watched()))
    adapter = AgnoAdapter(max_concurrent=3)
    runs = (adapter.run(Task(type="any", text=f"{n}"), target(f"{__name__}:watched"), call(f"e{n}")) for n in range(12))
    results = await asyncio.gather(*runs)
    assert [result.value for result in results] == [f"Simulated answer to: {n}" for n in range(12)]
    assert most == 3


async def test_a_run_that_waits_for_its_turn_can_be_cancelled(adapter):
    narrow = AgnoAdapter(max_concurrent=1)
    first = asyncio.create_task(narrow.run(Task(type="any", text="x"), target(f"{__name__}:hanging"), call("e1")))
    second = asyncio.create_task(narrow.run(Task(type="any", text="x"), target(f"{__name__}:shout"), call("e2")))
    waiting = RunRef(target=target(f"{__name__}:shout"), execution_id="e2", run_id=None)
    while await narrow.status(waiting) is None:
        await asyncio.sleep(0)
    assert await narrow.cancel(waiting)
    with pytest.raises(Cancelled):
        await second
    first.cancel()
    await asyncio.wait({first})


async def test_a_run_in_this_process_is_seen_and_cancelled_by_another_adapter(adapter):
    announced: list[str] = []
    wanted = target(f"{__name__}:hanging")
    running = asyncio.create_task(adapter.run(Task(type="any", text="x"), wanted, call("e5", announced)))
    while not announced:
        await asyncio.sleep(0.01)
    other, ref = AgnoAdapter(), RunRef(target=wanted, execution_id="e5", run_id="e5")
    assert await other.status(ref) is Status.RUNNING
    running.cancel()
    await asyncio.wait({running})
    assert running.cancelled()
    assert await other.status(ref) is None
    assert await other.cancel(ref) is False


async def test_a_component_with_a_database_remembers_what_became_of_its_runs(adapter, monkeypatch):
    monkeypatch.setitem(globals(), "noted", Agent(id="noted", model=OfflineModel(), db=InMemoryDb()))
    await run(adapter, "noted")
    done = RunRef(target=target(f"{__name__}:noted"), execution_id="e1", run_id="e1")
    assert await AgnoAdapter().status(done) is Status.SUCCEEDED
    unknown = RunRef(target=done.target, execution_id="e2", run_id="e2")
    assert await AgnoAdapter().status(unknown) is None


def test_the_offline_model_says_that_it_is_simulated_also_without_an_event_loop():
    offline = Agent(model=OfflineModel(), telemetry=False)
    assert offline.run("hi").content == "Simulated answer to: hi"
    pieces = [event.content for event in offline.run("hi", stream=True)]
    assert "".join(pieces) == "Simulated answer to: hi"


async def test_an_answer_comes_bit_by_bit_and_each_bit_says_what_was_used(adapter):
    wanted, task = target(f"{__name__}:shout"), Task(type="any", text="one two three")
    *chunks, result = [piece async for piece in adapter.stream(task, wanted, call())]
    assert [chunk.text for chunk in chunks] == ["ONE ", "TWO ", "THREE"]
    assert isinstance(result, Result)
    assert result.value == "ONE TWO THREE"
    spent = [chunk.usage.output_tokens for chunk in chunks]
    assert spent == sorted(spent)
    assert spent[0] > 0
    assert all(chunk.usage.estimated for chunk in chunks)
    assert not result.usage.estimated


async def test_a_workflow_that_is_streamed_gives_its_answer_as_one_chunk(adapter):
    pieces = [piece async for piece in adapter.stream(Task(type="any", text="x"), target(f"{__name__}:chain"), call())]
    assert [type(piece) for piece in pieces] == [Chunk, Result]
    assert pieces[0].text == pieces[1].value == "X"


async def test_a_stream_that_is_left_early_stops_the_run(adapter, monkeypatch):
    monkeypatch.setitem(globals(), "talker", agent("talker", lambda text: "word " * 1000, word_delay_s=0.001))
    pieces = adapter.stream(Task(type="any", text="x"), target(f"{__name__}:talker"), call("e9"))
    assert (await anext(pieces)).text == "word "
    await pieces.aclose()
    ref = RunRef(target=target(f"{__name__}:talker"), execution_id="e9", run_id="e9")
    assert await adapter.status(ref) is None


# -- usage -------------------------------------------------------------------------------------------------------------


def test_cached_tokens_are_taken_out_of_the_input_unless_they_were_counted_apart():
    together = {"input_tokens": 100, "cache_read_tokens": 40, "output_tokens": 5}
    apart = together | {"details": {"model": [{"id": "claude-sonnet", "provider": "Anthropic"}]}}
    assert usage_of({"metrics": together}, 1.0).input_tokens == 60
    assert usage_of({"metrics": apart}, 1.0).input_tokens == 100


def test_nonsense_in_the_metrics_counts_as_nothing():
    body = {"metrics": {"input_tokens": -5, "output_tokens": "many", "duration": float("nan")}}
    assert usage_of(body, 2.0) == Usage(seconds=2.0)


# -- crews -------------------------------------------------------------------------------------------------------------


def crew(adapter: AgnoAdapter, name: str = "writers", mode: str = "route", *agents: Agent) -> Target:
    return adapter.create_crew(name, agents or [agent("loud"), agent("quiet", str.lower)], mode, OfflineModel())


@pytest.mark.parametrize("mode", ["route", "coordinate", "broadcast"])
async def test_a_crew_of_each_mode_does_its_task(mode, adapter):
    made = crew(adapter, "writers", mode)
    assert adapter.targets() == (made,)
    assert adapter.list_crews() == ("writers",)
    assert "HELLO LOUD ONE" in (await adapter.execute_task("writers", "Hello loud one")).value


async def test_a_crew_is_a_target_like_any_other(adapter):
    assert (await adapter.run(Task(type="any", text="Hi quiet"), crew(adapter), call())).value == "hi quiet"


async def test_a_batch_is_answered_in_order_and_a_failure_stops_no_other(adapter):
    def some(text):
        if "7" in text:
            raise ValueError("not seven")
        return text

    crew(adapter, "batch", "route", agent("some", some))
    results = await adapter.execute_task_batch("batch", [f"n{n}" for n in range(15)])
    assert [each.text for each in results] == [f"n{n}" for n in range(15)]
    assert [each.result.value for each in results if each.result] == [f"n{n}" for n in range(15) if n != 7]
    assert "not seven" in str(results[7].error)
    assert all(is_ulid(each.execution_id) for each in results)
    status = adapter.get_crew_status("batch")
    assert (status.running, status.succeeded, status.failed, status.agents) == (0, 14, 1, ["some"])
    assert sorted(adapter.get_crew_results("batch"), key=lambda each: int(each.text[1:])) == results


async def test_a_crew_that_is_cancelled_stops_what_it_does_and_what_waits(adapter):
    crew(adapter, "slow", "coordinate", hanging)
    batch = asyncio.create_task(adapter.execute_task_batch("slow", [f"n{n}" for n in range(12)]))
    while adapter.get_crew_status("slow").running < 12:
        await asyncio.sleep(0)
    assert adapter.cancel_crew("slow") == 12
    results = await batch
    assert {type(each.error) for each in results} == {Cancelled}
    assert adapter.get_crew_status("slow").running == 0


async def test_the_failure_of_a_crews_task_is_raised(adapter):
    crew(adapter, "bad", "route", faulty)
    with pytest.raises(Crashed, match="cannot do"):
        await adapter.execute_task("bad", "x")


async def test_crews_are_named_once_and_asked_for_by_name(adapter):
    crew(adapter)
    with pytest.raises(TargetExists):
        crew(adapter)
    with pytest.raises(UnknownName, match='did you mean "writers"'):
        await adapter.execute_task("writer", "x")
    with pytest.raises(UnknownName, match='did you mean "route"'):
        crew(adapter, "other", "rout")
    with pytest.raises(InvalidTarget, match="at least one"):
        adapter.create_crew("empty", [])


TOML = """
name = "desk"
mode = "route"
model = "python:mahavishnu_agno.offline:OfflineModel"

[[agents]]
name = "writer"
role = "Writes"
instructions = ["Be brief"]

[[agents]]
name = "editor"
tools = ["textwrap:shorten"]
"""

YAML = """
name: desk
model: python:mahavishnu_agno.offline:OfflineModel
agents:
  - {name: writer, role: Writes}
"""


@pytest.mark.parametrize(("suffix", "text"), [("toml", TOML), ("yaml", YAML), ("yml", YAML)])
async def test_a_crew_comes_from_a_file_and_its_target_is_good_for_another_process(suffix, text, adapter, tmp_path):
    file = tmp_path / f"desk.{suffix}"
    file.write_text(text)
    made = adapter.create_crew_from_config(str(file))
    assert adapter.get_crew_status("desk").agents[0] == "writer"
    elsewhere = AgnoAdapter()
    for each in (adapter, elsewhere):
        assert (await each.run(Task(type="any", text="hi"), made, call())).value == "Simulated answer to: hi"


def test_everything_in_a_crew_file_reaches_the_team(adapter, tmp_path):
    file = tmp_path / "desk.toml"
    file.write_text(TOML)
    adapter.create_crew_from_config(str(file))
    team = adapter._crews.find("desk").team
    writer, editor = team.members
    assert (team.mode, team.telemetry, writer.role, writer.instructions) == (
        TeamMode.route,
        False,
        "Writes",
        ["Be brief"],
    )
    assert [tool.__name__ for tool in editor.tools] == ["shorten"]
    assert writer.model is team.model


@pytest.mark.parametrize(
    ("change", "mend"),
    [
        (('mode = "route"', 'mod = "route"'), 'unknown key "mod"; did you mean "mode"'),
        (('role = "Writes"', 'roel = "Writes"'), 'unknown key "roel"; did you mean "role"'),
        (('mode = "route"', 'mode = "sing"'), "mode must be"),
        (('name = "desk"', ""), "name is missing"),
        (("[[agents]]", "[[agents"), "malformed"),
        (("mahavishnu_agno.offline:OfflineModel", "textwrap:TextWrapper"), "let it make a model of Agno"),
        (("python:mahavishnu_agno.offline:OfflineModel", "nobody:gpt"), "cannot be used"),
        (("textwrap:shorten", "textwrap:shroten"), 'did you mean "shorten"'),
    ],
    ids=lambda each: str(each)[:30],
)
def test_a_crew_file_that_is_wrong_says_where_and_how_to_mend_it(change, mend, adapter, tmp_path):
    file = tmp_path / "desk.toml"
    file.write_text(TOML.replace(*change))
    with pytest.raises(Misconfigured) as caught:
        adapter.create_crew_from_config(str(file))
    assert mend in str(caught.value)
    assert adapter.list_crews() == ()


# -- the answers of an AgentOS -----------------------------------------------------------------------------------------

OS = "http://agentos.test:7777"
ECHO = f"{OS}/agents/echo"


def events(*names_and_fields: tuple[str, dict]) -> httpx.Response:
    lines = [
        f"event: {name}\ndata: {json.dumps({'event': name, 'run_id': 'r1', **fields})}\n\n"
        for name, fields in names_and_fields
    ]
    return httpx.Response(200, headers={"content-type": "text/event-stream; charset=utf-8"}, text="".join(lines))


STARTED = ("RunStarted", {})
DONE = (
    "RunCompleted",
    {"content": "hi", "metrics": {"input_tokens": 3, "output_tokens": 1, "duration": 0.5, "cost": 0.25}},
)


@pytest.fixture
def os_():
    with respx.mock(assert_all_called=False) as router:
        yield router


async def test_a_run_is_sent_as_a_form_with_a_session_of_its_own(os_, adapter):
    route = os_.post(f"{ECHO}/runs").mock(return_value=events(STARTED, DONE))
    announced: list[str] = []
    task = Task(type="any", text="say hi", payload={"a": 1})
    result = await adapter.run(task, target(ECHO, user_id="ann"), call("e3", announced))
    sent = httpx.QueryParams(route.calls.last.request.content.decode())
    assert dict(sent) == {
        "message": "say hi",
        "stream": "true",
        "background": "true",
        "run_id": "e3",
        "session_id": "mahavishnu-e3",
        "user_id": "ann",
        "dependencies": '{"a": 1}',
        "add_dependencies_to_context": "true",
    }
    assert (result.value, result.run_id, announced) == ("hi", "r1", ["r1"])
    assert result.cost_usd == Decimal("0.25")
    assert (result.usage.agent_seconds, result.usage.input_tokens, result.usage.output_tokens) == (0.5, 3, 1)


@pytest.mark.parametrize(
    ("reply", "kind", "may_have_run"),
    [
        (httpx.Response(401, json={"detail": "Authorization header required"}), AuthenticationError, False),
        (httpx.Response(403, json={"detail": "Insufficient permissions"}), AuthorizationError, False),
        (httpx.Response(404, json={"detail": "Agent not found"}), Misconfigured, False),
        (httpx.Response(405, text="no"), Misconfigured, False),
        (httpx.Response(307, headers={"location": "/"}), Misconfigured, False),
        (httpx.Response(200, text="<html>"), Misconfigured, False),
        (httpx.Response(200, json=["no", "AgentOS"]), Misconfigured, False),
        (httpx.Response(200, headers={"content-type": "text/event-stream"}, text="data: [1]\n\n"), Transient, True),
        (httpx.Response(200, headers={"content-type": "text/event-stream"}, text="data: {\n\n"), Transient, True),
        (events(STARTED, ("RunCompleted", {"content": "hi", "metrics": "none"})), Crashed, True),
        (httpx.Response(400, json={"detail": "Background execution requires a database"}), Misconfigured, False),
        (httpx.Response(400, json={"detail": "input does not match the schema"}), Refused, False),
        (httpx.Response(413, text="too large"), Unsuitable, False),
        (httpx.Response(422, json={"detail": [{"msg": "Field required"}]}), Refused, False),
        (httpx.Response(429, json={"detail": "Job queue is full"}), Throttled, False),
        (httpx.Response(500, text="oops"), Transient, True),
        (httpx.Response(503, text="soon"), Transient, True),
        (httpx.Response(504, text="late"), TimedOut, True),
        (httpx.ConnectError("refused"), Transient, False),
        (httpx.ConnectTimeout("slow"), Transient, False),
        (httpx.ReadError("reset"), Transient, True),
        (httpx.RemoteProtocolError("peer closed"), Transient, True),
        (httpx.ReadTimeout("slow"), TimedOut, True),
        (events(STARTED), Transient, True),
        (events(STARTED, ("RunError", {"content": "odd", "error_type": "ValueError"})), Crashed, True),
        (
            events(STARTED, ("RunError", {"content": "rate limit", "error_type": "model_provider_error"})),
            Throttled,
            False,
        ),
        (events(STARTED, ("RunCancelled", {"reason": "enough"}), DONE), Cancelled, True),
        (events(STARTED, ("RunPaused", {})), Crashed, True),
    ],
    ids=str,
)
async def test_what_an_agent_os_answers_becomes_one_of_the_shapes(reply, kind, may_have_run, os_, adapter):
    given = {"side_effect": reply} if isinstance(reply, Exception) else {"return_value": reply}
    started = os_.post(f"{ECHO}/runs").mock(**given)
    os_.post(url__regex=r".*/cancel$").mock(return_value=httpx.Response(200, json={}))
    os_.get(url__regex=r".*/runs/.*").mock(return_value=httpx.Response(404))
    ended = await failure(adapter, target(ECHO))
    assert (type(ended), ended.may_have_run) == (kind, may_have_run)
    assert started.call_count == 1, "retrying is the engine's business"


async def test_a_throttle_says_when_to_come_back(os_, adapter):
    os_.post(f"{ECHO}/runs").mock(return_value=httpx.Response(429, headers={"retry-after": "7"}))
    assert (await failure(adapter, target(ECHO))).retry_after_s == 7


async def test_a_run_whose_answer_breaks_off_is_stopped_where_it_runs(os_, adapter):
    os_.post(f"{ECHO}/runs").mock(return_value=events(STARTED))
    stopped = os_.post(f"{ECHO}/runs/r1/cancel").mock(return_value=httpx.Response(200, json={}))
    os_.get(f"{ECHO}/runs/r1").mock(return_value=httpx.Response(200, json={"status": "CANCELLED"}))
    await failure(adapter, target(ECHO))
    assert stopped.called


async def test_the_key_is_sent_and_never_said(os_, monkeypatch):
    monkeypatch.setenv("MY_OS_KEY", "sesame")
    route = os_.post(f"{ECHO}/runs").mock(return_value=httpx.Response(401, json={"detail": "no"}))
    adapter = AgnoAdapter(key_env="MY_OS_KEY")
    ended = await failure(adapter, target(ECHO))
    assert route.calls.last.request.headers["authorization"] == "Bearer sesame"
    assert "sesame" not in f"{ended!r}{vars(adapter)}"
    await adapter.close()


async def test_the_key_of_one_agent_os_is_not_shown_to_another(os_, monkeypatch):
    monkeypatch.setenv("OS_SECURITY_KEY", "sesame")
    route = os_.post("http://stranger.test/agents/echo/runs").mock(return_value=events(STARTED, DONE))
    adapter = AgnoAdapter(os_url=OS)
    await adapter.run(Task(type="any", text="x"), target("http://stranger.test/agents/echo"), call())
    assert "authorization" not in route.calls.last.request.headers
    await adapter.close()


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (httpx.Response(200, json={"id": "echo", "db_id": "d"}), HealthStatus.HEALTHY),
        (httpx.Response(200, json={"id": "echo"}), HealthStatus.MISCONFIGURED),
        (httpx.Response(200, text="<html>"), HealthStatus.MISCONFIGURED),
        (httpx.Response(200, json=["odd"]), HealthStatus.MISCONFIGURED),
        (httpx.Response(401, json={"detail": "no"}), HealthStatus.UNAUTHORISED),
        (httpx.Response(403, json={"detail": "no"}), HealthStatus.UNAUTHORISED),
        (httpx.Response(404, json={"detail": "no"}), HealthStatus.MISCONFIGURED),
        (httpx.Response(429), HealthStatus.DEGRADED),
        (httpx.Response(503), HealthStatus.DEGRADED),
        (httpx.Response(504), HealthStatus.UNREACHABLE),
        (httpx.ConnectError("refused"), HealthStatus.UNREACHABLE),
        (httpx.ReadTimeout("slow"), HealthStatus.UNREACHABLE),
    ],
    ids=str,
)
async def test_health_tells_every_kind_of_trouble_apart(reply, status, os_, adapter):
    os_.get(f"{OS}/agents").mock(return_value=httpx.Response(200, json=[{"id": "ecko"}]))
    given = {"side_effect": reply} if isinstance(reply, Exception) else {"return_value": reply}
    os_.get(ECHO).mock(**given)
    health = await adapter.health(target(ECHO))
    assert health.status is status
    assert bool(health.detail) is (status is not HealthStatus.HEALTHY), "say what is wrong"


async def test_an_agent_that_is_not_there_is_answered_with_the_nearest_one(os_, adapter):
    os_.get(ECHO).mock(return_value=httpx.Response(404))
    os_.get(f"{OS}/agents").mock(return_value=httpx.Response(200, json=[{"id": "ecko"}, {"id": "x"}]))
    assert 'did you mean "ecko"' in (await adapter.health(target(ECHO))).detail


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"status": "PENDING"}, Status.RUNNING),
        ({"status": "RUNNING", "created_at": 2000}, Status.RUNNING),
        ({"status": "RUNNING", "created_at": 10}, Status.LOST),
        ({"status": "COMPLETED", "content": "hi"}, Status.SUCCEEDED),
        ({"status": "COMPLETED", "content": "x", "step_results": [{"success": False}]}, Status.FAILED),
        ({"status": "ERROR", "content": "odd"}, Status.FAILED),
        ({"status": "ERROR", "content": "Request timed out"}, Status.TIMED_OUT),
        ({"status": "ERROR", "content": "maximum context length"}, Status.UNSUITABLE),
        ({"status": "PAUSED"}, Status.FAILED),
        ({"status": "CANCELLED"}, Status.CANCELLED),
    ],
    ids=str,
)
async def test_the_status_of_a_run_is_read_from_its_body(body, status, os_, adapter):
    os_.get(f"{OS}/health").mock(
        return_value=httpx.Response(200, json={"instantiated_at": "1970-01-01T00:16:40+00:00"})
    )
    asked = os_.get(f"{ECHO}/runs/r1", params={"session_id": "mahavishnu-e1"}).mock(
        return_value=httpx.Response(200, json=body)
    )
    assert await adapter.status(RunRef(target=target(ECHO), execution_id="e1", run_id="r1")) is status
    assert asked.called


async def test_a_run_that_the_agent_os_does_not_know_has_no_status(os_, adapter):
    os_.get(f"{ECHO}/runs/r1").mock(return_value=httpx.Response(404, json={"detail": "Run not found"}))
    assert await adapter.status(RunRef(target=target(ECHO), execution_id="e1", run_id="r1")) is None


async def test_a_run_that_is_over_is_not_cancelled(os_, adapter):
    os_.get(f"{ECHO}/runs/r1").mock(return_value=httpx.Response(200, json={"status": "COMPLETED"}))
    stopped = os_.post(f"{ECHO}/runs/r1/cancel")
    assert await adapter.cancel(RunRef(target=target(ECHO), execution_id="e1", run_id="r1")) is False
    assert not stopped.called


async def test_what_an_agent_os_has_is_ready_to_be_added(os_):
    os_.get(f"{OS}/agents").mock(return_value=httpx.Response(200, json=[{"id": "echo", "db_id": "d"}]))
    os_.get(f"{OS}/teams").mock(
        return_value=httpx.Response(200, json=[{"id": "echo"}, {"id": "my team", "db_id": "d"}])
    )
    os_.get(f"{OS}/workflows").mock(return_value=httpx.Response(200, json=[]))
    adapter = AgnoAdapter(os_url=f"{OS}/")
    found = {each.name: each for each in await adapter.discover()}
    assert {name: each.run for name, each in found.items()} == {
        "echo": f"{OS}/agents/echo",
        "team:echo": f"{OS}/teams/echo",
        "my-team": f"{OS}/teams/my team",
    }
    assert found["team:echo"].options == {"background": False}, "it has no database"
    await adapter.close()


async def test_without_an_agent_os_there_is_nothing_to_discover(adapter):
    with pytest.raises(Misconfigured, match="set os_url"):
        await adapter.discover()
