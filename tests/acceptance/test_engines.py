"""engines up, targets discover and check: four real engines, their truth in each of their states, and nothing left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

COMMAND = Path(sys.executable).with_name("mahavishnu")
ENGINES = ["agno", "llamaindex", "openai", "prefect"]
KEY = "TRIAL_KEY_OF_THE_TESTS"
MARK = "MARK_OF_THE_TESTS"
RIGHT = "ann:s3same-0123"
WITHIN_S = 60.0

SLOW = """
import time
from pathlib import Path
from prefect import flow

@flow(name="count-words")
def count_words(text: str, longest: int = 3) -> None:
    Path({began!r}).touch()
    time.sleep(600)
"""


class Up:
    """`mahavishnu engines up` as a process of its own; everything that it starts carries its mark."""

    def __init__(self, folder: Path, *arguments: str, **environ: str) -> None:
        self.folder = folder
        self.mark = uuid4().hex
        self._said = folder / f"said-{self.mark}"
        mine = {name: value for name, value in os.environ.items() if not name.startswith(("MAHAVISHNU_", "PREFECT_"))}
        with self._said.open("wb") as said:
            self.process = subprocess.Popen(
                [COMMAND, "engines", "up", "--folder", str(folder), "--json", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=said,
                env={**mine, **environ, MARK: self.mark},
                cwd=folder,
                text=True,
            )
        assert self.process.stdout is not None
        self.engines: dict[str, dict[str, Any]] = {}
        self.config: Path | None = None
        for line in self.process.stdout:
            shape = json.loads(line)
            if "config" in shape:
                self.config = Path(shape["config"])
                break
            self.engines[shape["engine"]] = shape

    @property
    def said(self) -> str:
        return self._said.read_text()

    @property
    def tables(self) -> dict[str, Any]:
        assert self.config is not None, self.said
        return tomllib.loads(self.config.read_text())

    def left(self) -> list[str]:
        """The commands of all processes that it started and that still run."""
        wanted = f"{MARK}={self.mark}".encode()
        return [_read(each / "cmdline").replace(b"\0", b" ").decode() for each in _processes() if _has(each, wanted)]

    def end(self, with_signal: signal.Signals) -> int:
        if self.process.poll() is None:
            self.process.send_signal(with_signal)
        code = self.process.wait(WITHIN_S)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    def run_a_slow_flow(self) -> None:
        """Returns when it runs, in a process that the worker has started."""
        began = self.folder / f"began-{self.mark}"
        (self.folder / "prefect" / "flows" / "count_words.py").write_text(SLOW.format(began=str(began)))
        user, _, password = RIGHT.partition(":")
        with httpx.Client(base_url=self.engines["prefect"]["url"], auth=(user, password), timeout=WITHIN_S) as api:
            made = api.get("/deployments/name/count-words/sandbox").raise_for_status().json()
            order = {"parameters": {"text": "slowly"}}
            while api.post(f"/deployments/{made['id']}/create_flow_run", json=order).status_code == 503:
                time.sleep(0.2)
        until(began.exists)


def _processes() -> list[Path]:
    return list(Path("/proc").glob("[0-9]*"))


def _has(process: Path, wanted: bytes) -> bool:
    return wanted in _read(process / "environ").split(b"\0")


def _read(path: Path) -> bytes:
    """Nothing, where it has gone meanwhile."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def until(met: Callable[[], bool]) -> None:
    ends_s = time.monotonic() + WITHIN_S
    while not met():
        assert time.monotonic() < ends_s, "waited in vain"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engines")


@pytest.fixture(scope="module")
def up(home: Path) -> Iterator[Up]:
    """All four engines; the tests below share them, and the last of those stops them."""
    running = Up(home)
    yield running
    running.end(signal.SIGKILL)


@pytest.fixture
def bare(up: Up) -> Path:
    """A configuration that finds the engines and has no target yet."""
    return configuration(up.tables["adapters"])


