"""Hearing: what the store has of an experiment, page by page, in one order, each unit once."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence, Set
from dataclasses import dataclass, field, replace
from heapq import merge

from mahavishnu.jobs.experiments.evidence import Observations
from mahavishnu.ports import Assigned, Observation, Store

PAGE = 5_000

_FOREVER = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Every outcome up to the position `upto`, and every assignment that is old enough up to `upto_assigned`.

    No assignment is taken in before the outcomes of that time were: so that an outcome finds the same before it,
    wherever pages begin and end.
    """

    observations: Sequence[Observation]
    assigned: Sequence[Assigned]
    since: int
    since_assigned: int
    upto: int
    upto_assigned: int
    more: bool

    def without(self, unheard: Set[str]) -> Page:
        """The same, where nothing had come of these decisions."""
        late = [replace(each, heard=each.heard and each.decision_id not in unheard) for each in self.assigned]
        return replace(self, assigned=late)

    @property
    def units_heard(self) -> list[str]:
        return [each.unit for each in self.observations if each.unit is not None]

    @property
    def units_assigned(self) -> list[str]:
        return [each.unit for each in self.assigned if each.unit is not None]


async def page_of(
    store: Store,
    name: str,
    since: int,
    since_assigned: int,
    *,
    before_us: int = _FOREVER,
    upto: int | None = None,
    upto_assigned: int = _FOREVER,
) -> Page:
    """The next page; `upto` and `upto_assigned` are where reading ends."""
    # Before the reading: whatever is committed later has a later position.
    newest = await store.newest() if upto is None else upto
    observations = [
        each for each in await store.observations(name, since, PAGE) if upto is None or each.position <= upto
    ]
    found = await store.assigned(name, since_assigned, before_us, PAGE)
    assigned = [each for each in found if each.position <= upto_assigned]
    full, full_assigned = len(observations) == PAGE, len(assigned) == PAGE
    end = observations[-1].position if full else max(since, newest, observations[-1].position if observations else 0)
    if full_assigned:
        known = assigned[-1].position
        # What is assigned after this page is not known yet; outcomes wait for it.
        end = min(end, max(since, known))
    else:
        known = await _before_young(store, name, assigned, since_assigned)
    end_assigned = min(end, upto_assigned, known)
    return Page(
        since=since,
        since_assigned=since_assigned,
        observations=[each for each in observations if each.position <= end],
        assigned=[each for each in assigned if each.position <= end_assigned],
        upto=end,
        upto_assigned=max(since_assigned, end_assigned),
        more=full or full_assigned,
    )


async def _before_young(store: Store, name: str, assigned: Sequence[Assigned], since: int) -> int:
    """How far there is nothing that is too young yet."""
    last = assigned[-1].position if assigned else since
    young = await store.assigned(name, last, _FOREVER, 1)
    return young[0].position - 1 if young else _FOREVER


@dataclass(slots=True)
class Heard:
    """How far was heard, and the units that were counted by that."""

    upto: int
    upto_assigned: int
    outcomes: int = 0
    heard: list[str] = field(default_factory=list)
    assigned: list[str] = field(default_factory=list)


class Hearing:
    """Feeds pages to the observations, each unit once, and stops where there is a verdict."""

    def __init__(
        self,
        observations: Observations,
        *,
        heard: Collection[str] = frozenset(),
        assigned: Collection[str] = frozenset(),
    ) -> None:
        """`heard` and `assigned` are the units that were counted before."""
        self._observations = observations
        self._units_heard = set(heard)
        self._units_assigned = set(assigned)

    def take(self, page: Page, *, stop: bool = True) -> Heard:
        """All of a page, or, where it is to `stop`, as much of it as it takes for a verdict."""
        heard = Heard(upto=page.upto, upto_assigned=page.upto_assigned)
        both: Iterator[Observation | Assigned] = merge(page.observations, page.assigned, key=_position)
        for each in both:
            news = self._count(each, heard) if isinstance(each, Assigned) else self._hear(each, heard)
            if stop and news and self._observations.verdict() is not None:
                # Everything before this was taken in, of the one as of the other.
                heard.upto = max(page.since, each.position)
                heard.upto_assigned = max(page.since_assigned, min(page.upto_assigned, each.position))
                break
        return heard

    def _hear(self, observation: Observation, heard: Heard) -> bool:
        """Whether it was news."""
        if observation.unit is not None:
            if observation.unit in self._units_heard:
                self._observations.repeat()
                return False
            self._units_heard.add(observation.unit)
            heard.heard.append(observation.unit)
        heard.outcomes += 1
        self._observations.hear(observation)
        return True

    def _count(self, assigned: Assigned, heard: Heard) -> bool:
        if assigned.unit is not None:
            if assigned.unit in self._units_assigned:
                return False
            self._units_assigned.add(assigned.unit)
            heard.assigned.append(assigned.unit)
        self._observations.count(assigned)
        return True


def _position(each: Observation | Assigned) -> int:
    return each.position
