"""targets edit, export and import: in place, with the evidence, all or nothing, and never a secret."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from mahavishnu.model import Target

FLAGS = (
    "--run", "functions:shout", "--task-type", "say", "--task-type", "sing", "--capability", "loud",
    "--cost-per-run", "0.002", "--cost", "per_second_usd=0.0000006", "--cost", "monthly_usd=30", "--timeout-ms", "500",
    "--max-concurrent", "3", "--max-cost-usd", "0.01", "--options", '{"isolated": true}',
)  # fmt: skip


@pytest.fixture
def shout(cli: Any) -> Any:
    return cli.ok("targets", "add", "shout", *FLAGS)


def test_an_edited_target_has_only_what_was_given_changed_and_keeps_its_evidence_and_its_switch(cli: Any, shout: Any):
    cli.add("whisper")
    cli.ok("execute", "la", "-t", "sing")
    cli.ok("targets", "disable", "shout")
    ended = cli("targets", "edit", "shout", "--cost-per-run", "0.003", "--timeout-ms", "none",
                "--cost", "per_second_usd=0", "--cost", "per_query_usd=1")  # fmt: skip
    assert ended.out == (
        "Changed shout: cost_per_run 0.002 → 0.003, cost.per_second_usd 0.0000006 → -, timeout_ms 500 → -, "
        "cost.per_query_usd - → 1.\n"
    )
    shown = cli.ok("targets", "show", "shout")
    (stat,) = shown.pop("stats")
    assert (stat["task_type"], stat["n"]) == ("sing", 1)
    assert shown == {
        **shout, "enabled": False, "cost_per_run_usd": 0.003, "timeout_ms": None,
        "cost": {"per_query_usd": 1.0, "monthly_usd": 30.0, "monthly_runs": 1.0},
        "price_version": shown["price_version"],
    }  # fmt: skip
    assert shown["price_version"] != shout["price_version"]
    assert [target["name"] for target in cli.ok("targets", "list")] == ["shout", "whisper"]


def test_an_edit_tells_programs_what_was_before_and_what_is_after_without_secrets(cli: Any, shout: Any):
    edited = cli.ok("targets", "edit", "shout", "--task-type", "hum", "--capability", "none", "--no-check",
                    "--options", '{"api_key": "k-123456789"}')  # fmt: skip
    assert edited["changes"] == [
        {"field": "task_types", "before": ["say", "sing"], "after": ["hum"]},
        {"field": "capabilities", "before": ["loud"], "after": []},
        {"field": "options.isolated", "before": True, "after": None},
        {"field": "options.api_key", "before": None, "after": "***"},
    ]
    assert cli("targets", "edit", "shout", "--capability", "none").out == (
        "Nothing to change: shout already has these values.\n"
    )


@pytest.mark.usefixtures("shout")
def test_what_cannot_be_edited_says_where_to_do_it_and_changes_nothing(cli: Any):
    Path("mahavishnu.toml").write_text('[targets.filed]\nrun = "functions:whisper"\ntask_types = "say"\n')
    filed = cli("targets", "edit", "filed", "--cost-per-run", "1")
    assert (filed.code, filed.sentence) == (
        2,
        'Target "filed" is declared in mahavishnu.toml; edit [targets.filed] there.',
    )
    before = cli.ok("targets", "show", "shout")
    for flags, words in [
        ((), "give at least one option"),
        (("--run", "nowhere:f"), "or do it all the same with --no-check"),
        (("--timeout-ms", "soon"), "must be a whole number"),
        (("--cost-per-run", "much"), "much"),
    ]:
        ended = cli("targets", "edit", "shout", *flags)
        assert ended.code == 2
        assert words in ended.sentence
    assert cli.ok("targets", "show", "shout") == before
    assert 'did you mean "shout"?' in cli("targets", "edit", "shuot", "--cost-per-run", "1").sentence


def test_what_is_exported_is_imported_elsewhere_exactly_and_once(cli: Any, shout: Any):
    cli.add("whisper")
    cli.ok("targets", "disable", "whisper")
    exported = cli("targets", "export")
    assert exported.code == 0
    assert tomllib.loads(exported.out)["targets"]["shout"]["cost_per_run"] == 0.002
    assert cli("targets", "export", "targets.toml").out == "Wrote 2 targets to targets.toml.\n"
    assert Path("targets.toml").read_text() == exported.out
    elsewhere = ("--store", "sqlite:///elsewhere.db")
    assert cli("targets", "import", "targets.toml", "--dry-run", *elsewhere).out == (
        "Would have added shout.\nWould have added whisper.\n"
    )
    assert cli.ok("targets", "list", *elsewhere) == []
    imported = cli("targets", "import", "-", "--json", *elsewhere, stdin=exported.out.encode()).json
    assert imported == {"dry_run": False, "added": ["shout", "whisper"], "replaced": [], "unchanged": []}
    assert cli.ok("targets", "list", *elsewhere) == cli.ok("targets", "list")
    assert cli("targets", "import", "targets.toml", *elsewhere).out == "Unchanged: shout, whisper.\n"
    # The same tables stand in a configuration file.
    Path("mahavishnu.toml").write_text(exported.out)
    assert [row["source"] for row in cli.ok("targets", "list", "--store", "memory:")] == ["configuration"] * 2


def test_an_import_of_what_differs_is_refused_as_a_whole_unless_it_may_replace(cli: Any, shout: Any):
    cli.ok("targets", "disable", "shout")
    new = '[targets.whisper]\nrun = "functions:whisper"\ntask_types = "say"\n'
    Path("t.toml").write_text(f'{new}[targets.shout]\nrun = "functions:shout"\ntask_types = "say"\n')
    refused = cli("targets", "import", "t.toml")
    assert refused.code == 2
    assert 'target "shout" differs: task_types say, sing → say' in refused.sentence
    assert "nothing was imported, --replace puts those of the file in their place" in refused.sentence
    assert [target["name"] for target in cli.ok("targets", "list")] == ["shout"]
    Path("u.toml").write_text(f'{new}[targets.gone]\nrun = "nowhere:f"\ntask_types = "say"\n')
    assert "cannot be used" in cli("targets", "import", "u.toml").sentence
    assert [target["name"] for target in cli.ok("targets", "list")] == ["shout"]
    replaced = cli.ok("targets", "import", "t.toml", "--replace")
    assert (replaced["added"], [one["name"] for one in replaced["replaced"]]) == (["whisper"], ["shout"])
    after = cli.ok("targets", "list")
    assert [(target["name"], target["enabled"], target["timeout_ms"]) for target in after] == [
        ("shout", True, None),
        ("whisper", True, None),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[store]\nurl = 'memory:'", "holds [store]; only tables such as [targets.NAME]"),
        ("[targets.a]\nrun = 'm:f'\ntask_typs = 'x'", 'did you mean "task_types"?'),
        ("[", "is not valid TOML"),
        ("[targets.filed]\nrun = 'm:f'\ntask_types = 'x'", 'Target "filed" already exists in the configuration'),
        ("[targets.a]\nrun = 'm:f'\ntask_types = 'x'\nadapter = 'lcoal'", 'did you mean "local"?'),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused(cli: Any, text: str, words: str):
    Path("mahavishnu.toml").write_text('[targets.filed]\nrun = "functions:whisper"\ntask_types = "say"\n')
    Path("t.toml").write_text(text)
    ended = cli("targets", "import", "t.toml")
    assert ended.code == 2
    assert words in ended.sentence


def test_a_secret_is_never_exported_by_its_value(cli: Any):
    options = '{"api_key": "k-123456789", "api_key_env": "FAR_KEY", "gone": [null], "n": 1}'
    cli.ok(
        "targets", "add", "far", "--run", "functions:shout", "--task-type", "say", "--options", options, "--no-check"
    )
    cli.ok("targets", "add", "url", "--run", "http://ann:pw-12345678@far/f", "--task-type", "say", "--no-check")
    ended = cli("targets", "export")
    assert ended.code == 1
    assert "k-123456789" not in ended.out + ended.err
    assert "pw-12345678" not in ended.out + ended.err
    assert tomllib.loads(ended.out)["targets"] == {
        "far": {"run": "functions:shout", "task_types": ["say"], "options": {"api_key_env": "FAR_KEY", "n": 1}}
    }
    assert "Left out options.api_key of far: it holds a secret" in ended.err
    assert "Left out url, because its run holds a secret." in ended.err


def test_a_target_of_every_kind_comes_back_from_its_own_lines():
    from decimal import Decimal

    from mahavishnu.cli.targets.table import lines_of
    from mahavishnu.model import CostModel
    from mahavishnu.settings import read_targets

    target = Target(
        name="a.b/c",
        adapter="openai",
        run='he said "\\x7f\u00e9"',
        task_types=frozenset({"*"}),
        cost_model=CostModel(
            per_run_usd=Decimal("0.1234567890123456789"),
            monthly_usd=Decimal(1),
            monthly_runs=7,
            per_query_usd=Decimal(2),
        ),
        enabled=False,
        options={"deep er": {"list": [1, 2.5, True, "x"]}},
    )
    assert read_targets("\n".join(lines_of(target)), "here") == [target]