def configuration(adapters: dict[str, dict[str, Any]]) -> Path:
    lines = [
        f"[adapters.{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
        for name, table in adapters.items()
    ]
    path = Path("bare.toml")
    path.write_text("\n".join(lines))
    return path


def healths(cli: Any, config: Path | None, code: int) -> dict[str, set[str]]:
    """What `targets check` says of each adapter's targets, with the exit code that it must have."""
    ended = cli("--config", config, "targets", "check", "--json")
    assert ended.code == code, ended.err
    found: dict[str, set[str]] = {}
    for row in ended.json:
        found.setdefault(row["adapter"], set()).add(row["status"])
        assert row["can_run"] == (row["mend"] == "")
    return found


def doctors(cli: Any, config: Path | None) -> dict[str, str]:
    """What doctor says of each target."""
    rows = cli("--config", config, "doctor", "--json").json
    return {row["check"].removeprefix("target "): row["status"] for row in rows if row["check"].startswith("target ")}


# -- all up ------------------------------------------------------------------------------------------------------------


def test_all_four_come_up_and_are_found_well_by_the_configuration_that_is_written(cli: Any, up: Up):
    assert sorted(up.engines) == ENGINES
    assert sorted(up.tables["adapters"]) == ENGINES
    assert {each["adapter"] for each in up.tables["targets"].values()} == set(ENGINES)
    assert healths(cli, up.config, 0) == {name: {"healthy"} for name in ENGINES}
    assert doctors(cli, up.config) == dict.fromkeys(up.tables["targets"], "ok")
    for shape in up.engines.values():
        assert shape["url"].startswith("http://127.0.0.1:")
        assert shape["simulated"]
        assert all(Path(log).is_file() for log in shape["logs"])


def test_what_they_have_is_discovered_added_and_then_known(cli: Any, up: Up, bare: Path):
    found = cli.ok("--config", bare, "targets", "discover")
    assert {(row["adapter"], row["state"]) for row in found} == {(name, "new") for name in ENGINES}
    people = cli("--config", bare, "targets", "discover", "--adapter", "prefect")
    assert (people.code, people.sentence) == (0, "To add them: mahavishnu targets discover --add (1 target).")
    assert "count-words/sandbox" in people.out
    assert cli.ok("--config", bare, "targets", "list") == []
    added = cli.ok("--config", bare, "targets", "discover", "--add")
    assert [row["run"] for row in added] == [row["run"] for row in found]
    assert all(row["task_types"] in (["chat"], [row["name"]]) for row in added), "none takes every task type"
    assert cli.ok("--config", bare, "targets", "discover") == []
    broken = cli.ok("--config", bare, "targets", "discover", "--include-broken")
    assert {row["name"] for row in broken} >= {"faulty", "throttled", "broken", "broken-500", "tool-caller"}
    assert all("broken_on_purpose" in row["capabilities"] for row in broken)
    for _ in range(10):
        assert cli("--config", bare, "execute", "Hello, who are you?", "-t", "chat", "--stream").code == 0
    assert "nothing that is not a target already" in cli("--config", bare, "targets", "discover").out
    assert {row["name"] for row in cli.ok("--config", bare, "targets", "list")} == {row["name"] for row in added}
    for task_type, target, value in (("echo", "echo", "Simulated answer to: hi"), ("chat", "openai:echo", "hi")):
        assert cli.ok("--config", bare, "execute", "hi", "-t", task_type, "--target", target)["value"] == value


def test_an_engine_that_cannot_be_asked_is_a_row_with_a_sentence_and_the_others_are_asked(cli: Any, up: Up):
    some = configuration(
        {"openai": up.tables["adapters"]["openai"], "llamaindex": {"server_url": "http://127.0.0.1:9"}}
    )
    rows = cli.ok("--config", some, "targets", "discover")
    assert {row["adapter"] for row in rows if row["state"] == "new"} == {"openai"}
    troubles = {row["adapter"]: row["detail"] for row in rows if row["state"] == "failed"}
    assert "os_url" in troubles["agno"]
    assert "127.0.0.1:9" in troubles["llamaindex"]
    nobody = cli("--config", some, "targets", "discover", "--adapter", "agno")
    assert (nobody.code, nobody.sentence) == (1, "No engine could be asked.")


