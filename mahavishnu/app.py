"""The composition root: the one place where settings become a running orchestrator."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mahavishnu.engine.clock import SystemClock
from mahavishnu.engine.supervision import said
from mahavishnu.errors import (
    Contained,
    InputError,
    MahavishnuError,
    Misconfigured,
    PluginBroken,
    PluginMissing,
    UnknownName,
)
from mahavishnu.plugins import available_policies, load_adapter, load_policy, make
from mahavishnu.ports import Adapter, Clock, Policy, Store
from mahavishnu.redaction import learn
from mahavishnu.redaction.logs import guard_logs
from mahavishnu.settings import EvidenceSettings, Settings, load_settings, secrets_of
from mahavishnu.storage import open_store

if TYPE_CHECKING:
    from mahavishnu.engine.orchestrator import UnifiedOrchestrator
    from mahavishnu.engine.routing.evidence import Stat
    from mahavishnu.engine.workflows.runner import WorkflowRunner

log = logging.getLogger("mahavishnu.engine")

LONG_TAIL = 5_000
"""Facts after the newest snapshot from which on opening publishes a new one, for the next start to begin from."""


@dataclass(frozen=True, slots=True)
class App:
    """A running mahavishnu."""

    settings: Settings
    store: Store
    adapters: Mapping[str, Adapter]
    orchestrator: UnifiedOrchestrator
    workflows: WorkflowRunner
    clock: Clock = field(default_factory=SystemClock)

    async def stats_of_last(self, days: int) -> Sequence[Stat]:
        """What is known of the last days, each of which counts in full."""
        from mahavishnu.engine.routing.evidence import stat_of
        from mahavishnu.jobs.scores import scorecards_of, scoring_of

        window = EvidenceSettings(decay_per_day=1, window_days=days)
        scoring = scoring_of(self.settings)
        cards = await scorecards_of(self.store, self.clock, window)
        return [stat_of(card, scoring) for _, card in sorted(cards.items(), key=lambda each: each[0][::-1])]


def make_store(settings: Settings) -> Store:
    """The store of these settings, not yet opened."""
    keep_secrets(settings)
    return _make_store(settings, SystemClock())


def _make_store(settings: Settings, clock: Clock) -> Store:
    store = settings.store
    return open_store(store.url, clock, lease_s=store.lease_s, patience_s=store.patience_s, lake=settings.lake.folder)


def keep_secrets(settings: Settings) -> None:
    """Have every secret that the settings and the environment tell of hidden in what this process shows, stores and
    logs. It stays so when the app is closed: the last error is often shown after that.
    """
    learn(*secrets_of(settings, os.environ))
    guard_logs()


@asynccontextmanager
async def open_app(
    settings: Settings | None = None, *, adapters: Sequence[str] = (), clock: Clock | None = None
) -> AsyncIterator[App]:
    """Open the store, load what the settings and the store name (and the `adapters` named here), and run.

    Without settings, those of the working directory and the environment. An adapter that cannot be loaded is no reason
    not to start: its targets stand aside and say why. `clock` is the one clock of everything in the App; without it,
    that is the host's.
    """
    # The engine is imported here: a command that only reads the store has no need of it.
    from mahavishnu.engine.orchestrator import UnifiedOrchestrator
    from mahavishnu.engine.workflows.runner import WorkflowRunner
    from mahavishnu.jobs.scores import fold, scoring_of
    from mahavishnu.storage.spool import spool_of

    settings = settings or load_settings(None, os.environ, {})
    keep_secrets(settings)
    clock = SystemClock() if clock is None else clock
    async with AsyncExitStack() as stack:
        store = _make_store(settings, clock)
        await store.open()
        stack.push_async_callback(store.close)
        wanted = {"local", *adapters, *settings.adapters}
        wanted |= {target.adapter for target in (*settings.targets.values(), *await store.targets())}
        loaded, absent = _load_adapters(settings, sorted(wanted))
        for name, adapter in loaded.items():
            stack.push_async_callback(_closed, name, adapter)
        policies, broken = _load_policies(settings)
        orchestrator = UnifiedOrchestrator(
            store, loaded, absent, policies, scoring_of(settings), clock, settings, broken
        )
        orchestrator.collector.spool_into(spool_of(settings.store.url, store.process_id, settings.store.spool))
        await stack.enter_async_context(orchestrator)
        if orchestrator.tail >= LONG_TAIL:
            await fold(store, clock, settings.evidence)
        workflows = WorkflowRunner(orchestrator, store, clock, settings)
        yield App(settings, store, loaded, orchestrator, workflows, clock)


def _load_adapters(settings: Settings, names: Sequence[str]) -> tuple[dict[str, Adapter], dict[str, str]]:
    loaded: dict[str, Adapter] = {}
    absent: dict[str, str] = {}
    for name in names:
        crash = Contained()
        with crash:
            loaded[name] = make(load_adapter(name), settings.adapters.get(name, {}), where=f"[adapters.{name}]")
            continue
        match crash.failure:
            case PluginMissing() | PluginBroken() | UnknownName() | Misconfigured():
                absent[name] = str(crash.failure)
            case MahavishnuError():
                raise crash.failure
            case _:
                absent[name] = str(PluginBroken(plugin=name, problem=said(crash.failure)))
    return loaded, absent


async def _closed(name: str, adapter: Adapter) -> None:
    """Close an adapter; what it raises is logged, and keeps nothing else from being closed."""
    crash = Contained()
    with crash:
        await adapter.close()
        return
    closing = asyncio.current_task()
    if isinstance(crash.failure, asyncio.CancelledError) and closing is not None and closing.cancelling():
        raise crash.failure
    log.error("adapter %s could not be closed: %s", name, said(crash.failure))


def _load_policies(settings: Settings) -> tuple[dict[str, Policy], dict[str, InputError]]:
    """Every policy that is installed, and why the others cannot be used.

    One that cannot be used stops only what asks for it. The settings ask for their default policy, and for those that
    they have a table for.
    """
    policies: dict[str, Policy] = {}
    broken: dict[str, InputError] = {}
    asked_for = {*settings.policies, settings.routing.policy}
    for name in sorted({*available_policies(), *asked_for}):
        crash = Contained()
        with crash:
            policy = make(load_policy(name), settings.policies.get(name, {}), where=f"[policies.{name}]")
            if not (policy.name and policy.version):
                raise ValueError("it has no name or no version")
            policies[name] = policy
            continue
        if isinstance(crash.failure, KeyboardInterrupt | asyncio.CancelledError):
            raise crash.failure
        if isinstance(crash.failure, InputError):
            broken[name] = crash.failure
        else:
            broken[name] = PluginBroken(plugin=name, problem=said(crash.failure))
        if name in asked_for:
            raise broken[name] from crash.failure
    return policies, broken
