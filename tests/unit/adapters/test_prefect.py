"""The Prefect adapter against every answer that a server may give: what is sent, and what each answer means."""

import asyncio
import itertools
import json
import socket
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
import respx

from mahavishnu import plugins
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
    Transient,
    Unsuitable,
)
from mahavishnu.model import ANY, HealthStatus, Result, Status, Target, Task
from mahavishnu.ports import Call, Discovers, Priced, RunRef
from mahavishnu_prefect import PrefectAdapter, deliver
from mahavishnu_prefect.handover import Delivery

URL = "http://prefect.test/api"
RUN_ID = "11111111-1111-1111-1111-111111111111"
SCHEMA = {
    "title": "Parameters",
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "rows": {"type": "integer", "default": 1},
        "note": {"type": "string"},
        "order": {"$ref": "#/definitions/Order"},
    },
    "required": ["text"],
    "definitions": {
        "Order": {"type": "object", "properties": {"lines": {"type": "array", "items": {"type": "integer"}}}}
    },
}
TASK = Task(type="etl", text="hello")

FIND = "/deployments/name/etl/nightly"
BEGIN = "/deployments/d-1/create_flow_run"
ASK = f"/flow_runs/{RUN_ID}"
SET = f"{ASK}/set_state"
HANDED_OVER = "/artifacts/filter"

numbers = itertools.count()


def deployment(**changed: Any) -> dict[str, Any]:
    given = {"id": "d-1", "name": "nightly", "flow_id": "f-1", "work_pool_name": "pool", "status": "READY"}
    return {**given, "parameters": {}, "parameter_openapi_schema": SCHEMA, "enforce_parameter_schema": True, **changed}


def flow_run(type_: str = "COMPLETED", name: str = "Completed", message: str | None = None, **changed: Any) -> Any:
    state = {"type": type_, "name": name, "message": message}
    return {"id": RUN_ID, "name": "quick-hound", "flow_id": "f-1", "state": state, "total_run_time": 2.5, **changed}


SCHEDULED = flow_run("SCHEDULED", "Late")


@pytest.fixture
def server():
    """A server that answers everything well; a test says what it answers instead."""
    with respx.mock(base_url=URL, assert_all_called=False) as answers:
        answers.get(FIND, name="find").respond(json=deployment())
        answers.post(BEGIN, name="begin").respond(201, json=SCHEDULED)
        answers.get(ASK, name="ask").respond(json=flow_run())
        answers.post(SET, name="set").respond(json={"status": "ACCEPT"})
        answers.post(HANDED_OVER, name="handed_over").respond(json=[{"data": {"value": {"rows": 3}}}])
        answers.get("/work_pools/pool", name="pool").respond(json={"name": "pool", "status": "READY"})
        answers.post("/deployments/filter", name="deployments").respond(json=[deployment()])
        answers.post("/flows/filter", name="flows").respond(json=[{"id": "f-1", "name": "etl"}])
        yield answers


@pytest.fixture
async def adapter(monkeypatch):
    for variable in ("PREFECT_API_KEY", "PREFECT_API_AUTH_STRING"):
        monkeypatch.delenv(variable, raising=False)
    adapter = PrefectAdapter(api_url=URL, poll_ms=1, patience_ms=300)
    yield adapter
    await adapter.close()


def target(run: str = "etl/nightly", **options: Any) -> Target:
    return Target(name="nightly", adapter="prefect", run=run, task_types=frozenset({"etl"}), options=options)


def call(key: str | None = None, announced: list[str] | None = None) -> Call:
    async def announce(run_id: str) -> None:
        if announced is not None:
            announced.append(run_id)

    return Call(execution_id=f"e-{next(numbers)}", deadline_s=30.0, idempotency_key=key, announce=announce)


def ref(run_id: str | None = RUN_ID) -> RunRef:
    return RunRef(target=target(), execution_id="e", run_id=run_id)


def sent(route: respx.Route) -> Any:
    return json.loads(route.calls.last.request.content)


async def failure_of(adapter: PrefectAdapter, wanted: Target | None = None, task: Task = TASK) -> AdapterError:
    with pytest.raises(AdapterError) as caught:
        await adapter.run(task, wanted or target(), call())
    assert str(caught.value)
    return caught.value


# -- a run that goes well ----------------------------------------------------------------------------------------------


