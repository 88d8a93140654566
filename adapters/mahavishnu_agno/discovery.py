"""What an AgentOS has, as targets that are ready to be added."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from mahavishnu.model import ANY, BROKEN, Target, broken_on_purpose
from mahavishnu_agno.agentos import AgentOs
from mahavishnu_agno.settings import KINDS, Place
from mahavishnu_agno.usage import Body

_CAPABILITIES = {
    "agents": frozenset({"streaming"}),
    "teams": frozenset({"streaming", "multi_agent"}),
    "workflows": frozenset({"streaming", "multi_agent"}),
}
_NO_LETTER_OF_A_NAME = re.compile(r"[^A-Za-z0-9_.:@-]")


async def discovered(server: AgentOs) -> Sequence[Target]:
    """Raises AdapterError."""
    found: dict[str, Target] = {}
    for kind in KINDS:
        for target in _targets(server.base, kind, await server.listed(f"/{kind}")):
            # An agent and a team may share an id; targets may not share a name.
            name = target.name if target.name not in found else f"{kind.removesuffix('s')}:{target.name}"
            found[name] = _named(target, name, len(found))
    return tuple(found.values())


def _targets(base: str, kind: str, listed: Sequence[Body]) -> Iterator[Target]:
    for each in listed:
        yield Target(
            name=_NO_LETTER_OF_A_NAME.sub("-", str(each["id"]))[:90].lstrip(".:@-") or kind,
            adapter="agno",
            run=str(Place(base, kind, str(each["id"]))),
            task_types=frozenset({ANY}),
            capabilities=_CAPABILITIES[kind] | ({BROKEN} if broken_on_purpose(each.get("description")) else set()),
            options={} if each.get("db_id") else {"background": False},
        )


def _named(target: Target, name: str, place: int) -> Target:
    return replace(target, name=name, place=place)
