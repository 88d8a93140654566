"""The targets that were added, and the switches of all targets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, text, update

from mahavishnu.errors import TargetChanged, TargetExists, UnknownName, nearest_name
from mahavishnu.model import Target
from mahavishnu.model.unreadable import Rows, Switches
from mahavishnu.storage.sql.connection.tables import switches, targets
from mahavishnu.storage.sql.connection.transaction import Transaction
from mahavishnu.storage.sql.facts.documents import target_json, target_of
from mahavishnu.storage.sql.facts.fact_rows import escaped, unescaped
from mahavishnu.storage.sql.store_part import SqlPart
from mahavishnu.storage.unreadable import read_each, shown

_LAST_PLACE = select(func.coalesce(func.max(targets.c.place), 0))
_ADD = insert(targets)
_NAMES = select(targets.c.name)
_REMOVE = delete(targets).where(targets.c.name == bindparam("target_"))
_UNSWITCH = delete(switches).where(switches.c.target == bindparam("target_"))
_SWITCH = text(
    "INSERT INTO switches (target, enabled) VALUES (:target, :enabled)"
    " ON CONFLICT (target) DO UPDATE SET enabled = excluded.enabled"
)
_BODY = select(targets.c.body).where(targets.c.name == bindparam("target_"))
_REPLACE = (
    update(targets)
    .where(targets.c.name == bindparam("target_"), targets.c.body == bindparam("before"))
    .values(body=bindparam("after"))
)


class SqlTargets(SqlPart):
    """The part of the store in a database that keeps targets."""

    async def targets(self) -> Rows[Target]:
        return await self._read(_added_targets)

    async def add_target(self, target: Target) -> None:
        await self._write(partial(_add_target, target=target))

    async def put_targets(
        self, targets: Sequence[Target], instead_of: Mapping[str, Target], *, forget_switches: bool = False
    ) -> None:
        await self._write(
            partial(_put_targets, found=tuple(targets), instead_of=dict(instead_of), forget_switches=forget_switches)
        )

    async def remove_target(self, name: str) -> None:
        await self._write(partial(_remove_target, name=name))

    async def switches(self) -> Switches:
        return await self._read(_hand_switches)

    async def switch_target(self, name: str, enabled: bool) -> None:
        await self._write(partial(_switch_target, name=name, enabled=enabled))


def unknown_target(name: str, known: Iterable[str]) -> UnknownName:
    nearest = nearest_name(name, known)
    return UnknownName(kind="target", name=name, nearest=nearest, see="mahavishnu targets list")


def _added_targets(connection: Connection) -> Rows[Target]:
    found = connection.execute(select(targets).order_by(targets.c.place))
    return read_each("target", found, lambda row: shown(row.name), _target_of)


def _add_target(transaction: Transaction, target: Target) -> None:
    if target.name in _names(transaction):
        raise TargetExists(target=target.name, where="the store")
    place = transaction.find(_LAST_PLACE)[0][0] + 1
    transaction.change(_ADD, {"name": escaped(target.name), "place": place, "body": target_json(target)})


def _put_targets(
    transaction: Transaction, found: Sequence[Target], instead_of: Mapping[str, Target], forget_switches: bool
) -> None:
    for target in found:
        if target.name in instead_of:
            _replace_target(transaction, target, instead_of[target.name])
            if forget_switches:
                transaction.change(_UNSWITCH, {"target_": escaped(target.name)})
        else:
            _add_target(transaction, target)


def _replace_target(transaction: Transaction, target: Target, before: Target) -> None:
    rows = transaction.find(_BODY, {"target_": escaped(target.name)})
    if not rows or target_of(rows[0].body) != before:
        raise TargetChanged(target=target.name)
    changed = {"target_": escaped(target.name), "before": rows[0].body, "after": target_json(target)}
    if transaction.change(_REPLACE, changed) != 1:
        raise TargetChanged(target=target.name)


def _remove_target(transaction: Transaction, name: str) -> None:
    known = _names(transaction)
    if name not in known:
        raise unknown_target(name, known)
    transaction.change(_REMOVE, {"target_": escaped(name)})
    transaction.change(_UNSWITCH, {"target_": escaped(name)})


def _hand_switches(connection: Connection) -> Switches:
    rows = connection.execute(select(switches)).all()
    read = read_each("switch of target", rows, lambda row: shown(row.target), _switch_of)
    found = Switches(read)
    # It may have been switched off: a switch that says nothing does not let it run.
    found.update({each.name: False for each in read.unreadable})
    found.unreadable = read.unreadable
    return found


def _switch_target(transaction: Transaction, name: str, enabled: bool) -> None:
    transaction.change(_SWITCH, {"target": escaped(name), "enabled": int(enabled)})


def _names(transaction: Transaction) -> list[str]:
    return [shown(row.name) for row in transaction.find(_NAMES)]


def _target_of(row: Row[Any]) -> Target:
    target = target_of(row.body)
    if target.name != unescaped(row.name):
        raise ValueError(f'it calls itself "{target.name}"')
    return target


def _switch_of(row: Row[Any]) -> tuple[str, bool]:
    if row.enabled not in (0, 1):
        raise ValueError(f"it stands at {row.enabled!r}, which is neither on (1) nor off (0)")
    return unescaped(row.target), bool(row.enabled)