async def test_a_completed_run_brings_what_its_flow_delivered(adapter, server):
    data = {"value": [1, 2], "cost_usd": "0.25", "quality": 0.5}
    server["handed_over"].respond(json=[{"data": data}])
    result = await adapter.run(TASK, target(), call())
    assert (result.value, result.cost_usd, result.quality, result.run_id) == ([1, 2], Decimal("0.25"), 0.5, RUN_ID)
    assert sent(server["handed_over"])["artifacts"] == {
        "flow_run_id": {"any_": [RUN_ID]},
        "key": {"any_": [f"mahavishnu-{RUN_ID}"]},
    }


async def test_a_run_is_charged_for_the_seconds_that_it_ran_and_not_for_those_that_it_waited(adapter, server):
    assert (await adapter.run(TASK, target(), call())).usage.seconds == 2.5


async def test_a_flow_that_delivers_nothing_has_no_value_and_tells_its_state(adapter, server):
    server["ask"].respond(json=flow_run(message="All states completed."))
    server["handed_over"].respond(json=[])
    result = await adapter.run(TASK, target(), call())
    assert result.value is None
    assert result.detail == {"flow_run": "quick-hound", "state": "Completed: All states completed."}


async def test_the_id_of_a_run_is_announced_before_its_end_is_waited_for(adapter, server):
    announced: list[str] = []
    seen: list[list[str]] = []
    server["ask"].mock(side_effect=lambda request: seen.append(list(announced)) or httpx.Response(200, json=flow_run()))
    await adapter.run(TASK, target(), call(announced=announced))
    assert seen[0] == announced == [RUN_ID]


@pytest.mark.parametrize("name", ["Late", "AwaitingRetry", "Completed", "Suspended"])
async def test_only_the_type_of_a_state_says_that_a_run_has_ended(adapter, server, name):
    waiting = httpx.Response(200, json=flow_run("PAUSED", name))
    server["ask"].side_effect = [waiting, waiting, httpx.Response(200, json=flow_run(name="Whatever"))]
    assert (await adapter.run(TASK, target(), call())).value == {"rows": 3}
    assert server["ask"].call_count == 3


# -- what is sent ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "options", "parameters"),
    [
        (TASK, {}, {"text": "hello"}),
        (Task(type="etl", text="hello", payload={"text": "payload"}), {}, {"text": "payload"}),
        (Task(type="etl", payload={"rows": 3}), {"text": "usual"}, {"text": "usual", "rows": 3}),
        (TASK, {"rows": 7, "text": "usual"}, {"rows": 7, "text": "hello"}),
        (Task(type="etl", text="hello", payload={"note": None}), {}, {"text": "hello", "note": None}),
    ],
)
async def test_payload_goes_before_text_and_text_before_what_is_usual(adapter, server, task, options, parameters):
    await adapter.run(task, target(parameters=options), call())
    assert sent(server["begin"])["parameters"] == parameters


async def test_the_text_is_not_sent_to_a_flow_without_such_a_parameter(adapter, server):
    server["find"].respond(json=deployment(parameter_openapi_schema={"properties": {"rows": {"type": "integer"}}}))
    await adapter.run(TASK, target(), call())
    assert sent(server["begin"])["parameters"] == {}


async def test_options_of_the_target_are_sent_with_every_run(adapter, server):
    await adapter.run(TASK, target(tags=["nightly"], work_queue="fast", job_variables={"image": "x"}), call())
    body = sent(server["begin"])
    assert (body["tags"], body["work_queue_name"], body["job_variables"]) == (["nightly"], "fast", {"image": "x"})
    assert body["labels"]["mahavishnu.target"] == "nightly"


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ({"rows": "many"}, 'parameter "rows"'),
        ({"order": {"lines": [1, "two"]}}, 'parameter "order.lines.1"'),
        ({"row": 1}, 'has no parameter "row"; did you mean "rows"?'),
        ({"unheard-of": 1}, "it has text, rows, note, order"),
        ({"note": {"__prefect_kind": "workspace_variable", "variable_name": "token"}}, "would replace"),
        ({"note": [{"a": {"__prefect_kind": "jinja", "template": "{{ 1 }}"}}]}, "would replace"),
    ],
)
async def test_parameters_that_do_not_fit_are_refused_by_name_and_nothing_is_sent(adapter, server, payload, words):
    failure = await failure_of(adapter, task=Task(type="etl", text="hello", payload=payload))
    assert isinstance(failure, Refused)
    assert words in str(failure)
    assert not server["begin"].called


