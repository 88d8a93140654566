"""Settings: where each one comes from, and what is said about a wrong one."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from mahavishnu.cli.operations.init import template
from mahavishnu.errors import SettingsError
from mahavishnu.model import Target
from mahavishnu.policies.adaptive import Adaptive
from mahavishnu.policies.statistical import Statistical
from mahavishnu.redaction import shown_url
from mahavishnu.settings import Settings, find_config, load_settings, variables

ROOT = Path(__file__).parents[2]
TARGET = '[targets.a]\nrun = "x:y"\ntask_types = "etl"\n'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(text: str, environ: dict[str, str] | None = None, overrides: dict[str, Any] | None = None) -> Settings:
    Path("m.toml").write_text(text, encoding="utf-8")
    return load_settings(Path("m.toml"), environ or {}, overrides or {})


def complaint(text: str, environ: dict[str, str] | None = None, overrides: dict[str, Any] | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        load(text, environ, overrides)
    return str(caught.value)


# -- where settings come from ------------------------------------------------------------------------------------------


def test_without_any_file_everything_is_at_its_default():
    assert load_settings(None, {}, {}) == Settings()


def test_a_flag_beats_the_environment_and_the_environment_beats_the_file():
    text = '[store]\nurl = "sqlite:///file.db"\nlease_s = 30\n[attempts]\nretries = 7\n'
    environ = {"MAHAVISHNU_STORE_URL": "sqlite:///environment.db", "MAHAVISHNU_ATTEMPTS_RETRIES": "8"}
    settings = load(text, environ, {"store": {"url": "sqlite:///flag.db"}})
    assert settings.store.url == "sqlite:///flag.db"
    assert settings.attempts.retries == 8
    assert settings.store.lease_s == 30
    assert load(text, environ).store.url == "sqlite:///environment.db"
    assert load(text).store.url == "sqlite:///file.db"


def test_every_setting_outside_the_free_tables_has_a_variable():
    assert len(variables()) == 40
    for variable, (table, key) in variables().items():
        value = getattr(getattr(Settings(), table), key)
        assert load_settings(None, {variable: str(value)}, {}) == Settings()


def test_an_empty_variable_counts_as_not_set():
    assert load("[attempts]\nretries = 7\n", {"MAHAVISHNU_ATTEMPTS_RETRIES": ""}).attempts.retries == 7


def test_variables_of_others_are_not_looked_at():
    assert load_settings(None, {"MAHA": "1", "STORE_URL": "x", "_MAHAVISHNU_COMPLETE": "x"}, {}) == Settings()


def test_the_file_is_looked_for_in_config_and_then_here():
    assert find_config(None, {}) is None
    Path("mahavishnu.toml").touch()
    assert find_config(None, {}) == Path("mahavishnu.toml")
    Path("config").mkdir()
    Path("config/mahavishnu.toml").touch()
    assert find_config(None, {}) == Path("config/mahavishnu.toml")
    assert find_config(None, {"MAHAVISHNU_CONFIG": "other.toml"}) == Path("other.toml")
    assert find_config(Path("named.toml"), {"MAHAVISHNU_CONFIG": "other.toml"}) == Path("named.toml")


def test_a_byte_order_mark_is_no_mistake():
    Path("m.toml").write_text("[attempts]\nretries = 7\n", encoding="utf-8-sig")
    assert load_settings(Path("m.toml"), {}, {}).attempts.retries == 7


def test_targets_keep_the_order_of_the_file_as_their_place():
    settings = load("".join(TARGET.replace("targets.a", f"targets.{name}") for name in ("zoe", "amy", "max")))
    assert [(name, each.name, each.place) for name, each in settings.targets.items()] == [
        ("zoe", "zoe", 0),
        ("amy", "amy", 1),
        ("max", "max", 2),
    ]


@pytest.mark.parametrize(
    ("cost", "dollars"), [("0.002", "0.002"), ('"0.002"', "0.002"), ("3", "3"), ('"1e-6"', "0.000001")]
)
def test_a_cost_is_exactly_what_was_typed(cost: str, dollars: str):
    target = load(TARGET + f"cost_per_run = {cost}\n").targets["a"]
    assert target.cost_model.per_run_usd == Decimal(dollars)


def test_one_task_type_needs_no_list():
    assert load(TARGET).targets["a"].task_types == {"etl"}
    assert load(TARGET.replace('"etl"', '["etl", "elt"]')).targets["a"].task_types == {"etl", "elt"}


def test_in_python_a_target_may_be_given_as_it_is():
    target = Target(name="a", adapter="local", run="x:y", task_types=frozenset({"etl"}), place=5)
    assert Settings(targets={"a": target}).targets == {"a": target}


def test_the_options_of_policies_and_adapters_are_handed_on_unread():
    settings = load("[policies.mine]\nanything = [1, 2]\n[adapters.far.deep]\nx = 1\n")
    assert settings.policies == {"mine": {"anything": [1, 2]}}
    assert settings.adapters == {"far": {"deep": {"x": 1}}}


# -- what is said about a wrong one ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[routing]\npolcy = "x"', 'm.toml: unknown key "polcy" in [routing]; did you mean "policy"?'),
        ("[routng]\nx = 1", 'm.toml: unknown table [routng]; did you mean "routing"?'),
        ("retries = 1", 'm.toml: unknown key "retries" above the tables.'),
        (TARGET + "enabld = true", 'm.toml: unknown key "enabld" in [targets.a]; did you mean "enabled"?'),
        (
            '[targets.a]\nrun = "x:y"\ntask_typs = "etl"',
            'unknown key "task_typs" in [targets.a]; did you mean "task_types"?',
        ),
        ('[targets.a]\nrun = "x:y"', '[targets.a] lacks the key "task_types"; add it.'),
        ("store = 1", "[store] must be a table, not 1."),
        ("[policies]\nx = 1", '"x" in [policies] must be a table, not 1.'),
        ("[store]\nurl = 1", '"url" in [store] must be a text in quotes, not 1.'),
        ('[store]\nurl = ""', '"url" in [store] is empty; give it a value or take the line out.'),
        ('[attempts]\nretries = "5"', '"retries" in [attempts] must be a whole number, not "5".'),
        ("[attempts]\nretries = true", '"retries" in [attempts] must be a whole number, not true.'),
        ("[attempts]\nretries = 1.5", '"retries" in [attempts] must be a whole number, not 1.5.'),
        ("[attempts]\nretries = -1", '"retries" in [attempts] must be at least 0, not -1.'),
        ("[attempts]\ntimeout_ms = 0", '"timeout_ms" in [attempts] must be at least 1, not 0.'),
        (
            "[attempts]\ntimeout_ms = 9999999999",
            '"timeout_ms" in [attempts] must be at most 604800000, not 9999999999.',
        ),
        ("[breaker]\nfailure_rate = 0", '"failure_rate" in [breaker] must be above 0.0, not 0.'),
        ("[breaker]\nfailure_rate = nan", '"failure_rate" in [breaker] must be a finite number, not NaN.'),
        (TARGET + "cost_per_run = -1", '"cost_per_run" in [targets.a] is negative: -1.'),
        (TARGET + "cost_per_run = nan", '"cost_per_run" in [targets.a] is not an amount of dollars: nan.'),
        (TARGET + 'cost_per_run = "dear"', '"cost_per_run" in [targets.a] is not an amount of dollars: dear.'),
        (TARGET + "cost_per_run = true", '"cost_per_run" in [targets.a] is not an amount of dollars: True.'),
        (TARGET + "cost_per_run = 1e9", '"cost_per_run" in [targets.a] is more than 1000000 dollars'),
        (TARGET + "max_concurrent = 0", '"max_concurrent" in [targets.a] must be at least 1, not 0.'),
        (TARGET + 'enabled = "no"', '"enabled" in [targets.a] must be true or false, not "no".'),
        (TARGET.replace('"etl"', "[1]"), '"task_types" in [targets.a] must be a list of names, not [1].'),
        (TARGET.replace('"etl"', "[]"), "m.toml: task_types of [targets.a] is empty"),
        (TARGET.replace("targets.a", 'targets."a b"'), "m.toml: name of [targets.a b] must be one word"),
        (TARGET.replace("x:y", " "), "m.toml: run of [targets.a] is empty"),
        ("[store\n", "m.toml, line 1, column 7: is not valid TOML: "),
        ("[store]\nurl = sqlite\n", "m.toml, line 2, column 7: is not valid TOML: invalid value; mend that line."),
    ],
)
def test_a_mistake_in_the_file_is_named_with_its_place(text: str, sentence: str):
    assert sentence in complaint(text)
    assert complaint(text).startswith("m.toml")


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("MAHAVISHNU_STOR_URL", "x", 'no setting has this name; did you mean "MAHAVISHNU_STORE_URL"?'),
        ("MAHAVISHNU_TARGETS_A", "x", "no setting has this name"),
        ("MAHAVISHNU_NONSENSE", "x", "no setting has this name; unset it."),
        ("MAHAVISHNU_ATTEMPTS_RETRIES", "many", 'must be a whole number, not "many".'),
        ("MAHAVISHNU_ATTEMPTS_RETRIES", "-1", 'must be at least 0, not "-1".'),
        ("MAHAVISHNU_STORE_LEASE_S", "nan", 'must be a finite number, not "nan".'),
        ("MAHAVISHNU_BREAKER_FAILURE_RATE", "2", 'must be at most 1.0, not "2".'),
    ],
)
def test_a_mistake_in_the_environment_is_named_with_its_variable(variable: str, value: str, sentence: str):
    said = complaint("", {variable: value})
    assert said.startswith(f"{variable}: ")
    assert sentence in said


def test_a_mistake_in_a_flag_is_not_blamed_on_the_file():
    assert complaint("", {}, {"store": {"url": ""}}).startswith("flags: ")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: None, "there is no such file; name another one, or write it with: mahavishnu init."),
        (lambda path: path.mkdir(), "is a folder; name the file in it."),
        (lambda path: path.write_bytes(b"\xff"), "is not UTF-8 (byte 0); save it as UTF-8."),
    ],
)
def test_a_named_file_that_cannot_be_read_says_why(make: Any, sentence: str):
    make(Path("named.toml"))
    with pytest.raises(SettingsError) as caught:
        load_settings(Path("named.toml"), {}, {})
    assert str(caught.value) == f"named.toml: {sentence}"


# -- secrets -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["postgresql://me:s3cret@host/db", "postgresql://host/db?user=me&password=s3cret"])
def test_a_password_in_the_file_is_refused(url: str):
    said = complaint(f'[store]\nurl = "{url}"\n')
    assert "set MAHAVISHNU_STORE_PASSWORD instead" in said
    assert "s3cret" not in said


@pytest.mark.parametrize(
    ("url", "whole"),
    [
        ("postgresql://me@host/db", "postgresql://me:p%40%2Fss@host/db"),
        ("postgresql://host/db?sslmode=require", "postgresql://:p%40%2Fss@host/db?sslmode=require"),
        ("postgresql://me:@/db?host=/run/pg", "postgresql://me:p%40%2Fss@/db?host=/run/pg"),
        ("postgresql://me:own@host/db", "postgresql://me:own@host/db"),
        ("sqlite:///a.db", "sqlite:///a.db"),
    ],
)
def test_the_password_of_the_environment_is_put_into_the_url(url: str, whole: str):
    environ = {"MAHAVISHNU_STORE_URL": url, "MAHAVISHNU_STORE_PASSWORD": "p@/ss"}
    assert load_settings(None, environ, {}).store.url == whole


@pytest.mark.parametrize(
    "url",
    ["postgresql://me:s3cret@host/db", "postgresql://me:s3:c/r@s3cret@host/db", "postgresql://host/db?password=s3cret"],
)
def test_settings_never_show_a_password(url: str):
    settings = load_settings(None, {"MAHAVISHNU_STORE_URL": url}, {"adapters": {"far": {"api_key": "s3cret", "n": 1}}})
    assert "s3cret" not in repr(settings.store)
    assert "s3cret" not in str(settings.redacted())
    assert settings.redacted()["adapters"]["far"] == {"api_key": "***", "n": 1}
    assert shown_url(url) != url


# -- the template ------------------------------------------------------------------------------------------------------


def test_the_repository_holds_the_file_that_init_writes():
    assert (ROOT / "config/mahavishnu.toml").read_text(encoding="utf-8") == template()
    assert load(template()).model_copy(update={"policies": {}, "adapters": {}}) == Settings()


def test_the_template_names_every_setting_with_its_default():
    """Every line that is a setting is uncommented; the example target at the end stays what it is, prose."""
    lines = template().split("# A target is one thing")[0].splitlines()
    uncommented = "\n".join(line.removeprefix("# ") if _is_setting(line) else line for line in lines)
    settings = load(uncommented)
    for table in ("store", "routing", "evidence", "lake", "alerts", "attempts", "breaker", "limits"):
        assert getattr(settings, table) == getattr(Settings(), table)
        assert getattr(settings, table).model_fields_set == set(type(getattr(settings, table)).model_fields)
    for name, policy in (("adaptive", Adaptive), ("statistical", Statistical)):
        assert policy(**settings.policies[name]) == policy()
        assert set(settings.policies[name]) == set(policy.__dataclass_fields__)


def _is_setting(line: str) -> bool:
    name, equals, _ = line.removeprefix("# ").partition(" = ")
    return line.startswith("# ") and bool(equals) and name.isidentifier()


def test_the_example_target_of_the_template_works():
    example = template().split("For example:\n#\n")[1]
    target = load("\n".join(line.removeprefix("# ") for line in example.splitlines())).targets["summarise"]
    assert target.takes("summarise")
    assert target.cost_model.per_run_usd == 0
