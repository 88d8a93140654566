"""Adapters whose import, construction or closing raises: they stand aside, and nothing else is kept from working."""

import asyncio
from importlib.metadata import EntryPoint

import pytest

from mahavishnu import app as root
from mahavishnu import plugins
from mahavishnu.app import open_app
from mahavishnu.errors import PluginBroken
from mahavishnu.settings import load_settings

RAISED = [RuntimeError("no"), SystemExit(2), KeyboardInterrupt(), asyncio.CancelledError(), GeneratorExit()]


def settings():
    target = {"adapter": "moody", "run": "x", "task_types": ["t"]}
    return load_settings(None, {}, {"store": {"url": "memory:"}, "targets": {"ill": target}})


@pytest.mark.parametrize("failure", RAISED, ids=repr)
async def test_an_adapter_whose_construction_raises_stands_aside_with_the_reason(monkeypatch, failure):
    load = root.load_adapter

    def moody():
        raise failure

    monkeypatch.setattr(root, "load_adapter", lambda name: moody if name == "moody" else load(name))
    async with open_app(settings()) as app:
        await app.orchestrator.check_health()
        (standing,) = app.orchestrator.standings()
        assert not standing.health.can_run
        assert "moody" in standing.health.detail
        assert "local" in app.adapters


@pytest.mark.parametrize("failure", [each for each in RAISED if not isinstance(each, KeyboardInterrupt)], ids=repr)
def test_a_plugin_whose_import_raises_is_broken(monkeypatch, failure):
    class Entry(EntryPoint):
        def load(self):
            raise failure

    entry = Entry(name="moody", value="moody:Moody", group=plugins.ADAPTERS)
    monkeypatch.setattr(plugins, "available_adapters", lambda: {"moody": entry})
    with pytest.raises(PluginBroken, match=type(failure).__name__):
        plugins.load_adapter("moody")


@pytest.mark.parametrize("failure", RAISED, ids=repr)
async def test_an_adapter_whose_closing_raises_keeps_nothing_else_from_being_closed(monkeypatch, caplog, failure):
    async def close():
        raise failure

    async with open_app(settings()) as app:
        monkeypatch.setattr(app.adapters["local"], "close", close)
    assert "adapter local could not be closed" in caplog.text
    with pytest.raises(Exception, match="not open"):
        await app.store.newest()
