"""The command itself: settings, help, exits, pipes, doctor and init."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import mahavishnu.cli.tasks.records
from mahavishnu.cli.operations.init import template

COMMANDS = [
    ["init"], ["targets", "add"], ["targets", "list"], ["targets", "show"], ["targets", "enable"],
    ["targets", "disable"], ["targets", "remove"], ["route"], ["execute"], ["run"], ["outcome"], ["decisions"],
    ["workflow", "run"], ["workflow", "status"], ["workflow", "list"], ["workflow", "cancel"], ["workflow", "resume"],
    ["executions"], ["routing", "stats"], ["store", "upgrade"], ["store", "info"], ["store", "get"], ["doctor"],
]  # fmt: skip


# -- help --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself_with_an_example_and_takes_the_common_flags(cli: Any, command: list[str]):
    ended = cli(*command, "--help")
    assert ended.code == 0
    assert f"Example: mahavishnu {' '.join(command)}" in " ".join(ended.out.split())
    assert all(flag in ended.out for flag in ("--config", "--store", "--debug"))


def test_without_a_command_it_shows_what_there_is(cli: Any):
    ended = cli()
    assert ended.code == 0
    assert all(command[0] in ended.out for command in COMMANDS)


def test_it_says_its_version(cli: Any):
    assert cli("--version").out == f"mahavishnu {version('mahavishnu')}\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["rout"], 'No such command "rout"; did you mean'),
        (["targets"], "Missing command; see: mahavishnu targets --help"),
        (["decisions", "--last", "0"], 'Invalid value for "--last"'),
        (["decisions", "surplus"], "Got unexpected extra argument"),
    ],
)
def test_a_command_line_that_cannot_be_meant_exits_2_and_names_the_help(cli: Any, arguments: list[str], sentence: str):
    ended = cli(*arguments)
    assert ended.code == 2
    assert sentence in ended.sentence
    assert ended.sentence.endswith(" --help")


def test_help_needs_nothing_heavy():
    """Start-up is what a shell user waits for: no database, no engine, no validation library before it is needed."""
    program = (
        "import sys; from mahavishnu.cli.main import run; run(['--version']); "
        "print({'sqlalchemy', 'alembic', 'pydantic', 'rich', 'mahavishnu.engine'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1] == "set()"


# -- settings ----------------------------------------------------------------------------------------------------------


def test_the_flag_beats_the_environment_and_the_environment_the_file(cli: Any, monkeypatch: pytest.MonkeyPatch):
    def used(*flags: str) -> str:
        return str(cli.ok("store", "info", *flags)["url"])

    Path("mahavishnu.toml").write_text('[store]\nurl = "sqlite:///file.db"\n')
    assert used() == "sqlite:///file.db"
    monkeypatch.setenv("MAHAVISHNU_STORE_URL", "sqlite:///variable.db")
    assert used() == "sqlite:///variable.db"
    assert used("--store", "sqlite:///flag.db") == "sqlite:///flag.db"


def test_flags_may_stand_before_the_command_and_after_it_and_the_later_one_wins(cli: Any):
    for name in ("one", "two"):
        Path(f"{name}.toml").write_text(f'[store]\nurl = "sqlite:///{name}.db"\n')
    assert cli.ok("--config", "one.toml", "store", "info")["url"] == "sqlite:///one.db"
    assert cli.ok("store", "info", "--config", "one.toml")["url"] == "sqlite:///one.db"
    assert cli.ok("--config", "one.toml", "store", "info", "--config", "two.toml")["url"] == "sqlite:///two.db"
    assert cli.ok("--store", "sqlite:///a.db", "store", "info", "--store", "sqlite:///b.db")["url"] == "sqlite:///b.db"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[store\n", "broken.toml, line 1, column 7: is not valid TOML: "),
        ('[routing]\npolcy = "x"\n', 'broken.toml: unknown key "polcy" in [routing]; did you mean "policy"?'),
        ('[routing]\npolicy = "dice"\n', 'There is no policy "dice"; mahavishnu doctor shows what there is.'),
        ("[policies.statistical]\nmin_sample = 5\n", "min_samples"),
        ("[adapters.local]\npaths = 5\n", "[adapters.local]: option "),
    ],
)
def test_a_mistake_in_the_configuration_exits_2_in_one_sentence(cli: Any, text: str, sentence: str):
    Path("broken.toml").write_text(text)
    ended = cli("targets", "list", "--config", "broken.toml")
    assert ended.code == 2
    assert sentence in ended.sentence


def test_an_unknown_variable_exits_2(cli: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MAHAVISHNU_STORE_ULR", "x")
    ended = cli("decisions")
    assert ended.code == 2
    assert ended.sentence == 'MAHAVISHNU_STORE_ULR: no setting has this name; did you mean "MAHAVISHNU_STORE_URL"?'


def test_a_password_of_the_environment_is_never_shown(cli: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MAHAVISHNU_STORE_URL", "postgresql://me@127.0.0.1:1/db")
    monkeypatch.setenv("MAHAVISHNU_STORE_PASSWORD", "s3cret")
    for arguments in (["decisions"], ["decisions", "--debug"], ["doctor"], ["doctor", "--json"]):
        ended = cli(*arguments)
        assert ended.code == 4
        assert "s3cret" not in ended.out + ended.err
        assert "postgresql://me:***@127.0.0.1:1/db" in " ".join((ended.out + ended.err).split())


def test_init_writes_the_whole_configuration_once(cli: Any):
    assert cli("init").out == "Wrote config/mahavishnu.toml.\n"
    assert Path("config/mahavishnu.toml").read_text(encoding="utf-8") == template()
    Path("config/mahavishnu.toml").write_text("[attempts]\nretries = 9\n")
    again = cli("init")
    assert again.code == 2
    assert again.sentence.startswith("config/mahavishnu.toml: already exists and is left as it is")
    assert Path("config/mahavishnu.toml").read_text() == "[attempts]\nretries = 9\n"
    assert cli("init", "--config", "sub/folder/other.toml").code == 0
    assert cli.ok("decisions", "--config", "sub/folder/other.toml") == []
    assert cli("init", "--config", "functions.py/x.toml").code == 2


# -- ends --------------------------------------------------------------------------------------------------------------


def test_a_traceback_is_shown_only_with_debug(cli: Any, monkeypatch: pytest.MonkeyPatch):
    assert cli("targets", "show", "x").sentence.startswith("There is no target")
    for ended in (cli("targets", "show", "x", "--debug"), cli("--debug", "targets", "show", "x")):
        assert ended.code == 2
        assert "Traceback" in ended.err
        assert ended.err.splitlines()[-1].startswith("There is no target")
    monkeypatch.setenv("MAHAVISHNU_DEBUG", "1")
    assert "Traceback" in cli("targets", "show", "x").err


def test_a_bug_is_told_in_one_sentence_and_exits_70(cli: Any, monkeypatch: pytest.MonkeyPatch):
    def bug(execution: object) -> None:
        raise ZeroDivisionError("by zero")

    cli.add("shout")
    cli.ok("execute", "x", "-t", "say")
    monkeypatch.setattr(mahavishnu.cli.tasks.records, "execution_shape", bug)
    ended = cli("executions")
    assert ended.code == 70
    assert "This is a bug in mahavishnu" in ended.sentence
    assert "ZeroDivisionError: by zero" in ended.sentence
    assert "--debug" in ended.sentence
    assert "Traceback" in cli("executions", "--debug").err


def test_a_reader_that_goes_away_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)
    command = [Path(sys.executable).with_name("mahavishnu"), "targets", "list", "--json"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_ctrl_c_stops_one_task_too(cli: Any):
    cli.add("interrupt")
    ended = cli.process("execute", "x", "-t", "say", "--json")
    assert (ended.code, ended.out) == (130, "")
    assert json.loads(ended.err)["error"]["code"] == "stopped"
    assert [each["status"] for each in cli.ok("executions")] == ["cancelled"]


def test_the_shell_completes_names_of_targets_and_task_types(cli: Any):
    Path("mahavishnu.toml").write_text('[targets.shed]\nrun = "functions:shout"\ntask_types = "sing"\n')

    def offered(words: str) -> list[str]:
        ended = cli.process(
            _MAHAVISHNU_COMPLETE="complete_bash", COMP_WORDS=f"mahavishnu {words}", COMP_CWORD=str(len(words.split()))
        )
        return sorted(ended.out.split())

    assert offered("targets show sh") == ["shed"]
    assert not Path("mahavishnu.db").exists()
    cli.add("shout")
    assert offered("targets show sh") == ["shed", "shout"]
    assert offered("route x --task-type s") == ["say", "sing"]


# -- doctor ------------------------------------------------------------------------------------------------------------


def rows(ended: Any) -> dict[str, dict[str, str]]:
    assert all(set(row) == {"check", "status", "detail", "mend"} for row in ended.json)
    return {row["check"]: row for row in ended.json}


def test_doctor_finds_nothing_wrong_where_all_is_well(cli: Any):
    cli.add("shout")
    ended = cli("doctor", "--json")
    assert ended.code == 0
    found = rows(ended)
    assert {found[check]["status"] for check in ("python", "mahavishnu", "configuration", "store")} == {"ok"}
    assert found["adapter local"]["status"] == "ok"
    assert found["policy statistical"]["status"] == "ok"
    assert found["target shout"]["status"] == "ok"
    assert all(row["status"] == "ok" or row["mend"] for row in ended.json)
    assert "target shout" in cli("doctor").out


def test_doctor_says_what_to_install(cli: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mahavishnu.cli.operations.doctor.find_spec", lambda module: None)
    found = rows(cli("doctor", "--json"))
    assert found["library prefect"]["status"] == "missing"
    assert found["library prefect"]["mend"] == 'pip install "mahavishnu[prefect]"'
    assert found["library psycopg"]["mend"] == 'pip install "mahavishnu[postgres]"'


def test_doctor_reports_a_target_that_cannot_run(cli: Any):
    cli("targets", "add", "later", "--run", "nowhere:f", "--task-type", "t", "--no-check")
    ended = cli("doctor", "--json")
    assert ended.code == 1
    row = rows(ended)["target later"]
    assert row["status"] == "broken"
    assert "nowhere" in row["detail"]
    assert cli("targets", "disable", "later").code == 0
    assert cli("doctor").code == 0


def test_doctor_works_where_the_configuration_is_broken(cli: Any):
    Path("mahavishnu.toml").write_text("[store\n")
    ended = cli("doctor", "--json")
    assert ended.code == 1
    found = rows(ended)
    assert found["configuration"]["status"] == "broken"
    assert "line 1" in found["configuration"]["detail"]
    assert found["store"]["status"] == "warning"
    assert found["adapter local"]["status"] == "ok"


def test_doctor_works_where_the_options_of_a_plugin_are_wrong(cli: Any):
    Path("mahavishnu.toml").write_text("[policies.statistical]\nmin_sample = 5\n")
    ended = cli("doctor", "--json")
    assert ended.code == 1
    assert "min_samples" in rows(ended)["engine"]["detail"]


def test_doctor_works_where_the_store_is_broken_and_exits_4(cli: Any):
    Path("mahavishnu.db").write_text("this is no database, and long enough not to be taken for an empty one" * 20)
    ended = cli("doctor", "--json")
    assert ended.code == 4
    row = rows(ended)["store"]
    assert row["status"] == "broken"
    assert row["mend"]
    assert json.dumps(ended.json)
