"""The flags that every command takes, before its name or after it, and what they open."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from mahavishnu.app import App
    from mahavishnu.ports import Store, StoreLocation
    from mahavishnu.settings import Settings

T = TypeVar("T")


@dataclass(slots=True)
class Flags:
    """What was given so far; what is given later on the line wins."""

    config: Path | None = None
    store: str | None = None
    debug: bool = False
    as_json: bool = False
    """Whether errors are told as JSON. Known before the line is read, so that what is wrong with the line is, too."""

    if_stopped: str = ""
    """How to go on, and what is safe, where Ctrl-C ends the command from now on."""

    def settings(self) -> Settings:
        """Raises SettingsError. What is secret in them is hidden from now on in all that is printed."""
        from mahavishnu.redaction import learn
        from mahavishnu.settings import load_settings, secrets_of

        overrides: dict[str, Any] = {} if self.store is None else {"store": {"url": self.store}}
        settings = load_settings(self.config, os.environ, overrides)
        learn(*secrets_of(settings, os.environ))
        return settings

    def location(self) -> StoreLocation:
        """Where the store of the settings is. Raises SettingsError."""
        from mahavishnu.ports import StoreLocation

        settings = self.settings()
        return StoreLocation(settings.store.url, settings.lake.folder, settings.store.spool)


def flags_of(ctx: typer.Context) -> Flags:
    return ctx.ensure_object(Flags)


def if_stopped(ctx: typer.Context, how: str) -> None:
    """Say so where Ctrl-C ends the command from now on."""
    flags_of(ctx).if_stopped = how


def _note_config(ctx: typer.Context, value: Path | None) -> Path | None:
    if value is not None:
        flags_of(ctx).config = value
    return value


def _note_store(ctx: typer.Context, value: str | None) -> str | None:
    if value is not None:
        flags_of(ctx).store = value
    return value


def _note_debug(ctx: typer.Context, value: bool) -> bool:
    if value:
        flags_of(ctx).debug = True
    return value


# Eager, so that they are known when an argument has to look into the store.
Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="PATH", is_eager=True, callback=_note_config, help="The configuration file."),
]
StoreUrl = Annotated[
    str | None,
    typer.Option("--store", metavar="URL", is_eager=True, callback=_note_store, help="The store to use."),
]
Debug = Annotated[
    bool, typer.Option("--debug", is_eager=True, callback=_note_debug, help="Show the traceback of an error.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Force = Annotated[bool, typer.Option("--force", help="Accept a task type, target or adapter that is not known yet.")]
Wide = Annotated[
    bool, typer.Option("--wide", help="Show every column of the table, with whole ids, however narrow the terminal is.")
]


def with_app(
    ctx: typer.Context, action: Callable[[App], Awaitable[T]], *, adapters: Sequence[str] = (), make: bool = True
) -> T:
    """Open mahavishnu, act, and close it again, whatever happens. `make` is that of `with_store`."""
    settings = flags_of(ctx).settings()
    settings = settings if make else as_it_is(settings)

    async def act() -> T:
        from mahavishnu.app import open_app

        async with open_app(settings, adapters=adapters) as app:
            return await action(app)

    return _run(act())


def with_store(ctx: typer.Context, action: Callable[[Store], Awaitable[T]], *, make: bool = True) -> T:
    """Open only the store: what reads records needs no target to be well.

    `make` is False for what only reads, or changes only what is there: a store that does not exist is not created, and
    the action finds an empty one.
    """
    settings = flags_of(ctx).settings()
    settings = settings if make else as_it_is(settings)

    async def act() -> T:
        from mahavishnu.app import make_store

        store = make_store(settings)
        await store.open()
        try:
            return await action(store)
        finally:
            await store.close()

    return _run(act())


def store_is_missing(settings: Settings) -> bool:
    """Whether the store is a file that is yet to be created. Raises StoreUnavailable where it could not be."""
    if settings.store.url.startswith("memory:"):
        return False
    from mahavishnu.storage.sql.connection.address import check_file, parse

    address = parse(settings.store.url)
    if not address.is_sqlite or address.path.exists():
        return False
    check_file(address)
    return True


def as_it_is(settings: Settings) -> Settings:
    """The same settings; with an empty store in memory where theirs does not exist, so that reading leaves nothing."""
    if not store_is_missing(settings):
        return settings
    return settings.model_copy(update={"store": settings.store.model_copy(update={"url": "memory:"})})


def _run(action: Coroutine[Any, Any, T]) -> T:
    import asyncio

    return asyncio.run(action)
