"""The roster: every target there is, whether it is switched on, how it is, and its breaker."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from mahavishnu.engine.routing.breaker import Breaker, BreakerState, Permit, Verdict
from mahavishnu.engine.routing.slots import Places
from mahavishnu.engine.supervision import said
from mahavishnu.errors import (
    ADD_A_TARGET,
    Contained,
    InvalidTarget,
    Misconfigured,
    TargetExists,
    TargetIsConfigured,
    UnknownName,
    nearest_name,
)
from mahavishnu.model import ANY, HEALTHY, CostModel, Health, HealthStatus, Target
from mahavishnu.model.aside import AsideRow
from mahavishnu.model.unreadable import Unreadable
from mahavishnu.ports import Adapter, Clock, Priced, Store
from mahavishnu.settings import BreakerSettings

HEALTH_TIMEOUT_S = 5.0
HEALTH_LASTS_S = 15.0

MOST_TYPES = 1_000
"""Task types whose takers are remembered at once."""

LOCAL_ONLY: Mapping[str, CostModel] = {"local": CostModel()}

CONFIGURATION = "configuration"
ADAPTER = "adapter"
STORE = "store"


@dataclass(frozen=True, slots=True)
class Standing:
    """One target as it stands now, for people to read. `asides` are the task types that it is put aside for."""

    target: Target
    enabled: bool
    source: str
    health: Health
    breaker: BreakerState
    asides: tuple[AsideRow, ...] = ()


@dataclass(slots=True)
class _Adapter:
    """What an adapter said of itself last, and what went wrong with that; every reason is a sentence."""

    targets: Sequence[Target] = ()
    prices: Mapping[str, CostModel] = field(default_factory=lambda: LOCAL_ONLY)
    no_targets: str | None = None
    no_prices: str | None = None
    no_support: str | None = None


@dataclass(slots=True)
class _Entry:
    target: Target
    source: str
    enabled: bool
    breaker: Breaker
    places: Places
    aside: str | None = None
    """Why it must not run, whatever its health check says."""
    health: Health | None = None
    checked_at_s: float = float("-inf")


class Roster:
    """Targets come from the configuration, from adapters and from the store; where names meet, the first of these wins.

    Their default order is that order, too. What was switched by hand overrides what the configuration says.
    """

    def __init__(
        self,
        configured: Mapping[str, Target],
        adapters: Mapping[str, Adapter],
        absent: Mapping[str, str],
        store: Store,
        clock: Clock,
        rules: BreakerSettings,
    ) -> None:
        self._configured = configured
        self._adapters = adapters
        self._absent = absent
        self._store = store
        self._clock = clock
        self._rules = rules
        self._entries: dict[str, _Entry] = {}
        self._known = {name: _Adapter() for name in adapters}
        self._unreadable: Sequence[Unreadable] = ()
        self._changed = asyncio.Event()
        self._taking: dict[str, list[Target]] = {}
        self.version = 0
        """Another one whenever anything has changed that admission asks for, breakers at their ease left aside."""

    # -- who there is --------------------------------------------------------------------------------------------------

    async def refresh(self) -> None:
        """Read what was added, removed and switched, here or by other processes.

        An adapter that raises keeps no other from being heard: what it named before stands aside until it works again.
        """
        added, switches = await self._store.targets(), await self._store.switches()
        self._unreadable = (*added.unreadable, *switches.unreadable)
        for name, adapter in self._adapters.items():
            self._ask_for_targets(name, adapter)
            self._ask_for_prices(name, adapter)
        found: dict[str, tuple[Target, str]] = {}
        for source, targets in (
            (CONFIGURATION, self._configured.values()),
            (ADAPTER, [target for known in self._known.values() for target in known.targets]),
            (STORE, added),
        ):
            for target in targets:
                found.setdefault(target.name, (target, source))
        fresh: dict[str, _Entry] = {}
        for place, (name, (target, source)) in enumerate(found.items()):
            entry = self._entries.get(name)
            placed = replace(target, place=place, cost_model=self._price(target))
            if entry is None or replace(entry.target, place=place) != placed:
                entry = _Entry(placed, source, target.enabled, Breaker(self._rules), Places(target.max_concurrent))
            enabled = switches.get(name, target.enabled)
            aside = self._why_aside(target, source)
            before = (entry.target, entry.enabled, entry.aside)
            if before != (placed, enabled, aside) or name not in self._entries:
                self.version += 1
                entry.target, entry.enabled, entry.aside = placed, enabled, aside
            entry.source = source
            fresh[name] = entry
        if len(fresh) != len(self._entries) or any(fresh.get(name) is not each for name, each in self._entries.items()):
            self.version += 1
        self._entries = fresh
        self._taking.clear()

    @property
    def unreadable(self) -> Sequence[Unreadable]:
        """The targets and switches of the store that this version cannot read."""
        return self._unreadable

    def complaints(self) -> Sequence[str]:
        """What is wrong with what adapters say of themselves."""
        reasons = [why for known in self._known.values() for why in (known.no_targets, known.no_prices)]
        reasons += [known.no_support for known in self._known.values()]
        return [why for why in reasons if why is not None]

    def taking(self, task_type: str) -> Sequence[Target]:
        found = self._taking.get(task_type)
        if found is None:
            found = [entry.target for entry in self._entries.values() if entry.target.takes(task_type)]
            if len(self._taking) < MOST_TYPES:
                self._taking[task_type] = found
        return found

    def target(self, name: str) -> Target:
        """Raises UnknownName, with the nearest name there is."""
        return self._entry(name).target

    def check_task_type(self, task_type: str) -> None:
        """Raises UnknownName where nobody takes it."""
        if self.taking(task_type):
            return
        if not self._entries:
            raise UnknownName(kind="task type", name=task_type, see=ADD_A_TARGET)
        known = {word for entry in self._entries.values() for word in entry.target.task_types} - {ANY}
        raise UnknownName(
            kind="task type", name=task_type, nearest=nearest_name(task_type, known), see="mahavishnu targets list"
        )

    def enabled(self, name: str) -> bool:
        return self._entries[name].enabled

    def adapter(self, target: Target) -> Adapter:
        """Raises Misconfigured where it could not be loaded."""
        adapter = self._adapters.get(target.adapter)
        if adapter is None:
            raise Misconfigured(self._why_absent(target))
        return adapter

    def capable(self, target: Target, wanted: frozenset[str]) -> frozenset[str]:
        """Of the wanted capabilities, those that the target's adapter has for all its targets."""
        adapter = self._adapters.get(target.adapter)
        if adapter is None:
            return frozenset()
        known, crash = self._known[target.adapter], Contained()
        with crash:
            able = frozenset(word for word in wanted if adapter.supports(word))
            known.no_support = None
            return able
        known.no_support = f"adapter {target.adapter} does not say what it supports: {said(crash.failure)}"
        return frozenset()

    # -- changing it ---------------------------------------------------------------------------------------------------

    async def add(self, target: Target) -> None:
        await self.put([target], {})

    async def put(
        self, targets: Sequence[Target], instead_of: Mapping[str, Target], *, forget_switches: bool = False
    ) -> None:
        """Add them, or put them in the place of those of the store, all or none; see `Targets.put_targets`."""
        for target in targets:
            self._check(target, instead_of)
        await self._store.put_targets(targets, instead_of, forget_switches=forget_switches)
        await self.refresh()

    def _check(self, target: Target, instead_of: Mapping[str, Target]) -> None:
        entry = self._entries.get(target.name)
        if entry is not None and (entry.source != STORE or target.name not in instead_of):
            raise TargetExists(target=target.name, where=f"the {entry.source}")
        if target.adapter not in self._adapters:
            near = nearest_name(target.adapter, self._adapters)
            raise UnknownName(kind="adapter", name=target.adapter, nearest=near, see="mahavishnu doctor")
        self._check_deployment(target)
        if any(row.kind == "target" and row.name == target.name for row in self._unreadable):
            raise TargetExists(target=target.name, where=STORE)

    async def remove(self, name: str) -> None:
        """One that cannot be read can be removed all the same."""
        if name not in self._entries and any(row.kind == "target" and row.name == name for row in self._unreadable):
            await self._store.remove_target(name)
            await self.refresh()
            return
        entry = self._entry(name)
        if entry.source == CONFIGURATION:
            raise TargetIsConfigured(target=name, where="the configuration file")
        if entry.source == ADAPTER:
            raise InvalidTarget(target=name, field="registration", problem="is made in code; remove it there")
        await self._store.remove_target(name)
        await self.refresh()

    async def switch(self, name: str, *, enabled: bool) -> None:
        self._entry(name)
        await self._store.switch_target(name, enabled)
        await self.refresh()

    # -- how they are --------------------------------------------------------------------------------------------------

    def breaker(self, name: str) -> Breaker:
        return self._entries[name].breaker

    def report(self, breaker: Breaker, permit: Permit, verdict: Verdict, retry_after_s: float | None = None) -> None:
        """Hand a permit back, and wake those who wait for one."""
        now_s = self._clock.monotonic_s()
        at_ease = breaker.at_ease(now_s)
        breaker.report(permit, verdict, now_s, retry_after_s)
        if not (at_ease and breaker.at_ease(now_s)):
            self.version += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def change(self, timeout_s: float) -> None:
        """Wait until a breaker may have changed its mind, or for so long."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            return

    def places(self, name: str) -> Places:
        return self._entries[name].places

    def health(self, name: str) -> Health:
        return _health(self._entries[name])

    async def check(self, targets: Sequence[Target] | None = None, *, fresh: bool = False) -> None:
        """Ask how the targets are: those that were never asked or (`fresh`) all of them."""
        entries = self._entries.values() if targets is None else [self._entry(each.name) for each in targets]
        now = self._clock.monotonic_s()
        stale = [each for each in entries if fresh or each.health is None]
        if not stale:
            return
        found = await asyncio.gather(*(self._ask(each.target) for each in stale))
        for entry, health in zip(stale, found, strict=True):
            if entry.health != health:
                self.version += 1
            entry.health, entry.checked_at_s = health, now

    async def recheck(self) -> None:
        """Ask again about those that were asked some while ago."""
        now = self._clock.monotonic_s()
        await self.check(
            [each.target for each in self._entries.values() if now - each.checked_at_s >= HEALTH_LASTS_S], fresh=True
        )

    async def _ask(self, target: Target) -> Health:
        adapter = self._adapters.get(target.adapter)
        if adapter is None:
            return Health(HealthStatus.MISCONFIGURED, self._why_absent(target))
        crash = Contained()
        with crash:
            async with asyncio.timeout(HEALTH_TIMEOUT_S):
                answer: object = await adapter.health(target)
            if not isinstance(answer, Health):
                raise TypeError(f"it answered with {type(answer).__name__} and not with Health")
            return answer
        asking = asyncio.current_task()
        if isinstance(crash.failure, asyncio.CancelledError) and asking is not None and asking.cancelling():
            raise crash.failure
        if isinstance(crash.failure, TimeoutError):
            return Health(HealthStatus.UNREACHABLE, f"did not say how it is within {HEALTH_TIMEOUT_S:.0f} s")
        return Health(
            HealthStatus.UNREACHABLE,
            f'the health check of the adapter "{target.adapter}" crashed: {said(crash.failure)}; correct the adapter',
        )

    def _ask_for_targets(self, name: str, adapter: Adapter) -> None:
        known, crash = self._known[name], Contained()
        with crash:
            targets = list(adapter.targets())
            for target in targets:
                if not isinstance(target, Target):
                    raise TypeError(f"it named {type(target).__name__} and not a Target")
            known.targets, known.no_targets = targets, None
            return
        known.no_targets = f"adapter {name} does not say which targets it has: {said(crash.failure)}"

    def _ask_for_prices(self, name: str, adapter: Adapter) -> None:
        known, crash = self._known[name], Contained()
        with crash:
            prices = dict(adapter.prices) if isinstance(adapter, Priced) else LOCAL_ONLY
            for rates in prices.values():
                if not isinstance(rates, CostModel):
                    raise TypeError(f"it named {type(rates).__name__} and not a CostModel")
            known.prices, known.no_prices = prices, None
            return
        known.no_prices = f"adapter {name} does not say what its targets cost: {said(crash.failure)}"

    def _why_aside(self, target: Target, source: str) -> str | None:
        """Why it must not run: it may be gone, or nothing says what it costs."""
        known = self._known.get(target.adapter)
        if known is None:
            return None
        return (known.no_targets if source == ADAPTER else None) or (
            known.no_prices if target.cost_model == CostModel() else None
        )

    def _price(self, target: Target) -> CostModel:
        """The target's own rates, else what its adapter's engine usually costs where it is deployed."""
        if target.cost_model != CostModel():
            return target.cost_model
        known = self._known.get(target.adapter)
        return (LOCAL_ONLY if known is None else known.prices).get(target.deployment, target.cost_model)

    def _check_deployment(self, target: Target) -> None:
        self._ask_for_prices(target.adapter, self._adapters[target.adapter])
        known_of = self._known[target.adapter]
        if known_of.no_prices is not None:
            raise InvalidTarget(target=target.name, field="adapter", problem=f"cannot be priced: {known_of.no_prices}")
        prices = known_of.prices
        if target.deployment not in prices:
            known = ", ".join(sorted(prices))
            problem = f'"{target.deployment}" has no price at {target.adapter}; it knows {known}'
            raise InvalidTarget(target=target.name, field="deployment", problem=problem)

    def _why_absent(self, target: Target) -> str:
        return self._absent.get(target.adapter, f'there is no adapter "{target.adapter}"')

    def standings(self) -> Sequence[Standing]:
        now = self._clock.monotonic_s()
        return [
            Standing(each.target, each.enabled, each.source, _health(each), each.breaker.state(now))
            for each in self._entries.values()
        ]

    def _entry(self, name: str) -> _Entry:
        entry = self._entries.get(name)
        if entry is None:
            for row in self._unreadable:
                if row.kind == "target" and row.name == name:
                    raise InvalidTarget(target=name, field="row", problem=f"cannot be read: {row.problem}; {row.mend}")
            if not self._entries:
                raise UnknownName(kind="target", name=name, see=ADD_A_TARGET)
            near = nearest_name(name, self._entries)
            raise UnknownName(kind="target", name=name, nearest=near, see="mahavishnu targets list")
        return entry


def _health(entry: _Entry) -> Health:
    if entry.aside is not None:
        return Health(HealthStatus.MISCONFIGURED, entry.aside)
    return entry.health or HEALTHY