async def test_a_missing_parameter_is_refused_unless_the_deployment_has_a_default_for_it(adapter, server):
    task = Task(type="etl", payload={"rows": 1})
    assert "'text' is a required property" in str(await failure_of(adapter, task=task))
    server["find"].respond(json=deployment(parameters={"text": "usual"}))
    assert isinstance(await adapter.run(task, target(), call()), Result)


@pytest.mark.parametrize(
    "lenient",
    [
        {"enforce_parameter_schema": False},
        {"parameter_openapi_schema": None},
        {"parameter_openapi_schema": {"properties": {"rows": {"$ref": "https://elsewhere.test/rows.json"}}}},
        {"parameter_openapi_schema": {"properties": {"rows": {"type": 5}}}},
    ],
    ids=["not enforced", "no schema", "a schema that lies elsewhere", "no schema at all"],
)
async def test_where_there_is_nothing_to_check_against_the_server_has_the_last_word(adapter, server, lenient):
    server["find"].respond(json=deployment(**lenient))
    await adapter.run(Task(type="etl", payload={"rows": "many"}), target(), call())
    assert sent(server["begin"])["parameters"] == {"rows": "many"}


# -- idempotency -------------------------------------------------------------------------------------------------------


async def test_a_key_belongs_to_one_deployment_since_prefect_keeps_keys_by_flow(adapter, server):
    await adapter.run(TASK, target(), call(key="k"))
    assert sent(server["begin"])["idempotency_key"] == "d-1:k"


async def test_without_a_key_every_attempt_is_a_run_of_its_own(adapter, server):
    for _ in range(2):
        await adapter.run(TASK, target(), call())
    first, second = (json.loads(each.request.content)["idempotency_key"] for each in server["begin"].calls)
    assert first != second


async def test_a_key_whose_run_succeeded_brings_its_value_again(adapter, server):
    server["begin"].respond(200, json=flow_run())
    assert (await adapter.run(TASK, target(), call(key="k"))).value == {"rows": 3}
    assert server["begin"].call_count == 1
    assert not server["ask"].called


@pytest.mark.parametrize("ended", ["FAILED", "CRASHED", "CANCELLED"])
async def test_a_key_whose_run_did_not_succeed_begins_another(adapter, server, ended):
    old = httpx.Response(200, json=flow_run(ended))
    server["begin"].side_effect = [old, old, httpx.Response(201, json=SCHEDULED)]
    await adapter.run(TASK, target(), call(key="k"))
    keys = [json.loads(each.request.content)["idempotency_key"] for each in server["begin"].calls]
    assert keys == ["d-1:k", "d-1:k:2", "d-1:k:3"]


# -- how a run may end -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "kind", "words"),
    [
        (("FAILED", "Failed", "ValueError: bad row"), Crashed, "Failed: ValueError: bad row"),
        (("FAILED", "TimedOut", "Flow run exceeded timeout"), Crashed, "TimedOut: Flow run exceeded timeout"),
        (("CRASHED", "Crashed", "Process exited with -9"), Crashed, "Crashed: Process exited with -9"),
        (("CANCELLED", "Cancelled", None), Cancelled, "was cancelled in Prefect"),
    ],
)
async def test_a_run_that_did_not_complete_says_what_became_of_it(adapter, server, state, kind, words):
    server["ask"].respond(json=flow_run(*state))
    failure = await failure_of(adapter)
    assert type(failure) is kind
    assert words in str(failure)
    assert failure.may_have_run


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"value": 1, "cost_usd": "-1"}, "cost_usd"),
        ({"value": 1, "quality": 2}, "quality"),
        ({"value": 1, "more": 2}, "more"),
        ("no JSON", "no JSON"),
        ([1], "data"),
    ],
)
async def test_an_artifact_that_is_no_delivery_is_a_crash_that_says_so(adapter, server, data, words):
    server["handed_over"].respond(json=[{"data": data}])
    failure = await failure_of(adapter)
    assert isinstance(failure, Crashed)
    assert words in str(failure)
    assert f"mahavishnu-{RUN_ID}" in str(failure)