@pytest.mark.parametrize(
    ("adapter", "run", "flags", "value", "price"),
    [
        ("agno", "{}/agents/shout", ("--deployment", "cloud"), "ONE TWO", {"agent_seconds": "0.0002"}),
        ("llamaindex", "{}/workflows/ask-docs", ("--deployment", "cloud"), None, {"queries": "0.00005"}),
        ("prefect", "count-words/sandbox", ("--deployment", "cloud"), {"words": 2, "longest": ["one", "two"]},
         {"seconds": "0.0001"}),
        ("openai", "echo", ("--cost", "per_input_token_usd=0.001", "--cost", "per_output_token_usd=0.002"), "one two",
         {"input_tokens": "0.001", "output_tokens": "0.002"}),
    ],
)  # fmt: skip
def test_a_target_added_by_hand_runs_and_is_billed_by_what_it_used(
    adapter: str, run: str, flags: tuple[str, ...], value: Any, price: dict[str, str], cli: Any, up: Up, bare: Path
):
    run = run.format(up.engines[adapter]["url"])
    flags = ("--adapter", adapter, "--run", run, "--task-type", "try", *flags)
    added = cli.ok("--config", bare, "targets", "add", "mine", *flags)
    done = cli.ok("--config", bare, "execute", "one two", "-t", "try")
    *retried, attempt = done["attempts"]  # a Prefect server that is busy refuses, and is asked again
    assert all(each["status"] == "failed" and each["cost_usd"] == 0 for each in retried), retried
    assert (done["target"], attempt["adapter"], attempt["status"]) == ("mine", adapter, "succeeded")
    assert done["value"] == value if value is not None else done["value"]
    cost = sum(Decimal(rate) * Decimal(str(attempt["usage"][unit])) for unit, rate in price.items())
    assert cost > 0
    assert done["cost_usd"] == attempt["cost_usd"] == float(round(cost, 6))
    assert attempt["price_version"] == added["price_version"]
    assert attempt["run_id"]


def test_questions_are_answered_from_this_projects_own_documents(cli: Any, bare: Path):
    wanted = ("--run", "workflows/ask-docs", "--task-type", "ask", "--options", '{"quality": "retrieval"}')
    cli.ok("--config", bare, "targets", "add", "docs", "--adapter", "llamaindex", *wanted)
    done = cli.ok("--config", bare, "execute", "What is a target?", "--task-type", "ask")
    assert "target" in done["value"].lower()
    assert "file_name" not in done["value"]
    (attempt,) = done["attempts"]
    assert 0 < attempt["quality"] <= 1


# -- one of them killed ------------------------------------------------------------------------------------------------


def test_one_that_was_killed_is_told_apart_from_the_others_that_are_well(cli: Any, up: Up):
    os.killpg(up.engines["agno"]["processes"]["agno"], signal.SIGKILL)
    until(lambda: "agno: agno ended with" in up.said)
    assert healths(cli, up.config, 1) == {name: {"unreachable" if name == "agno" else "healthy"} for name in ENGINES}
    targets = up.tables["targets"]
    assert doctors(cli, up.config) == {
        name: "broken" if each["adapter"] == "agno" else "ok" for name, each in targets.items()
    }
    row = next(each for each in cli("--config", up.config, "targets", "check", "--json").json if not each["can_run"])
    assert up.engines["agno"]["url"] in row["detail"]
    assert "start its engine" in row["mend"]
    rows = cli.ok("--config", up.config, "targets", "discover")
    assert [each["adapter"] for each in rows if each["state"] == "failed"] == ["agno"]


def test_asked_to_stop_they_all_go_though_one_was_killed(up: Up):
    assert up.process.poll() is None, "the others run on"
    assert up.end(signal.SIGTERM) == 0
    assert up.left() == []
    assert up.said.endswith(f"Stopping …\nStopped {', '.join(ENGINES)}.\n")


