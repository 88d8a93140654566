"""What discovery makes of the targets that an engine has."""

from __future__ import annotations

from mahavishnu.cli.targets.discovery import typed, without_broken
from mahavishnu.model import ANY, BROKEN, Target, broken_on_purpose


def target(name: str, *task_types: str, **fields: object) -> Target:
    return Target(name=name, adapter="agno", run=f"agents/{name}", task_types=frozenset(task_types), **fields)


def test_a_discovered_target_takes_its_own_name_where_its_engine_names_no_task_type():
    named = typed([target("echo", ANY), target("model", "chat"), target("both", ANY, "chat")], ())
    assert [sorted(each.task_types) for each in named] == [["echo"], ["chat"], ["chat"]]


def test_a_discovered_target_takes_the_task_types_that_were_asked_for():
    assert [each.task_types for each in typed([target("echo", ANY)], ["chat", "talk"])] == [{"chat", "talk"}]


def test_what_is_broken_on_purpose_is_left_out():
    broken = target("faulty", "chat", capabilities=frozenset({BROKEN}))
    assert without_broken([broken, target("echo", "chat")]) == [target("echo", "chat")]


def test_an_engine_marks_what_is_broken_on_purpose_by_its_description():
    assert broken_on_purpose("Broken on purpose: every run fails")
    assert not any(map(broken_on_purpose, ["It mends what is broken on purpose", "", None, 7]))