# -- what the server may answer ----------------------------------------------------------------------------------------

ANSWERS = [
    (400, Refused, False),
    (401, AuthenticationError, False),
    (403, AuthorizationError, False),
    (404, Misconfigured, False),
    (405, Misconfigured, False),
    (302, Misconfigured, False),
    (408, Transient, False),
    (409, Refused, False),
    (413, Unsuitable, False),
    (422, Refused, False),
    (429, Throttled, False),
    (500, Transient, True),
    (502, Transient, True),
    (503, Transient, True),
]


@pytest.mark.parametrize(("status", "kind", "may_have_run"), ANSWERS)
async def test_every_answer_to_the_beginning_of_a_run_has_its_meaning(adapter, server, status, kind, may_have_run):
    server["begin"].respond(status, json={"detail": "so it is"})
    failure = await failure_of(adapter)
    assert isinstance(failure, kind)
    assert isinstance(failure, Throttled) == (status == 429)
    assert failure.may_have_run is may_have_run
    assert f"answered {status}" in str(failure)
    assert "so it is" in str(failure)
    assert server["begin"].call_count == 1, "retrying is the engine's business"


async def test_a_database_that_is_busy_is_known_to_have_begun_nothing(adapter, server):
    server["begin"].respond(503, json={"exception_message": "Service Unavailable"})
    failure = await failure_of(adapter)
    assert isinstance(failure, Transient)
    assert not failure.may_have_run


async def test_changes_are_sent_one_at_a_time_and_questions_at_once(adapter, server):
    busy, most = 0, 0

    async def slowly(request: httpx.Request) -> httpx.Response:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await asyncio.sleep(0)
        busy -= 1
        return httpx.Response(201, json=flow_run())

    server["begin"].mock(side_effect=slowly)
    await asyncio.gather(*[adapter.run(TASK, target(), call()) for _ in range(5)])
    assert (server["begin"].call_count, most) == (5, 1)


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_before_a_run_is_begun_no_failure_can_have_had_an_effect(adapter, server, status):
    server["find"].respond(status)
    failure = await failure_of(adapter)
    assert isinstance(failure, Transient)
    assert not failure.may_have_run
    assert not server["begin"].called


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("1.5", 1.5), ("soon", None), (None, None), ("-3", None)],
)
@pytest.mark.parametrize("status", [429, 503])
async def test_the_patience_that_the_server_asks_for_is_passed_on(adapter, server, status, header, seconds):
    server["begin"].respond(status, headers={"Retry-After": header} if header else {})
    failure = await failure_of(adapter)
    assert isinstance(failure, Transient)
    assert failure.retry_after_s == seconds


async def test_patience_until_a_date_is_understood(adapter, server):
    until = format_datetime(datetime.now(UTC) + timedelta(minutes=5), usegmt=True)
    server["begin"].respond(503, headers={"Retry-After": until})
    failure = await failure_of(adapter)
    assert isinstance(failure, Transient)
    assert failure.retry_after_s == pytest.approx(300, abs=30)


async def test_an_invalid_request_is_told_by_its_field_and_not_by_what_was_in_it(adapter, server):
    told = {"loc": ["body", "job_variables", "image"], "msg": "Input should be a valid string"}
    server["begin"].respond(
        422,
        json={
            "exception_message": "Invalid request received.",
            "exception_detail": [told],
            "request_body": {"token": "s3cret"},
        },
    )
    failure = str(await failure_of(adapter))
    assert "body.job_variables.image: Input should be a valid string" in failure
    assert "s3cret" not in failure


@pytest.mark.parametrize("lost", [httpx.ReadError, httpx.ReadTimeout, httpx.RemoteProtocolError, httpx.WriteError])
async def test_a_connection_that_is_lost_while_a_run_is_begun_leaves_it_open_whether_it_was(adapter, server, lost):
    server["begin"].mock(side_effect=lost("gone"))
    failure = await failure_of(adapter)
    assert isinstance(failure, Transient)
    assert failure.may_have_run
    assert "gave no answer" in str(failure)


async def test_a_connection_that_is_refused_cannot_have_begun_anything(adapter, server):
    server["begin"].mock(side_effect=httpx.ConnectError("refused"))
    failure = await failure_of(adapter)
    assert isinstance(failure, Transient)
    assert not failure.may_have_run


