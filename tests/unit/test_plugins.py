"""Plugins: absent, missing a library, broken, unknown; and built from a table of settings."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import BaseModel, Field

from mahavishnu.errors import PluginBroken, PluginMissing, SettingsError, UnknownName
from mahavishnu.plugins import available_adapters, available_policies, load_adapter, load_policy, make
from mahavishnu_local import LocalAdapter


@pytest.fixture
def bring(tmp_path, monkeypatch):
    """Install a distribution of one module and its entry points, as a package manager leaves it on the disk."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    before = set(sys.modules)

    def bring_one(distribution: str, module: str, source: str, *entries: str, group: str = "mahavishnu.adapters"):
        (tmp_path / f"{module}.py").write_text(source)
        info = tmp_path / f"{distribution.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *entries]))

    yield bring_one
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_built_in_plugins_come_through_the_strangers_door():
    adapters = available_adapters()
    assert adapters["local"].value == "mahavishnu_local:LocalAdapter"
    assert adapters["local"].dist.name == "mahavishnu"
    assert {"preference", "statistical"} <= available_policies().keys()
    assert load_adapter("local") is LocalAdapter


def test_a_stranger_is_found_with_its_distribution(bring):
    bring("night-shift", "night_shift", "class Night: ...", "night = night_shift:Night")
    assert available_adapters()["night"].dist.name == "night-shift"
    assert load_adapter("night").__name__ == "Night"


def test_a_policy_is_no_adapter(bring):
    bring("wise", "wise_policy", "class Wise: ...", "wise = wise_policy:Wise", group="mahavishnu.policies")
    assert load_policy("wise").__name__ == "Wise"
    with pytest.raises(UnknownName, match='There is no adapter "wise"; mahavishnu doctor shows what there is'):
        load_adapter("wise")


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UnknownName, match='There is no policy "statistic"; did you mean "statistical"'):
        load_policy("statistic")


def test_nobody_takes_over_a_built_in_name(bring):
    bring("aaa", "usurper", "class Local: ...", "local = usurper:Local")
    bring("zzz", "usurper_too", "class Local: ...", "local = usurper_too:Local")
    assert load_adapter("local") is LocalAdapter


def test_a_missing_library_of_our_own_plugin_names_the_extra(bring, monkeypatch):
    bring("mahavishnu", "mahavishnu_late", "import a_vendor.client", "late = mahavishnu_late:Late")
    # The first distribution of a name hides the others, so this one must be found before the real one.
    sys.path.insert(0, sys.path.pop())
    with pytest.raises(PluginMissing) as caught:
        load_adapter("late")
    assert caught.value.module == "a_vendor"
    assert 'pip install "mahavishnu[late]"' in str(caught.value)


def test_a_missing_library_of_a_strangers_plugin_is_named(bring):
    bring("night-shift", "night_shift", "import a_vendor.client", "night = night_shift:Night")
    with pytest.raises(PluginMissing, match="a_vendor, which is not installed; run: pip install a_vendor"):
        load_adapter("night")


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("raise ValueError('no luck')", "ValueError: no luck"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("def (", "SyntaxError"),
        ("class Day: ...", "AttributeError: module 'night_shift' has no attribute 'Night'"),
        ("import night_shift.parts", "ModuleNotFoundError: No module named 'night_shift.parts'"),
        ("Night = 3", "night_shift:Night is int and cannot be called"),
    ],
)
def test_whatever_else_breaks_a_plugin_is_told_apart_from_a_missing_library(bring, source, problem):
    bring("night-shift", "night_shift", source, "night = night_shift:Night")
    with pytest.raises(PluginBroken) as caught:
        load_adapter("night")
    assert problem in str(caught.value)
    assert "night-shift" in str(caught.value)


class Plain:
    def __init__(self, url: str, retries: Annotated[int, Field(ge=0)] = 2, paths: Sequence[Path] = ()) -> None:
        if url == "nowhere":
            raise ValueError("url leads nowhere")
        self.options = (url, retries, paths)


@dataclass(frozen=True, kw_only=True)
class Declared:
    order: tuple[str, ...] = ()
    share: float = 0.1


class Open:
    def __init__(self, url: str = "", **more: int) -> None:
        self.options = (url, more)


class Modelled(BaseModel):
    port: int = 80


class Bare:
    """Has no options."""


class Unreadable:
    def __init__(self, url: "NoSuchType" = None) -> None: ...  # noqa: F821 - the mistake that is tested


def test_options_are_the_constructors_parameters_in_the_types_that_it_names():
    assert make(Plain, {"url": "u", "retries": 3, "paths": ["a"]}, "[x]").options == ("u", 3, [Path("a")])
    assert make(Declared, {"order": ["b", "a"], "share": 1}, "[x]") == Declared(order=("b", "a"), share=1.0)
    assert make(Open, {"url": "u", "depth": 3}, "[x]").options == ("u", {"depth": 3})
    assert isinstance(make(Bare, {}, "[x]"), Bare)


@pytest.mark.parametrize(
    ("factory", "options", "sentence"),
    [
        (Plain, {"url": "u", "retrys": 3}, 'unknown option "retrys" (did you mean "retries"?)'),
        (Plain, {"url": "u", "zebra": 3}, 'unknown option "zebra"; it has url, retries, paths'),
        (Bare, {"zebra": 3}, 'unknown option "zebra"; it has no options'),
        (Plain, {}, 'option "url" is missing'),
        (Plain, {"url": "u", "retries": "hunter2"}, 'option "retries" must be a whole number'),
        (Plain, {"url": "u", "retries": -1}, 'option "retries" must be at least 0'),
        (Declared, {"order": ["a", 3]}, 'option "order"[1] must be a text'),
        (Plain, {"url": "nowhere"}, "url leads nowhere"),
        (Modelled, {"port": "hunter2"}, "must be a whole number"),
    ],
)
def test_a_wrong_option_is_one_sentence_with_its_table_and_never_its_value(factory, options, sentence):
    with pytest.raises(SettingsError) as caught:
        make(factory, options, "mahavishnu.toml, [adapters.x]")
    assert str(caught.value).startswith("mahavishnu.toml, [adapters.x]: ")
    assert sentence in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_options_whose_types_cannot_be_read_are_the_plugins_fault():
    with pytest.raises(PluginBroken, match="NoSuchType"):
        make(Unreadable, {"url": "u"}, "[adapters.x]")
