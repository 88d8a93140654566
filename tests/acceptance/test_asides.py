"""Targets that are put aside: shown, named with what did it, and released."""

from __future__ import annotations

import asyncio
from typing import Any

from mahavishnu.app import make_store
from mahavishnu.engine.clock import SystemClock
from mahavishnu.model import Snapshot
from mahavishnu.model.aside import Aside, AsideReason
from mahavishnu.settings import load_settings


async def put_aside(target: str) -> None:
    """As the verdict of an experiment does."""
    store = make_store(load_settings(None, {}, {}))
    await store.open()
    aside = Aside(experiment="typo", reason=AsideReason.HARM, since_us=SystemClock().now_us())
    await store.publish(Snapshot(version=1, put_aside={"say": {target: aside}}))
    await store.close()


def test_a_stop_by_hand_leaves_the_target_free_to_be_chosen(cli: Any):
    cli.add("shout", "whisper")
    cli.ok("experiments", "start", "typo", "-t", "say", "--swap", "shout=whisper")
    cli.ok("experiments", "stop", "typo")
    assert cli.ok("routing", "aside") == []
    assert cli("routing", "aside").out == "No target is put aside.\n"
    considered = cli.ok("route", "hello", "-t", "say")["candidates"]
    assert [each["target"] for each in considered if not each["eligible"]] == []


def test_what_harm_put_aside_is_shown_wherever_targets_are_and_released(cli: Any):
    cli.add("shout", "whisper")
    asyncio.run(put_aside("whisper"))
    (row,) = cli.ok("routing", "aside")
    assert {key: row[key] for key in ("task_type", "target", "experiment", "reason")} == {
        "task_type": "say", "target": "whisper", "experiment": "typo", "reason": "harm",
    }  # fmt: skip
    considered = cli.ok("route", "hello", "-t", "say")["candidates"]
    assert [each["why_not"] for each in considered if not each["eligible"]] == [
        "put aside by experiment typo (mahavishnu routing release whisper)"
    ]
    words = "put aside by experiment typo (say)"
    listed = {each["name"]: each["detail"] for each in cli.ok("targets", "list")}
    assert words in listed["whisper"]
    assert words not in listed["shout"]
    assert words in cli("targets", "show", "whisper").out
    (checked,) = [each for each in cli.ok("doctor") if each["check"] == "target whisper"]
    assert (checked["status"], words in checked["detail"]) == ("warning", True)
    assert checked["mend"] == "mahavishnu routing release whisper"
    nearly = cli("routing", "release", "wisper")
    assert (nearly.code, 'did you mean "whisper"' in nearly.sentence) == (2, True)
    assert "say: whisper is released (put aside by experiment typo)" in cli("routing", "release", "whisper").out
    assert cli.ok("routing", "aside") == []
    back = cli.ok("routing", "rollback", "1")
    assert back["notes"] == ["back to snapshot 1", "say: whisper is put aside again, by experiment typo"]