async def test_a_server_that_is_not_there_is_unreachable_and_says_how_to_start_it():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/api"
        adapter = PrefectAdapter(api_url=url)
        failure = await failure_of(adapter)
        health = await adapter.health(target())
        await adapter.close()
    assert isinstance(failure, Transient)
    assert not failure.may_have_run
    assert url in str(failure)
    assert "prefect server start" in str(failure)
    assert (health.status, health.can_run) == (HealthStatus.UNREACHABLE, False)


async def test_something_else_at_the_url_is_a_wrong_url(adapter, server):
    server["find"].respond(200, html="<html>Prefect</html>")
    failure = await failure_of(adapter)
    assert isinstance(failure, Misconfigured)
    assert "usually ends in /api" in str(failure)


@pytest.mark.parametrize(("wrong", "nearest"), [("etl/nihgtly", '"etl/nightly"'), ("other/thing", "deployment ls")])
async def test_a_deployment_that_is_not_there_is_named_with_the_nearest(adapter, server, wrong, nearest):
    server.get(f"/deployments/name/{wrong}").respond(404, json={"detail": "Deployment not found"})
    failure = await failure_of(adapter, target(wrong))
    assert isinstance(failure, Misconfigured)
    assert nearest in str(failure)


@pytest.mark.parametrize("run", ["etl", "etl/", "/nightly", "a/b/c", "module:", ":flow", "no word:flow"])
async def test_a_run_that_names_nothing_says_how_to_write_it(adapter, server, run):
    failure = await failure_of(adapter, target(run))
    assert isinstance(failure, Misconfigured)
    assert "write it as flow/deployment" in str(failure)


async def test_names_with_spaces_find_their_deployment(adapter, server):
    route = server.get("/deployments/name/my%20flow/every%20night").respond(json=deployment())
    await adapter.run(TASK, target("my flow/every night"), call())
    assert route.called


# -- while a run is under way ------------------------------------------------------------------------------------------


async def test_a_server_that_is_silent_for_a_while_is_not_the_failure_of_the_run(adapter, server):
    server["ask"].side_effect = [
        httpx.Response(503),
        httpx.ConnectError("restarting"),
        httpx.Response(200, json=flow_run()),
    ]
    server["handed_over"].side_effect = [httpx.Response(503), httpx.Response(200, json=[{"data": {"value": 7}}])]
    assert (await adapter.run(TASK, target(), call())).value == 7


async def test_a_server_that_stays_silent_is_given_up_and_the_run_may_have_had_its_effect(adapter, server):
    server["ask"].mock(side_effect=httpx.ConnectError("gone"))
    failure = await failure_of(adapter)
    assert isinstance(failure, Transient)
    assert failure.may_have_run
    assert server["ask"].call_count > 1


async def test_a_key_that_is_withdrawn_meanwhile_ends_the_waiting_at_once(adapter, server):
    server["ask"].respond(401)
    failure = await failure_of(adapter)
    assert isinstance(failure, AuthenticationError)
    assert failure.may_have_run
    assert server["ask"].call_count == 1


async def test_a_run_that_is_deleted_meanwhile_is_a_crash(adapter, server):
    server["ask"].respond(404)
    failure = await failure_of(adapter)
    assert isinstance(failure, Crashed)
    assert "was deleted" in str(failure)


async def test_a_run_that_nobody_waits_for_any_more_is_cancelled_on_the_server(adapter, server):
    asked = asyncio.Event()
    server["ask"].mock(side_effect=lambda _: asked.set() or httpx.Response(200, json=flow_run("RUNNING")))
    run = asyncio.ensure_future(adapter.run(TASK, target(), call()))
    await asked.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert sent(server["set"]) == {"state": {"type": "CANCELLING"}}


async def test_a_run_that_was_being_begun_when_its_caller_left_is_cancelled_too(adapter, server):
    reached, answer = asyncio.Event(), asyncio.Event()

    async def slowly(request: httpx.Request) -> httpx.Response:
        reached.set()
        await answer.wait()
        return httpx.Response(201, json=SCHEDULED)

    server["begin"].mock(side_effect=slowly)
    server["ask"].respond(json=flow_run("RUNNING"))
    run = asyncio.ensure_future(adapter.run(TASK, target(), call()))
    await reached.wait()
    run.cancel()
    answer.set()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert server["set"].called


