"""The lake as the store uses it: what is in it is found again, and days go into it step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Table

from mahavishnu.errors import StoreUnavailable
from mahavishnu.model import DAY_US, Daily, Decision, Execution, Outcome
from mahavishnu.ports import Between, Clock, ExecutionQuery, Fact, Keeping, Kept
from mahavishnu.storage.lake import drawn, lookups
from mahavishnu.storage.lake.folder import Folder
from mahavishnu.storage.lake.moving import Move, empty_page, next_move, write_part
from mahavishnu.storage.lake.pruning import prune
from mahavishnu.storage.lake.rewriting import add_parts, rewrite
from mahavishnu.storage.position_range import Stretch
from mahavishnu.storage.sql.connection.access import Access
from mahavishnu.storage.sql.facts.aggregates import EARLIEST, Days, count_facts, drop_dailies, number_of_store, standing
from mahavishnu.storage.sql.facts.fact_rows import escaped
from mahavishnu.storage.sql.facts.facts_write import Elsewhere, day_begun
from mahavishnu.storage.sql.lake_manifest import Part, Shadow, all_parts, mark_emptied, swap

T = TypeVar("T")

MOST_PARTS = 4
"""How many parts a day may have before they are made one: late facts bring one each."""

PATIENCE = 5
"""How often a question is asked again when the files that it was put to have been tidied away meanwhile."""


class Lake:
    """Parquet files in a folder, under the names that the database gives them."""

    def __init__(self, access: Access, root: Path, clock: Clock) -> None:
        self._access = access
        self._clock = clock
        self._folder = Folder(root)

    # -- reading -------------------------------------------------------------------------------------------------------

    async def execution(self, execution_id: str) -> Execution | None:
        return await self._ask(lambda parts: lookups.find_execution(self._folder, parts, execution_id))

    async def decision(self, decision_id: str) -> Decision | None:
        return await self._ask(lambda parts: lookups.find_decision(self._folder, parts, decision_id))

    async def executions_besides(self, hot: Sequence[Execution], query: ExecutionQuery) -> list[Execution]:
        """These and those of the lake, the newest first."""
        found = await self._ask(lambda parts: lookups.find_executions(self._folder, parts, query))
        both = {each.id: each for each in (*(found or ()), *hot)}
        return sorted(both.values(), key=lambda each: each.id, reverse=True)[: query.last]

    async def decisions_besides(
        self, hot: Sequence[Decision], last: int, task_type: str | None, within: Between
    ) -> list[Decision]:
        """These and those of the lake, the newest first."""
        found = await self._ask(lambda parts: lookups.find_decisions(self._folder, parts, last, task_type, within))
        both = {each.id: each for each in (*hot, *(found or ()))}
        return list(both.values())[: max(last, 0)]

    async def outcomes_besides(self, hot: Sequence[Outcome], decision_id: str) -> list[Outcome]:
        """Those of the lake and these, the oldest first."""
        found = await self._ask(lambda parts: lookups.find_outcomes(self._folder, parts, decision_id))
        both = {each.id: each for each in (*(found or ()), *hot)}
        return list(both.values())

    async def ids_ending(self, table: Table, tail: str, last: int) -> frozenset[str]:
        """Ids of the table's rows in the lake that end so."""
        found = await self._ask(lambda parts: lookups.ids_ending(self._folder, parts, table, tail, last))
        return found or frozenset()

    async def observations(self, hot: Stretch, strays: Sequence[Sequence[Any]], experiment: str, limit: int) -> Stretch:
        """These observations and those of the lake; of the strays, those whose assignments are in the lake."""

        def question(parts: Sequence[Part]) -> Stretch:
            here = drawn.find_observations(self._folder, parts, escaped(experiment), hot, limit)
            joined = drawn.with_what_was_drawn(self._folder, parts, escaped(experiment), strays)
            # Those that were joined are as many as there are, up to where the hot ones end.
            return hot.with_rows(here, limit).with_rows(joined, len(joined) + 1)

        found = await self._ask(question, lambda parts: bool(strays) or bool(drawn.reaching(parts, hot.since)))
        return found or hot

    async def assigned(self, hot: Stretch, experiment: str, limit: int) -> Stretch:
        """These assignments and those of the lake."""

        def question(parts: Sequence[Part]) -> Stretch:
            return hot.with_rows(drawn.find_assigned(self._folder, parts, escaped(experiment), hot, limit), limit)

        return await self._ask(question, lambda parts: bool(drawn.reaching(parts, hot.since))) or hot

    async def heard_among(self, decision_ids: Sequence[str], since: int) -> frozenset[str]:
        """Those of these decisions, all made after a position, that came to anything as far as is known here."""

        def question(parts: Sequence[Part]) -> frozenset[str]:
            return drawn.heard_among(self._folder, drawn.reaching(parts, since), decision_ids)

        needed = bool(decision_ids)
        return await self._ask(question, lambda parts: needed and bool(drawn.reaching(parts, since))) or frozenset()

    def search(self, parts: Sequence[Part], facts: Sequence[Fact]) -> Elsewhere:
        """What is known here of facts that are being recorded. Blocks; the parts must stay what they are meanwhile."""
        ids = [fact.id for fact in facts if not isinstance(fact, Outcome)]
        days = {day for fact in facts if (day := day_begun(fact)) is not None}
        same_days = [part for part in parts if part.day in days]
        about = sorted({fact.decision_id for fact in facts if isinstance(fact, Outcome)})
        try:
            self._look_for(parts if about else same_days)
            return Elsewhere(
                known=lookups.known_among(self._folder, same_days, ids) if ids else frozenset(),
                pasts=lookups.pasts(self._folder, parts, about) if about else {},
            )
        except OSError as error:
            raise self._trouble(str(error)) from error

    async def recomputed(self, since_day: int | None) -> tuple[int, Sequence[Daily]]:
        """What has not moved, counted one by one, and everything in the lake by DuckDB."""
        why = ""
        for _ in range(PATIENCE):
            cursor, days, parts = await self._access.read(partial(_hot_days, since_day=since_day))
            ours = [part for part in parts if since_day is None or part.day >= since_day]
            try:
                self._look_for(ours)
                await self._access.run(partial(add_parts, days, self._folder, ours))
            except OSError as error:
                why = str(error)
                continue
            return cursor, days.dailies()
        raise self._trouble(why)

    async def detail(self) -> dict[str, str | int]:
        """For people to read."""
        parts = await self._access.read(all_parts)
        size = await self._run(self._folder.size_bytes)
        days = [part.day for part in parts if part.raw]
        detail: dict[str, str | int] = {"lake": str(self._folder.root), "lake_parts": len(parts), "lake_bytes": size}
        return {**detail, "lake_days": len(set(days))}

    # -- tidying up ----------------------------------------------------------------------------------------------------

    async def retain(self, keeping: Keeping, today: int) -> Kept | None:
        parts = await self._access.read(all_parts)
        for part in parts:
            if not part.emptied:
                return await self._empty(part)
        named = {part.name for part in parts}
        store = await self._access.read(number_of_store)
        await self._run(partial(self._folder.sweep, store, named.__contains__))
        move = await self._access.read(partial(next_move, before_day=today - keeping.hot_days + 1))
        if move is not None:
            return await self._move(store, parts, move, keeping)
        return (
            await self._drop(parts, keeping, today)
            or await self._compact(store, parts, keeping, today)
            or await self._access.write(partial(prune, keeping=keeping, today=today))
        )

    async def _move(self, store: int, parts: Sequence[Part], move: Move, keeping: Keeping) -> Kept:
        name = self._folder.new_name(store, move.day, move.upto)
        rows, stayed = await self._run(partial(self._write, name, parts, move, keeping))
        part = Part(name=name, day=move.day, upto=move.upto, stays=stayed)
        if await self._swap(parts, [], [part]):
            await self._empty(part)
        return Kept(what="moved into the lake", day=move.day, rows=rows)

    def _write(self, name: str, parts: Sequence[Part], move: Move, keeping: Keeping) -> tuple[int, frozenset[str]]:
        def drawn_before(decision_ids: Sequence[str]) -> frozenset[str]:
            return drawn.drawn_among(self._folder, parts, decision_ids)

        with self._folder.writing(name) as draft:
            return self._access.database.read(
                partial(write_part, move=move, keeping=keeping, drawn_before=drawn_before, draft=draft)
            )

    async def _empty(self, part: Part) -> Kept:
        """Delete what is in the lake now from the tables, in transactions that keep nobody waiting for long."""
        rows = 0
        while deleted := await self._access.write(partial(empty_page, part=part)):
            rows += deleted
        await self._access.write(partial(mark_emptied, part=part))
        return Kept(what="cleared from the tables", day=part.day, rows=rows)

    async def _compact(self, store: int, parts: Sequence[Part], keeping: Keeping, today: int) -> Kept | None:
        """Make one of a day that has come to many parts, or whose records have reached their age."""
        for day in sorted({part.day for part in parts}):
            ours = [part for part in parts if part.day == day]
            evict = day < today - keeping.raw_days and any(part.raw for part in ours)
            if evict or len(ours) >= MOST_PARTS:
                raw = not evict and any(part.raw for part in ours)
                upto = max(part.upto for part in ours)
                new = Part(name=self._folder.new_name(store, day, upto), day=day, upto=upto, emptied=True, raw=raw)
                await self._run(partial(self._rewrite, ours, new))
                await self._swap(parts, ours, [new])
                return Kept(what="left as sums" if evict else "made one part", day=day, rows=len(ours))
        return None

    def _rewrite(self, parts: Sequence[Part], new: Part) -> None:
        with self._folder.writing(new.name) as draft:
            rewrite(self._folder, parts, draft, keep_raw=new.raw)

    async def _drop(self, parts: Sequence[Part], keeping: Keeping, today: int) -> Kept | None:
        """Forget the days that nobody wants to hear of any more."""
        first = today - keeping.aggregate_days
        gone = [part for part in parts if part.day < first]
        dropped = await self._access.write(lambda transaction: drop_dailies(transaction, first))
        if gone:
            await self._swap(parts, gone, [])
        return Kept(what="forgotten", day=first, rows=dropped) if gone or dropped else None

    async def _swap(self, before: Sequence[Part], gone: Sequence[Part], new: Sequence[Part]) -> bool:
        """Name the new parts, and remove those that have lost their names."""
        done = await self._access.write(partial(swap, before=before, gone=gone, new=new))
        lost = gone if done else new
        await self._run(partial(self._folder.remove, [part.name for part in lost]))
        return done

    # ------------------------------------------------------------------------------------------------------------------

    async def _ask(
        self, question: Callable[[Sequence[Part]], T], worth: Callable[[Sequence[Part]], bool] = bool
    ) -> T | None:
        """Put a question to the parts as they are, where it is worth that; again if they were tidied away meanwhile."""
        why = ""
        for _ in range(PATIENCE):
            parts = await self._access.read(all_parts)
            if not parts or not worth(parts):
                return None
            try:
                self._look_for(parts)
                return await self._access.run(partial(question, parts))
            except OSError as error:
                why = str(error)
        raise self._trouble(why)

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            return await self._access.run(work)
        except OSError as error:
            raise self._trouble(str(error)) from error

    def _look_for(self, parts: Sequence[Part]) -> None:
        missing = self._folder.missing(part.name for part in parts)
        if missing is not None:
            raise FileNotFoundError(f"{missing} is not there")

    def _trouble(self, why: str) -> StoreUnavailable:
        return self._access.database.address.unavailable(
            f"its lake in {self._folder.root} cannot be used ({why}); bring that folder back or set [lake] folder to it"
        )


def _hot_days(connection: Connection, since_day: int | None) -> tuple[int, Days, list[Part]]:
    """What the tables hold up to the cursor and the lake does not, and the parts that the lake is made of."""
    first_us = EARLIEST if since_day is None else since_day * DAY_US
    while True:
        before, parts = standing(connection), all_parts(connection)
        days, shadow = Days(), Shadow(parts)
        count_facts(connection, days, 0, before.cursor, first_us, shadow.covers)
        # Nothing has moved meanwhile, so nothing was left out or counted here and there.
        if (standing(connection), all_parts(connection)) == (before, parts):
            return before.cursor, days, parts
