"""Reading a run: from its events, or from how it was written down, to a Result or to an error."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import to_jsonable_python

from mahavishnu.errors import AdapterError, Cancelled, Crashed, Refused, TimedOut, Transient, Unsuitable
from mahavishnu.model import Chunk, Result, Status
from mahavishnu_agno.trouble import failure_of_run
from mahavishnu_agno.usage import Body, Meter, cost_of, usage_of

_ENDS = {
    "RunCompleted": "COMPLETED",
    "RunError": "ERROR",
    "RunCancelled": "CANCELLED",
    "RunPaused": "PAUSED",
}
_PIECES = frozenset({"RunContent", "TeamRunContent"})
_WORK = ("RunContent", "ToolCallStarted", "ModelRequestCompleted")


class Reader:
    """Reads the events of one run as they come. The first event tells which run it is; others are of its members."""

    def __init__(self, asked: str) -> None:
        self.run_id: str | None = None
        self._began_s = time.monotonic()
        self._meter = Meter(asked)
        self._text_came = False
        self._worked = False
        self._end: Body | None = None
        self._member_failure: AdapterError | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing is left of it where it ran; a paused run waits there for an answer that never comes."""
        return self._end is not None and self._end.get("status") != "PAUSED"

    def read(self, event: Body) -> Chunk | None:
        """The piece of the answer that it brings, if it brings one."""
        self._meter.read(event)
        name = str(event.get("event", ""))
        # A run that is handed over as a whole does not tell what came before its failure.
        self._worked = self._worked or not name or name.endswith(_WORK)
        run_id = event.get("run_id")
        if self.run_id is None and run_id:
            self.run_id = str(run_id)
        if run_id != self.run_id:
            self._read_of_member(event)
            return None
        # A cancelled run is followed by "completed" as well: the first end is the true one.
        if self._end is None and (status := _end_of(name, event)):
            self._end = {**event, "status": status}
        text = event.get("content")
        return self._chunk(text) if name in _PIECES and isinstance(text, str) and text else None

    def result(self) -> Result:
        """Raises AdapterError for anything but a success."""
        if self._end is None:
            raise Transient("the answer broke off before the run said how it ended")
        try:
            check(self._end, self._member_failure)
        except AdapterError as failure:
            # Throttled after a tool was called is not the same as throttled at the door.
            failure.may_have_run = failure.may_have_run or self._worked
            raise
        value = _plain(self._end.get("content"))
        return Result(
            value=value,
            cost_usd=cost_of(self._end),
            usage=usage_of(self._end, self._seconds()),
            run_id=self.run_id,
            detail={"session_id": self._end.get("session_id"), "worked": workers(self._end)},
        )

    def last_chunk(self, result: Result) -> Chunk | None:
        """The whole as one piece, where none came before: a workflow does not tell which step has the answer."""
        if self._text_came or not isinstance(result.value, str) or not result.value:
            return None
        return self._chunk(result.value)

    def _chunk(self, text: str) -> Chunk:
        self._text_came = True
        return Chunk(text=text, usage=self._meter.so_far(text, self._seconds()))

    def _read_of_member(self, event: Body) -> None:
        if str(event.get("event", "")).endswith("RunError"):
            self._member_failure = failure_of_run(_words(event), event.get("error_type"))

    def _seconds(self) -> float:
        return time.monotonic() - self._began_s


def check(body: Body, member_failure: AdapterError | None = None) -> None:
    """Raises AdapterError unless the run succeeded: neither HTTP 200 nor the word COMPLETED is enough."""
    match body.get("status"):
        case "COMPLETED" | "REGENERATED":
            _check_completed(body, member_failure)
        case "ERROR":
            raise failure_of_run(_words(body), body.get("error_type"))
        case "CANCELLED":
            raise Cancelled(f"somebody cancelled the run where it ran ({body.get('reason') or 'without a reason'})")
        case "PAUSED":
            raise Crashed(
                "it paused to ask a person, whom a routed task does not have; take the confirmation off its tools"
            )
        case other:
            raise Crashed(f"it says that it ended as {other!r:.40}, which is no end")


def status_of(body: Body) -> Status:
    """What became of a run that is written down somewhere."""
    if body.get("status") in ("PENDING", "RUNNING"):
        return Status.RUNNING
    try:
        check(body)
    except Cancelled:
        return Status.CANCELLED
    except TimedOut:
        return Status.TIMED_OUT
    except Refused:
        return Status.REFUSED
    except Unsuitable:
        return Status.UNSUITABLE
    except AdapterError:
        return Status.FAILED
    return Status.SUCCEEDED


def workers(body: Body) -> list[str]:
    """Who did the work: the members and the agents of steps, or the one that was asked."""
    inside = [*(body.get("member_responses") or ()), *(body.get("step_executor_runs") or ())]
    if inside:
        return [name for each in inside for name in workers(each)]
    named = (body.get(key) for key in ("agent_id", "team_id", "workflow_id"))
    return [str(name) for name in named if name][:1]


def _check_completed(body: Body, member_failure: AdapterError | None) -> None:
    # A workflow whose step fails goes on by default, and hands the failure over as its answer.
    steps = body.get("step_results") or ()
    if steps and not _succeeded(steps[-1]):
        raise member_failure or Crashed(_step_words(steps[-1]) or "its last step failed and did not say why")
    # A team whose members fail completes all the same, with nothing to say.
    if body.get("content") not in (None, ""):
        return
    failed = (each for each in body.get("member_responses") or () if each.get("status") == "ERROR")
    if member := next(failed, None):
        raise failure_of_run(_words(member), member.get("error_type"))
    if member_failure is not None:
        raise member_failure


def _succeeded(step: Body | Sequence[Body]) -> bool:
    """Steps that ran side by side are a list: one that succeeded is enough."""
    return bool(step.get("success", True)) if isinstance(step, Mapping) else any(map(_succeeded, step))


def _step_words(step: Body | Sequence[Body]) -> str | None:
    return step.get("error") if isinstance(step, Mapping) else "; ".join(_step_words(each) or "" for each in step)


def _end_of(name: str, event: Body) -> str | None:
    if not name:
        return event.get("status")
    return _ENDS.get(name.removeprefix("Team").replace("Workflow", "Run", 1))


def _words(body: Body) -> str | None:
    said = body.get("content") or body.get("error")
    return None if said is None else str(said)


def _plain(value: Any) -> Any:
    """The answer as JSON has it; one that says nothing is empty text."""
    try:
        plain = to_jsonable_python("" if value is None else value)
        json.dumps(plain, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as problem:
        raise Crashed(
            f"its answer cannot be written as JSON ({problem}); let it answer text or a pydantic model"
        ) from None
    return plain