async def test_a_server_that_hangs_does_not_hold_up_a_caller_who_leaves(adapter, server):
    asked, never = asyncio.Event(), asyncio.Event()

    async def hang(request: httpx.Request) -> httpx.Response:
        asked.set()
        await never.wait()
        raise AssertionError("nobody answers")

    server["ask"].mock(side_effect=hang)
    run = asyncio.ensure_future(adapter.run(TASK, target(), call()))
    await asked.wait()
    run.cancel()
    await asyncio.wait({run}, timeout=2.0)
    assert run.cancelled()


# -- status and cancel -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_", "status"),
    [
        ("SCHEDULED", Status.RUNNING),
        ("PENDING", Status.RUNNING),
        ("RUNNING", Status.RUNNING),
        ("PAUSED", Status.RUNNING),
        ("CANCELLING", Status.RUNNING),
        ("COMPLETED", Status.SUCCEEDED),
        ("FAILED", Status.FAILED),
        ("CRASHED", Status.FAILED),
        ("CANCELLED", Status.CANCELLED),
    ],
)
async def test_every_type_of_state_has_its_status(adapter, server, type_, status):
    server["ask"].respond(json=flow_run(type_, "Named by its author"))
    assert await adapter.status(ref()) is status


async def test_what_the_server_does_not_know_has_no_status_and_cannot_be_cancelled(adapter, server):
    server["ask"].respond(404)
    for unknown in (ref(), ref(None)):
        assert await adapter.status(unknown) is None
        assert await adapter.cancel(unknown) is False
    assert not server["set"].called


@pytest.mark.parametrize("ended", ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"])
async def test_no_state_is_set_on_a_run_that_has_ended(adapter, server, ended):
    server["ask"].respond(json=flow_run(ended))
    assert await adapter.cancel(ref()) is False
    assert not server["set"].called


@pytest.mark.parametrize(
    ("before", "after", "cancelled"),
    [("SCHEDULED", "CANCELLED", True), ("RUNNING", "CANCELLING", True), ("RUNNING", "COMPLETED", False)],
)
async def test_whether_a_run_is_cancelled_is_read_from_its_state_and_not_from_the_reply(
    adapter, server, before, after, cancelled
):
    server["set"].respond(json={"status": "REJECT"})
    server["ask"].side_effect = [httpx.Response(200, json=flow_run(each)) for each in (before, after)]
    assert await adapter.cancel(ref()) is cancelled
    assert server["set"].call_count == 1


# -- keys --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "password", "header"),
    [
        ("k3y", None, "Bearer k3y"),
        (" k3y\n", None, "Bearer k3y"),
        (None, "ann:s3cret", "Basic YW5uOnMzY3JldA=="),
        ("k3y", "ann:s3cret", "Basic YW5uOnMzY3JldA=="),
        (None, None, None),
    ],
)
async def test_the_key_is_read_from_its_variable(adapter, server, monkeypatch, key, password, header):
    monkeypatch.setenv("PREFECT_API_KEY", key or "")
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", password or "")
    await adapter.run(TASK, target(), call())
    assert {each.request.headers.get("Authorization") for each in server.calls} == {header}


async def test_a_key_is_named_by_its_variable_and_never_shown(adapter, server, monkeypatch):
    monkeypatch.setenv("PREFECT_API_KEY", "s3cret")
    server["find"].respond(401, json={"exception_message": "Unauthorized"})
    failure = await failure_of(adapter)
    health = await adapter.health(target())
    assert "PREFECT_API_KEY or PREFECT_API_AUTH_STRING" in str(failure)
    assert health.status is HealthStatus.UNAUTHORISED
    assert "s3cret" not in f"{failure!r} {failure} {health} {adapter!r} {vars(adapter)}"


async def test_a_key_that_no_header_can_hold_is_named_by_its_variable(adapter, server, monkeypatch):
    monkeypatch.setenv("PREFECT_API_KEY", "kéy")
    failure = await failure_of(adapter)
    assert isinstance(failure, Misconfigured)
    assert "PREFECT_API_KEY" in str(failure)
    assert "kéy" not in str(failure)


# -- health ------------------------------------------------------------------------------------------------------------


async def test_a_deployment_with_a_worker_is_healthy(adapter, server):
    assert (await adapter.health(target())).status is HealthStatus.HEALTHY


