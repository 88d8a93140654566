"""The callers of one worker: each asks for one task after another, and says what it was told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from random import Random
from typing import Any

from mahavishnu.app import App
from mahavishnu.errors import MahavishnuError
from mahavishnu.model import Report, Task
from mahavishnu.testing.torture.targets import HOSTILE, HOSTILES, KEYED, PAID, PLAIN, name_of
from mahavishnu.testing.torture.values import ODD_OUTCOMES, ODD_TASKS, WRONG_DECISIONS, WRONG_OUTCOMES, WRONG_TASKS
from mahavishnu.testing.torture.voice import VOICE

KEY_LASTS_S = 0.15
"""How long the callers of all workers ask for about the same key."""


@dataclass(frozen=True, slots=True)
class Orders:
    """What the callers do in one round."""

    run: str
    round: int
    seed: int
    began_ns: int
    values: bool
    targets: bool
    deadline_ms: int
    callers: int
    task_types: Sequence[str]
    text: str


class Caller:
    """Asks for one thing after another until it is told to stop, whatever is done to its asyncio task."""

    def __init__(self, app: App, orders: Orders, rng: Random, going: Callable[[], bool]) -> None:
        self._app = app
        self._orders = orders
        self._rng = rng
        self._going = going
        self._learnable: list[str] = []
        self._number = 0

    async def run(self) -> None:
        asks = self._asks()
        while self._going():
            ask = self._rng.choice(asks)
            try:
                await ask()
                await asyncio.sleep(self._rng.uniform(0, 0.05))
            except asyncio.CancelledError:
                # A hostile target cancels every task of this loop, and this is one of them.
                task = asyncio.current_task()
                if task is not None:
                    task.uncancel()

    def _asks(self) -> list[Callable[[], Awaitable[None]]]:
        asks: list[Callable[[], Awaitable[None]]] = [
            *[self._plain] * 4,
            *[self._keyed] * 5,
            *[self._paid] * 5,
            self._streamed,
            self._broken_off,
        ]
        asks += [self._routed, self._learnt, self._learnt, self._cancelled]
        if self._orders.values:
            asks += [*[self._wrong_task] * 3, self._odd_task, *[self._wrong_outcome] * 2, self._odd_outcome]
        if self._orders.targets:
            asks += [self._hostile] * 4
        if self._orders.task_types:
            asks += [*[self._own] * 4, self._own_keyed]
        return asks

    # -- what is asked for ---------------------------------------------------------------------------------------------

    async def _plain(self) -> None:
        report = await self._performed("plain", self._task(PLAIN))
        if report is not None and report.decision is not None and report.succeeded:
            self._learnable.append(report.decision.id)

    async def _keyed(self) -> None:
        await self._performed("keyed", self._task(KEYED, idempotency_key=self._key("k")))

    async def _paid(self) -> None:
        tags = {"team": self._rng.choice("ab")}
        key = self._key("p") if self._rng.random() < 0.2 else None
        await self._performed("paid", self._task(PAID, tags={} if key else tags, idempotency_key=key))

    async def _own(self) -> None:
        await self._performed("own", self._task(self._rng.choice(self._orders.task_types), text=self._orders.text))

    async def _own_keyed(self) -> None:
        task_type = self._rng.choice(self._orders.task_types)
        key = self._key(f"o-{task_type}")
        await self._performed("own keyed", self._task(task_type, text=self._orders.text, idempotency_key=key))

    async def _hostile(self) -> None:
        target = self._rng.choice(HOSTILES)
        task = self._task(HOSTILE, target=name_of(target), payload={"seconds": 0.3}, repeatable=False)
        await self._performed("hostile", task)

    async def _streamed(self) -> None:
        await self._told("stream", self._stream_whole(self._task(PLAIN)))

    async def _stream_whole(self, task: Task) -> Report | None:
        report = None
        async with aclosing(self._app.orchestrator.stream(task)) as stream:
            async for part in stream:
                report = part if isinstance(part, Report) else None
        return report

    async def _broken_off(self) -> None:
        await self._told("stream broken off", self._stream_begun(self._task(PAID)))

    async def _stream_begun(self, task: Task) -> None:
        async with aclosing(self._app.orchestrator.stream(task)) as stream:
            async for _ in stream:
                break

    async def _cancelled(self) -> None:
        """A caller that goes away, sooner or later."""
        with_limit = asyncio.wait_for(self._app.orchestrator.perform(self._task(PAID)), self._rng.uniform(0.001, 0.15))
        await self._told("cancelled", with_limit)

    async def _routed(self) -> None:
        decision = await self._told("route", self._app.orchestrator.route(self._task(PLAIN)))
        if decision is not None:
            self._learnable.append(decision.id)

    async def _learnt(self) -> None:
        if self._learnable:
            decision_id = self._learnable.pop(self._rng.randrange(len(self._learnable)))
            await self._outcome(
                {"completed": self._rng.random() < 0.9, "quality": round(self._rng.random(), 3)}, decision_id
            )

    # -- nonsense ------------------------------------------------------------------------------------------------------

    async def _wrong_task(self) -> None:
        arguments = self._rng.choice(WRONG_TASKS)

        async def perform() -> Report:
            return await self._app.orchestrator.perform(Task(type=PLAIN, **arguments))

        await self._told(f"Task({_shown(arguments)})", perform(), refused=True)

    async def _odd_task(self) -> None:
        arguments = dict(self._rng.choice(ODD_TASKS))
        if odd := arguments.get("idempotency_key"):
            # A round knows only the decisions that were made in it.
            arguments["idempotency_key"] = self._key("odd") + odd

        async def perform() -> Report:
            return await self._app.orchestrator.perform(Task(type=PLAIN, **arguments))

        await self._told(f"Task({_shown(arguments)})", perform())

    async def _wrong_outcome(self) -> None:
        if self._learnable and self._rng.random() < 0.7:
            await self._outcome(self._rng.choice(WRONG_OUTCOMES), self._rng.choice(self._learnable), refused=True)
        else:
            await self._outcome({"completed": True}, self._rng.choice(WRONG_DECISIONS), refused=True)

    async def _odd_outcome(self) -> None:
        if self._learnable:
            await self._outcome(self._rng.choice(ODD_OUTCOMES), self._learnable.pop())

    async def _outcome(self, arguments: Any, decision_id: Any, *, refused: bool = False) -> None:
        recording = self._app.orchestrator.record_outcome(decision_id, **arguments)
        about = f"record_outcome({decision_id!r:.30}, {_shown(arguments)})" if refused else "outcome"
        outcome = await self._told(about, recording, refused=refused)
        if outcome is not None:
            VOICE.say({"is": "outcome", "id": outcome.id})

    # ------------------------------------------------------------------------------------------------------------------

    def _task(self, task_type: str, **more: Any) -> Task:
        self._number += 1
        text = more.pop("text", "torture")
        return Task(type=task_type, text=text, deadline_ms=self._orders.deadline_ms, **more)

    def _key(self, kind: str) -> str:
        """About the same one for all callers of all workers at one time."""
        passed_s = (time.monotonic_ns() - self._orders.began_ns) / 1e9
        number = max(round(passed_s / KEY_LASTS_S) + self._rng.randint(-2, 1), 0)
        return f"torture-{self._orders.run}-{self._orders.round}-{kind}-{number}"

    async def _performed(self, what: str, task: Task) -> Report | None:
        report: Report | None = await self._told(what, self._app.orchestrator.perform(task), task)
        return report

    async def _told(self, what: str, asking: Awaitable[Any], task: Task | None = None, *, refused: bool = False) -> Any:
        """Wait for an answer, and say what it was and how long it took. None where it was an error."""
        began_ns = time.monotonic_ns()
        how, answer = "ok", None
        try:
            answer = await asking
            if isinstance(answer, Report) and answer.error is not None:
                how = answer.error.code
            if refused and not (isinstance(answer, Report) and answer.error is not None):
                VOICE.say({"is": "leak", "what": what, "problem": "nonsense was accepted"})
        except MahavishnuError as error:
            how = error.code
        except TimeoutError:
            how = "timeout"
        except asyncio.CancelledError:
            how = "cancelled"
            raise
        except BaseException as error:  # noqa: BLE001 whatever else leaves is what is looked for
            how = "leak"
            VOICE.say({"is": "leak", "what": what, "problem": f"{type(error).__name__}: {error}"[:300]})
        finally:
            deadline_ms = None if task is None else task.deadline_ms
            waited_ms = (time.monotonic_ns() - began_ns) / 1e6
            VOICE.say(
                {
                    "is": "wait", "what": what, "began_ns": began_ns, "waited_ms": waited_ms,
                    "deadline_ms": deadline_ms, "how": how,
                }
            )  # fmt: skip
        if isinstance(answer, Report):
            acknowledge(answer)
        return answer


def acknowledge(report: Report) -> None:
    """Say what this report told its caller."""
    VOICE.say(
        {
            "is": "ack",
            "at_ns": time.monotonic_ns(),
            "decision_id": report.decision.id if report.decision else "",
            "key": report.task.idempotency_key,
            "succeeded": report.succeeded,
            "replayed": report.replayed,
            "executions": [[each.id, each.status.value, each.cost_micros] for each in report.executions],
        }
    )


def _shown(arguments: Any) -> str:
    shown = []
    for name, value in arguments.items():
        try:
            text = repr(value)
        except RecursionError:
            text = f"a deep {type(value).__name__}"
        shown.append(f"{name}={text[:40]}")
    return ", ".join(shown).encode("ascii", "backslashreplace").decode()[:120]
