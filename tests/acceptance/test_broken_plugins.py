"""Broken policies and adapters of other packages: only what asks for one is stopped, and the plugin is blamed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

POLICIES = """
from mahavishnu.policies.preference import Preference

class Moody(Preference):
    name = "moody"
    def rank(self, *_):
        raise ValueError("not in the mood")

class Empty(Preference):
    name = "empty"
    def rank(self, *_):
        return None

class Unfinished:
    def __init__(self):
        raise RuntimeError("not finished")
"""

ADAPTER = """
from mahavishnu_local import LocalAdapter

class Nervous(LocalAdapter):
    name = "nervous"
    async def health(self, target):
        raise OSError("no pulse")
"""

ENTRIES = """
[mahavishnu.policies]
moody = stranger_policies:Moody
empty = stranger_policies:Empty
unfinished = stranger_policies:Unfinished
gone = stranger_policies.nosuch:Gone
[mahavishnu.adapters]
nervous = stranger_adapter:Nervous
"""


@pytest.fixture(autouse=True)
def strangers(folder: Path) -> Iterator[None]:
    """A distribution with these plugins, as a package manager leaves it on the disk."""
    site = folder / "site"
    info = site / "stranger-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRIES)
    (site / "stranger_policies.py").write_text(POLICIES)
    (site / "stranger_adapter.py").write_text(ADAPTER)
    sys.path.append(str(site))
    yield
    for name in ("stranger_policies", "stranger_adapter"):
        sys.modules.pop(name, None)


def test_a_broken_policy_that_is_not_used_stops_no_command(cli: Any):
    cli.add("shout")
    assert cli.ok("execute", "a", "-t", "say")["value"] == "A"
    assert cli("routing", "stats").code == 0


@pytest.mark.parametrize(
    ("policy", "sentence"),
    [
        ("unfinished", '"unfinished" is installed but cannot be loaded: RuntimeError: not finished; reinstall'),
        ("gone", '"gone" is installed but cannot be loaded: ModuleNotFoundError'),
        ("moody", 'The policy "moody" failed: ValueError: not in the mood. Nothing was run. Correct the policy, or'),
        ("empty", 'The policy "empty" failed: it returned NoneType and not a Ranking.'),
    ],
)
def test_a_broken_policy_that_is_asked_for_is_blamed_by_its_name(cli: Any, policy: str, sentence: str):
    cli.add("shout")
    asked_for = cli("execute", "a", "-t", "say", "--policy", policy)
    assert (asked_for.code, sentence in asked_for.sentence) == (2, True), asked_for.err
    Path("mahavishnu.toml").write_text(f'[routing]\npolicy = "{policy}"\n')
    by_default = cli("--config", "mahavishnu.toml", "execute", "a", "-t", "say")
    assert (by_default.code, sentence in by_default.sentence) == (2, True), by_default.err
    assert cli.ok("executions") == []


def test_a_policy_that_failed_leaves_no_key_behind(cli: Any):
    cli.add("shout")
    key = ("--idempotency-key", "once")
    assert cli("execute", "a", "-t", "say", "--policy", "moody", *key).code == 2
    assert cli.ok("execute", "a", "-t", "say", *key)["value"] == "A"


def test_a_health_check_that_crashes_is_blamed_on_its_adapter_with_the_mend(cli: Any):
    add = ("targets", "add", "ill", "--adapter", "nervous", "--run", "functions:shout", "--task-type", "say")
    assert cli(*add, "--no-check").code == 0
    checked = cli("targets", "check", "--json")
    (row,) = checked.json
    assert checked.code == 1
    assert row["detail"] == 'the health check of the adapter "nervous" crashed: OSError: no pulse; correct the adapter'