# -- and up again, with a key ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def locked(home: Path) -> Iterator[Up]:
    """All four again, with the data that they had, and now each asks for a key."""
    running = Up(home, "--key-env", KEY, **{KEY: RIGHT})
    yield running
    running.end(signal.SIGKILL)


def test_a_wrong_key_is_told_apart_from_a_wrong_name_and_never_said(
    cli: Any, locked: Up, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(KEY, "eve:guessed-4567")
    assert healths(cli, locked.config, 1) == {name: {"unauthorised"} for name in ENGINES}
    assert set(doctors(cli, locked.config).values()) == {"broken"}
    people = cli("--config", locked.config, "targets", "check")
    assert people.code == 1
    assert "environment variable" in people.out
    assert "guessed" not in people.out + people.err
    nobody = cli("--config", locked.config, "targets", "discover")
    assert (nobody.code, nobody.sentence) == (1, "No engine could be asked.")

    monkeypatch.setenv(KEY, RIGHT)
    assert healths(cli, locked.config, 0) == {name: {"healthy"} for name in ENGINES}
    runs = {"agno": "agents/nobody", "llamaindex": "workflows/nobody", "openai": "nobody", "prefect": "no/body"}
    for adapter, run in runs.items():
        add = ("targets", "add", f"no-{adapter}", "--adapter", adapter, "--run", run, "--task-type", "try")
        refused = cli("--config", locked.config, *add)
        assert (refused.code, "cannot be used" in refused.sentence) == (2, True)
        cli.ok("--config", locked.config, *add, "--no-check")
    names = [f"no-{adapter}" for adapter in runs]
    misnamed = cli("--config", locked.config, "targets", "check", *names, "--json")
    assert misnamed.code == 1
    assert {row["target"]: row["status"] for row in misnamed.json} == dict.fromkeys(names, "misconfigured")
    assert all("[adapters." in row["mend"] for row in misnamed.json)


def test_where_it_is_killed_outright_nothing_is_left_not_even_a_flow_that_runs(locked: Up):
    locked.run_a_slow_flow()
    assert len(locked.left()) > len(ENGINES)
    assert locked.end(signal.SIGKILL) == -signal.SIGKILL
    until(lambda: not locked.left())


# -- one of them only --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_however_it_is_asked_to_stop_it_does_and_leaves_nothing(name: str, folder: Path):
    running = Up(folder, "--only", "openai")
    assert sorted(running.engines) == ["openai"]
    assert running.end(signal.Signals[name]) == 0
    assert running.left() == []


def test_it_stops_by_itself_when_its_time_is_over(cli: Any, folder: Path):
    out = folder / "mine.toml"
    ended = cli.process("engines", "up", "--only", "openai", "--folder", "here", "--config-out", out, "--for", "0")
    assert ended.code == 0, ended.err
    assert "no model runs" in ended.out
    assert f"mahavishnu --config {out} targets check" in ended.out
    assert "model-echo" in tomllib.loads(out.read_text())["targets"]


def test_where_none_is_left_it_says_so_and_ends(folder: Path):
    running = Up(folder, "--only", "openai")
    os.killpg(running.engines["openai"]["processes"]["openai"], signal.SIGKILL)
    assert running.process.wait(WITHIN_S) == 1
    assert "none of the engines runs any longer" in running.said
    running.end(signal.SIGTERM)
    assert running.left() == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--only", "agnostic"), "agno"),
        (("--only", "local"), "no engine that could be started here"),
        (("--only", ","), "no engine is left to start"),
        (("--only", "agno", "--key-env", "NOT_SET_AT_ALL"), "NOT_SET_AT_ALL is not set"),
        (("--only", "openai", "--folder", "functions.py"), "--folder"),
        (("--only", "openai", "--config-out", "functions.py"), "already exists"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence_and_starts_nothing(arguments: tuple[str, ...], words: str, cli: Any):
    ended = cli("engines", "up", *arguments)
    assert ended.code == 2
    assert words in ended.sentence