@pytest.mark.parametrize(
    ("changed", "pool", "words"),
    [
        ({}, "NOT_READY", "prefect worker start --pool pool"),
        ({}, "PAUSED", "prefect work-pool resume pool"),
        ({"paused": True}, "READY", "is paused"),
        ({"work_pool_name": None, "status": "NOT_READY"}, "READY", "serve()"),
    ],
)
async def test_a_deployment_that_nobody_runs_is_degraded_and_says_what_to_start(adapter, server, changed, pool, words):
    server["find"].respond(json=deployment(**changed))
    server["pool"].respond(json={"name": "pool", "status": pool})
    health = await adapter.health(target())
    assert health.status is HealthStatus.DEGRADED
    assert words in health.detail


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (401, HealthStatus.UNAUTHORISED),
        (403, HealthStatus.UNAUTHORISED),
        (404, HealthStatus.MISCONFIGURED),
        (429, HealthStatus.DEGRADED),
        (503, HealthStatus.DEGRADED),
    ],
)
async def test_every_answer_has_its_health(adapter, server, answer, status):
    server["find"].respond(answer)
    health = await adapter.health(target())
    assert health.status is status
    assert health.detail


async def test_a_work_pool_that_is_gone_is_a_matter_of_configuration(adapter, server):
    server["pool"].respond(404)
    health = await adapter.health(target())
    assert health.status is HealthStatus.MISCONFIGURED
    assert "prefect work-pool create pool" in health.detail


# -- how it is set up --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tag": ["a"]}, 'no option "tag"; did you mean "tags"?'),
        ({"unheard-of": 1}, "it has parameters, tags, work_queue, job_variables"),
        ({"tags": "nightly"}, 'option "tags"'),
    ],
)
async def test_an_option_that_is_unknown_or_wrong_is_named(adapter, server, options, words):
    failure = await failure_of(adapter, target(**options))
    assert isinstance(failure, Misconfigured)
    assert words in str(failure)
    assert (await adapter.health(target(**options))).status is HealthStatus.MISCONFIGURED


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"api_url": "127.0.0.1:4200"}, "must begin with http"),
        ({"api_url": "http://ann:s3cret@127.0.0.1/api"}, "must not hold a password"),
        ({"poll_ms": 0}, "poll_ms"),
        ({"poll_ms": "often"}, "poll_ms"),
        ({"api_key": "s3cret"}, 'did you mean "api_key_env"?'),
    ],
)
def test_settings_that_make_no_sense_are_named_without_their_value(settings, words):
    with pytest.raises(SettingsError) as caught:
        plugins.make(PrefectAdapter, settings, "[adapters.prefect]")
    assert words in str(caught.value)
    assert "s3cret" not in str(caught.value)


async def test_deployments_need_no_library_of_prefect_and_flows_in_this_process_say_which(adapter, server, monkeypatch):
    monkeypatch.setitem(sys.modules, "prefect", None)
    assert (await adapter.run(TASK, target(), call())).value == {"rows": 3}
    failure = await failure_of(adapter, target("module:flow"))
    assert isinstance(failure, Misconfigured)
    assert 'pip install "mahavishnu[prefect]"' in str(failure)


@pytest.mark.parametrize(
    ("word", "supported"),
    [
        ("can_deploy_flows", True),
        ("can_monitor_execution", True),
        ("can_cancel_workflows", True),
        ("supports_batch_execution", True),
        ("has_cloud_ui", True),
        ("supports_multi_agent", False),
        ("streaming", False),
        ("unheard-of", False),
    ],
)
def test_the_adapter_says_what_it_can_do(word, supported):
    assert PrefectAdapter().supports(word) is supported


def test_a_second_in_the_cloud_costs_what_the_seed_says_and_one_at_home_nothing():
    adapter = PrefectAdapter()
    assert isinstance(adapter, Priced)
    assert adapter.prices["cloud"].per_second_usd == Decimal("0.0001")
    assert adapter.prices["local"].per_second_usd == 0


# -- workflows ---------------------------------------------------------------------------------------------------------


