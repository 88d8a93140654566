"""mahavishnu targets export and import: the targets of the store as a file, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mahavishnu.cli.common.arguments import STDIN, bad, stdin_text, write
from mahavishnu.cli.common.exits import FAILED
from mahavishnu.cli.common.flags import Json, with_app
from mahavishnu.cli.common.printing import emit, line, note, prose, waiting
from mahavishnu.cli.targets.table import Change, changes_between, lines_of, unwritable
from mahavishnu.cli.targets.targets import check_usable
from mahavishnu.errors import TargetExists
from mahavishnu.model import Target
from mahavishnu.model.unreadable import Unreadable
from mahavishnu.redaction import redacted

if TYPE_CHECKING:
    from mahavishnu.app import App

HEAD = '# Targets of a store, written by "mahavishnu targets export" and read by "mahavishnu targets import".'


def export(
    ctx: typer.Context,
    file: Annotated[
        str, typer.Argument(metavar="[FILE]", help='The file to write; "-" or nothing prints it.', show_default=False)
    ] = STDIN,
    as_json: Json = False,
) -> None:
    """Write the targets of the store as TOML, in the form of [targets.NAME] in the configuration file.

    Secrets are not written: an option that holds one is left out and named, and
    so is a target whose address holds one. Exits with 1 if anything was left out.

    Example: mahavishnu targets export targets.toml
    """
    targets, unreadable = with_app(ctx, _all_stored)
    kept = [target for target in targets if redacted(target.run) == target.run]
    text = "\n".join([HEAD, *(part for target in kept for part in ("", *lines_of(target)))]) + "\n"
    if file != STDIN:
        write(Path(file), text, "FILE")
    left_out = [
        *(f"{row.name}, because this version cannot read it" for row in unreadable),
        *(f"{target.name}, because its run holds a secret" for target in targets if target not in kept),
        *(f"options.{option} of {target.name}: {why}" for target in kept for option, why in unwritable(target).items()),
    ]
    names = [target.name for target in kept]
    if as_json:
        emit({"file": None if file == STDIN else file, "targets": names, "left_out": left_out, "toml": text})
    elif file == STDIN:
        line(text.rstrip("\n"))
    else:
        prose(f"Wrote {len(names)} target{'' if len(names) == 1 else 's'} to {file}.")
    for words in left_out:
        note(f"Left out {words}.")
    if left_out:
        raise typer.Exit(FAILED)


@dataclass(frozen=True, slots=True)
class _Import:
    """What a file of targets would do to a store."""

    added: Sequence[Target]
    replaced: Sequence[tuple[Target, Sequence[Change]]]
    unchanged: Sequence[Target]


def import_(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help='The file with the targets; "-" reads stdin.')],
    replacing: Annotated[
        bool, typer.Option("--replace", help="Put targets of the file in the place of those that differ.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    no_check: Annotated[bool, typer.Option("--no-check", help="Import also targets that cannot run now.")] = False,
    as_json: Json = False,
) -> None:
    """Add the targets of a TOML file to the store: all of them, or none.

    The file has tables [targets.NAME], as the configuration file does. A target
    that is there already and differs is refused unless --replace is given; one
    that is replaced keeps its evidence. No target is removed.

    Example: mahavishnu targets import targets.toml --dry-run
    """
    where = "stdin" if file == STDIN else file
    targets = _read(file, where)

    async def act(app: App) -> _Import:
        there = {target.name: target for target in await app.store.targets()}
        found = _compared(app, await _switched(app, there.values()), targets)
        if found.replaced and not replacing:
            raise bad("FILE", _differs(where, found.replaced))
        new = [*found.added, *(target for target, _ in found.replaced)]
        for target in new:
            await check_usable(app, target, health=not no_check)
        if new and not dry_run:
            before = {target.name: there[target.name] for target, _ in found.replaced}
            await app.orchestrator.put_targets(new, before, anew=True)
        return found

    with waiting("Looking whether they can run …"):
        found = with_app(ctx, act, adapters=sorted({target.adapter for target in targets}))
    if as_json:
        emit(_shape(found, dry_run=dry_run))
    else:
        _say(found, dry_run=dry_run)


# -- reading and comparing ---------------------------------------------------------------------------------------------


def _read(file: str, where: str) -> Sequence[Target]:
    from mahavishnu.settings import read_targets, text_of

    if file == STDIN:
        return read_targets(stdin_text("FILE", "send it in parts"), where)
    try:
        return read_targets(text_of(Path(file)), where)
    except OSError as error:
        raise bad("FILE", f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise bad("FILE", f"{file} is not UTF-8 (byte {error.start}); save it as UTF-8") from None


async def _all_stored(app: App) -> tuple[Sequence[Target], Sequence[Unreadable]]:
    unreadable = [row for row in app.orchestrator.unreadable() if row.kind == "target"]
    return await _switched(app, await app.store.targets()), unreadable


async def _switched(app: App, stored: Iterable[Target]) -> Sequence[Target]:
    """These targets, switched as they are now, whether by hand or not."""
    switches = await app.store.switches()
    return [replace(target, enabled=switches.get(target.name, target.enabled)) for target in stored]


def _compared(app: App, switched: Iterable[Target], targets: Sequence[Target]) -> _Import:
    """Raises TargetExists for one that the configuration file or an adapter declares, and differently."""
    stored: Mapping[str, Target] = {target.name: target for target in switched}
    standing = {one.target.name: one for one in app.orchestrator.standings()}
    added, replaced, unchanged = [], [], []
    for target in targets:
        there = stored.get(target.name)
        if there is None and target.name in standing:
            raise TargetExists(target=target.name, where=f"the {standing[target.name].source}")
        if there is None:
            added.append(target)
        elif changes := changes_between(there, target):
            replaced.append((target, changes))
        else:
            unchanged.append(target)
    return _Import(added, replaced, unchanged)


def _differs(where: str, replaced: Sequence[tuple[Target, Sequence[Change]]]) -> str:
    named = "; ".join(f'target "{target.name}" differs: {", ".join(map(str, changes))}' for target, changes in replaced)
    return f"{where}, {named}; nothing was imported, --replace puts those of the file in their place"


# -- what was done -----------------------------------------------------------------------------------------------------


def _shape(found: _Import, *, dry_run: bool) -> dict[str, object]:
    return {
        "dry_run": dry_run,
        "added": [target.name for target in found.added],
        "replaced": [
            {"name": target.name, "changes": [change.shape for change in changes]} for target, changes in found.replaced
        ],
        "unchanged": [target.name for target in found.unchanged],
    }


def _say(found: _Import, *, dry_run: bool) -> None:
    would = "Would have " if dry_run else ""
    added, replaced = ("added", "replaced") if dry_run else ("Added", "Replaced")
    for target in found.added:
        prose(f"{would}{added} {target.name}.")
    for target, changes in found.replaced:
        prose(f"{would}{replaced} {target.name}: {', '.join(map(str, changes))}.")
    if found.unchanged:
        prose(f"Unchanged: {', '.join(target.name for target in found.unchanged)}.")
    if not (found.added or found.replaced or found.unchanged):
        prose("The file has no target.")
