"""Keys that a server hands back, in every place that it can put them: none is shown, stored or logged."""

import base64
import http.server
import json
import logging
import os
import threading
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import pytest

from mahavishnu.errors import AdapterError
from mahavishnu.model import Target, Task
from mahavishnu.plugins import load_adapter
from mahavishnu.ports import Call
from mahavishnu.settings import Settings

KEY = "pl4nted+Key/9f8e7d6c=5b4a-Zz"
LOGIN = "ann:" + KEY

WAYS = ("body", "json", "object", "nested", "reason", "header", "location", "malformed", "encoded", "cut")
STATUSES = (401, 403, 404, 422, 429, 500)
ANSWERS = [("json", status) for status in STATUSES]
ANSWERS += [(way, STATUSES[-place % len(STATUSES)]) for place, way in enumerate(WAYS) if way != "json"]


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers /WAY-STATUS/… with the headers that it was sent."""

    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(size)
        way, _, status = self.path.split("/")[1].partition("-")
        sent = self.headers.get("Authorization", "")
        if way == "malformed":
            self.wfile.write(f"HTTP/1.1 {sent}\x00\r\n\r\n".encode())
            self.close_connection = True
            return
        given = {"Authorization": sent, "X-Api-Key": KEY}
        words = f"the proxy refuses: {self.command} {self.path}\n{self.headers}X-Api-Key: {KEY}\n"
        bodies = {
            "json": json.dumps(dict.fromkeys(("detail", "exception_message", "message"), words)),
            "object": json.dumps({"detail": given, "exception_detail": given, "error": {"message": given}}),
            "nested": json.dumps({"detail": json.dumps(given), "error": {"message": json.dumps(given)}}),
            "encoded": f"{quote(KEY, safe='')} {base64.b64encode(LOGIN.encode()).decode()} {KEY!r} http:/u:{KEY}@host/",
            # Whatever is kept of it, the cut goes through the key.
            "cut": "x" * (300 - len("Prefect answered 500 to GET /x: ") - len(KEY)) + f"{sent} {sent} {sent} " * 40,
        }
        body = bodies.get(way, words).encode()
        self.send_response(302 if way == "location" else int(status), sent if way == "reason" else None)
        if way == "header":
            self.send_header("WWW-Authenticate", sent)
            self.send_header("Retry-After", sent)
        if way == "location":
            self.send_header("Location", f"http://ann:{KEY}@127.0.0.1/login/{KEY}?token={KEY}")
        self.send_header("Content-Type", "application/json" if body[:1] == b"{" else "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer  # noqa: N815 - as http.server looks for them

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo) as running:
        running.daemon_threads = True
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def keys(monkeypatch):
    monkeypatch.setenv("A_VARIABLE", KEY)
    monkeypatch.setenv("ANOTHER", LOGIN)


def leaks(text: str) -> list[str]:
    """What of the key is in a text, in whatever form."""
    forms = {KEY, KEY[: len(KEY) // 2], quote(KEY, safe=""), quote(KEY), json.dumps(KEY)[1:-1]}
    forms |= {base64.b64encode(f"{before}{KEY}".encode()).decode()[8:28] for before in ("", "a", "ab", "ann:")}
    return sorted(form for form in forms if form in text)


def with_url(name: str, url: str):
    """The adapter of a name and a target of it, both at a URL of the echoing server."""
    options, run = {
        "prefect": ({"api_url": f"{url}/api", "api_key_env": "A_VARIABLE", "patience_ms": 1}, "etl/nightly"),
        "prefect with a password": (
            {"api_url": f"{url}/api", "basic_auth_env": "ANOTHER", "patience_ms": 1},
            "etl/nightly",
        ),
        "agno": ({"os_url": url, "key_env": "A_VARIABLE"}, "agents/echo"),
        "llamaindex": ({"server_url": url, "key_env": "A_VARIABLE"}, f"{url}/workflows/echo"),
        "openai": ({"base_url": f"{url}/v1", "api_key_env": "A_VARIABLE"}, "gpt"),
    }[name]
    adapter = load_adapter(name.split()[0])(**options)
    return adapter, Target(name="t", adapter=adapter.name, run=run, task_types={"chat"})


async def said_by(adapter, target) -> list[str]:
    """Everything that is said about health, discovery, and a run, with what the errors are made of."""
    said = []

    async def announce(_: str) -> None: ...

    call = Call(execution_id="01KB2Q7YV0S3J4N5P6R7T8V9WX", deadline_s=5, idempotency_key=None, announce=announce)
    for ask in (
        lambda: adapter.health(target),
        adapter.discover,
        lambda: adapter.run(Task(type="chat", text="hello"), target, call),
    ):
        try:
            said.append(repr(await ask()))
        except AdapterError as failure:
            said += [str(failure), repr(failure), repr(failure.args), repr(vars(failure))]
            logging.getLogger("mahavishnu.engine").error("it failed: %s", failure, exc_info=failure)
    await adapter.close()
    return said


@pytest.mark.parametrize("name", ["prefect", "prefect with a password", "agno", "llamaindex", "openai"])
async def test_no_error_of_an_adapter_and_no_log_repeats_the_key_that_a_server_echoes(name, server, caplog):
    from mahavishnu.redaction.logs import guard_logs

    guard_logs()
    caplog.set_level(logging.DEBUG)
    told = 0
    for way, status in ANSWERS:
        said = await said_by(*with_url(name, f"{server}/{way}-{status}"))
        told += len(said)
        assert leaks("\n".join(said)) == [], (way, status, said)
    assert told > 3 * len(ANSWERS)
    assert leaks(caplog.text) == []
    assert "it failed: " in caplog.text


SETTINGS = """
[attempts]
retries = 0
[adapters.prefect]
api_url = "{server}/{way}-500/api"
api_key_env = "A_VARIABLE"
patience_ms = 1
[adapters.agno]
os_url = "{server}/{way}-500"
key_env = "A_VARIABLE"
[adapters.openai]
base_url = "{server}/{way}-404/v1"
api_key_env = "A_VARIABLE"
[adapters.llamaindex]
server_url = "{server}/{way}-429"
key_env = "A_VARIABLE"
[targets.prefect]
adapter = "prefect"
run = "etl/nightly"
task_types = ["prefect"]
[targets.agno]
adapter = "agno"
run = "agents/echo"
task_types = ["agno"]
[targets.openai]
adapter = "openai"
run = "gpt"
task_types = ["openai"]
options = {{ extra = {{ user_token = "{key}" }} }}
[targets.llamaindex]
adapter = "llamaindex"
run = "{server}/{way}-429/workflows/echo"
task_types = ["llamaindex"]
"""


def test_no_command_prints_and_no_store_keeps_what_a_proxy_echoes(server, cli, caplog, folder):
    caplog.set_level(logging.DEBUG)
    Path("mahavishnu.toml").write_text(SETTINGS.format(server=server, way="json", key=KEY), encoding="utf-8")
    ended = [cli("targets", "check", "--json"), cli("doctor", "--json"), cli("targets", "discover", "--json")]
    ended += [cli("targets", "list"), cli("targets", "show", "openai", "--json")]
    for engine in ("prefect", "agno", "openai", "llamaindex"):
        ended.append(cli("execute", "hello", "-t", engine, "--json"))
        ended.append(cli("--debug", "execute", "hello", "-t", engine))
    ended += [cli("executions", "--json"), cli("decisions", "--json"), cli("store", "info")]
    assert [leaks(each.out + each.err) for each in ended] == [[] for _ in ended]
    failed = {each["target"]: each["error"] for each in json.loads(ended[-3].out)}
    assert set(failed) == {"prefect", "agno", "openai", "llamaindex"}
    assert all(failed.values())
    kept = [
        path.read_bytes().decode("latin-1")
        for path in folder.rglob("*")
        if path.name != "mahavishnu.toml" and path.is_file()
    ]
    assert any("SQLite format" in text for text in kept)
    assert [leaks(text) for text in kept] == [[] for _ in kept]
    assert leaks(caplog.text) == []


def test_what_a_function_quotes_in_its_crash_is_hidden_and_what_it_returns_is_not(cli, monkeypatch):
    monkeypatch.setenv("SERVICE_API_KEY", "Tr0ub4dor-and-3")
    Path("leaky.py").write_text(
        "import os\n"
        "def crash(text):\n    raise KeyError('no ' + os.environ['SERVICE_API_KEY'] + ' in password=' + text)\n"
        "def give(text):\n    return {'password': text}\n",
        encoding="utf-8",
    )
    for name in ("crash", "give"):
        cli.ok("targets", "add", name, "--run", f"leaky:{name}", "--task-type", name)
    crashed = cli("--debug", "execute", "hunter2", "-t", "crash", "--json")
    assert crashed.json["error_code"] == "task-failed"
    assert "KeyError: 'no *** in password=***" in crashed.json["error"]
    assert "Tr0ub4dor" not in crashed.out + crashed.err
    assert cli.ok("execute", "hunter2", "-t", "give", "--json")["value"] == {"password": "hunter2"}
    # The task that was given is the user's own, and is kept as it is; the error is not.
    assert not any("Tr0ub4dor" in path.read_bytes().decode("latin-1") for path in Path().glob("mahavishnu.db*"))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:/u:PLANTED@127.0.0.1:1/db",
        "postgresql:u:PLANTED@127.0.0.1/db",
        "postgresql//u:PLANTED@127.0.0.1/db",
        "postgresql://u:PLANTED/db",
        "postgresql://127.0.0.1:1/db?PASSWORD=PLANTED",
        "postgresql://127.0.0.1:1/db?pass%77ord=PLANTED",
        "postgresql://127.0.0.1:1/db?sslpassword=PLANTED&sslmode=none",
        "mysql:\\\\u:PLANTED@host",
    ],
)
def test_a_store_url_that_is_wrong_is_refused_without_its_password(cli, url):
    for arguments in (["store", "info"], ["doctor", "--json"], ["--debug", "targets", "list"]):
        ended = cli("--store", url, *arguments)
        assert ended.code == 4
        assert "PLANTED" not in ended.out + ended.err
        assert "bug in mahavishnu" not in ended.err


@pytest.mark.parametrize(
    ("url", "mend"),
    [
        ("sqlite:///x.db?mode=ro&uri=true", 'no options, and "mode" is one; write sqlite:///x.db.'),
        ("postgresql://h/db?PASSWORD=x", "write password instead"),
        ("postgresql://h/db?plugin=x", 'has no option "plugin"; take it out'),
        ("postgresql://h/db?sslmode=a&sslmode=b", '"sslmode" is given more than once; give it once'),
    ],
)
def test_an_option_that_a_store_does_not_have_is_refused_with_the_mend(cli, url, mend):
    ended = cli("--store", url, "store", "info")
    assert ended.code == 4
    assert mend in ended.sentence


def test_settings_print_and_repeat_no_key():
    settings = Settings(adapters={"far": {"apiKey": KEY, "headers": {"X-Api-Key": KEY}, "api_keys": [KEY]}})
    assert leaks(repr(settings) + str(settings.redacted())) == []


def test_the_words_of_an_environment_that_is_no_secret_stay(cli, monkeypatch):
    monkeypatch.setenv("MAHAVISHNU_STORE_PASSWORD", "postgres")
    with suppress(KeyError):
        del os.environ["PGPASSWORD"]
    ended = cli("--store", "postgresql://ada@127.0.0.1:1/postgresql", "store", "info")
    assert "postgresql://ada:***@127.0.0.1:1/postgresql" in ended.sentence