async def test_a_deployment_is_made_with_its_schedule_its_source_and_its_schema(adapter, server):
    flows = server.post("/flows/").respond(json={"id": "f-1", "name": "etl"})
    made = server.post("/deployments/").respond(201, json=deployment())
    made_id = await adapter.deploy_workflow(
        "etl/nightly",
        "flows.py:etl",
        work_pool="pool",
        source="/srv/flows",
        cron="0 3 * * 0",
        parameters={"rows": 3},
        parameter_schema=SCHEMA,
    )
    body = sent(made)
    assert made_id == "d-1"
    assert sent(flows) == {"name": "etl"}
    assert body["schedules"] == [{"schedule": {"cron": "0 3 * * 0", "timezone": "UTC"}, "active": True}]
    assert body["pull_steps"] == [{"prefect.deployments.steps.set_working_directory": {"directory": "/srv/flows"}}]
    assert (body["parameter_openapi_schema"], body["enforce_parameter_schema"]) == (SCHEMA, True)
    assert (body["name"], body["entrypoint"], body["parameters"]) == ("nightly", "flows.py:etl", {"rows": 3})


async def test_a_flow_whose_source_is_elsewhere_is_deployed_without_a_schema(adapter, server):
    server.post("/flows/").respond(json={"id": "f-1", "name": "etl"})
    made = server.post("/deployments/").respond(201, json=deployment())
    steps = [{"prefect.deployments.steps.git_clone": {"repository": "https://git.test/flows"}}]
    await adapter.deploy_workflow("etl/nightly", "flows.py:etl", work_pool="pool", pull_steps=steps)
    body = sent(made)
    assert body["enforce_parameter_schema"] is False
    assert body["pull_steps"] == steps
    assert "schedules" not in body


async def test_a_work_pool_that_is_not_there_is_named_with_the_command_that_makes_it(adapter, server):
    server.post("/flows/").respond(json={"id": "f-1", "name": "etl"})
    server.post("/deployments/").respond(404, json={"detail": 'Work pool "pool" not found.'})
    with pytest.raises(Misconfigured, match="prefect work-pool create pool"):
        await adapter.deploy_workflow("etl/nightly", "flows.py:etl", work_pool="pool")


async def test_a_workflow_is_begun_without_waiting_for_its_end(adapter, server):
    assert await adapter.execute_workflow("etl/nightly", {"text": "hello"}, idempotency_key="k") == RUN_ID
    assert sent(server["begin"]) == {"parameters": {"text": "hello"}, "idempotency_key": "d-1:k"}
    assert not server["ask"].called
    with pytest.raises(Refused, match="rows"):
        await adapter.execute_workflow("etl/nightly", {"text": "hello", "rows": "many"})


async def test_deployments_are_discovered_page_by_page_under_names_that_a_target_may_have(adapter, server):
    assert isinstance(adapter, Discovers)
    full = [deployment(id=f"d-{number}", name=f"night {number}") for number in range(200)]
    server["deployments"].side_effect = [httpx.Response(200, json=full), httpx.Response(200, json=[deployment()])]
    found = await adapter.discover()
    assert len(found) == 201
    assert (found[7].name, found[7].run) == ("etl/night-7", "etl/night 7")
    assert found[7].task_types == {ANY}
    assert sent(server["deployments"])["offset"] == 200


async def test_scheduled_jobs_of_the_house_are_not_offered_as_targets(adapter, server):
    own = deployment(name="evidence", tags=["mahavishnu-store-0123456789ab"])
    server["deployments"].side_effect = [httpx.Response(200, json=[own, deployment(id="d-2", tags=["nightly"])])]
    assert [target.run for target in await adapter.discover()] == ["etl/nightly"]


# -- what a flow delivers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [float("nan"), object(), [float("inf")], {"when": object()}])
def test_a_value_that_is_no_json_cannot_be_delivered(value):
    with pytest.raises(ValueError, match="cannot be written as JSON"):
        deliver(value)


@pytest.mark.parametrize("wrong", [{"cost_usd": -1}, {"quality": 1.5}, {"quality": float("nan")}])
def test_a_cost_or_quality_that_makes_no_sense_cannot_be_delivered(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        deliver("value", **wrong)


def test_what_is_delivered_comes_back_as_it_was():
    delivery = Delivery(value={"when": "2026-01-02"}, cost_usd=Decimal("0.1"), quality=1)
    assert Delivery.model_validate(json.loads(json.dumps(delivery.model_dump(mode="json")))) == delivery
