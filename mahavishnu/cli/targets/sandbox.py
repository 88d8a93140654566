"""mahavishnu engines: real engines, started here to try things out."""

from __future__ import annotations

import asyncio
import math
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mahavishnu.cli.common.arguments import bad
from mahavishnu.cli.common.flags import Json
from mahavishnu.cli.common.foreground import asked_to_stop, patient, stay
from mahavishnu.cli.common.layout import Group
from mahavishnu.cli.common.printing import emit, flush, line, note, prose
from mahavishnu.cli.common.shapes import Shape
from mahavishnu.cli.targets import sandbox_settings
from mahavishnu.cli.targets.sandbox_processes import Sandbox, bring_up, free_port, stop_all
from mahavishnu.errors import Crashed, Misconfigured, PluginMissing, SettingsError
from mahavishnu.ports import HasSandbox, SandboxEngine

if TYPE_CHECKING:
    from mahavishnu.ports import Adapter

Tell = Callable[[str, str], None]

FOLDER = Path("mahavishnu-engines")

group = Group(help="Start real engines on this machine to try things out.")


@group.callback()
def engines() -> None:
    """A group, though it has one command."""


@group.command()
def up(
    only: Annotated[
        str | None, typer.Option(metavar="A,B", help="Only these engines, by the names of their adapters.")
    ] = None,
    folder: Annotated[Path, typer.Option(help="The folder for their data and logs.")] = FOLDER,
    config_out: Annotated[
        Path | None, typer.Option(help="The configuration file to write. Default: mahavishnu.toml in the folder.")
    ] = None,
    key_env: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help='The engines require the key in this environment variable ("user:password" for Prefect).',
        ),
    ] = None,
    for_s: Annotated[
        float | None, typer.Option("--for", metavar="SECONDS", min=0, help="Stop after this time instead of at Ctrl-C.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Start real engines to try things out, and stop them all at Ctrl-C.

    Nothing leaves this machine: the engines are real, the models behind them are
    simulated. With --json, prints one object for each engine when it is ready,
    then one with the configuration; everything else goes to stderr.

    Example: mahavishnu engines up --only agno,openai
    """
    folder = folder.resolve()
    written = (config_out or folder / "mahavishnu.toml").resolve()
    sandbox_settings.check_writable(written)
    sandboxes = [_sandbox(name, engine, folder) for name, engine in _engines(only, folder, key_env)]
    with asked_to_stop(), _stopped_at_the_end(sandboxes):
        _bring_up(sandboxes, as_json=as_json)
        sandbox_settings.write(written, sandboxes)
        # From here on, to be asked to stop is no interruption.
        with suppress(KeyboardInterrupt):
            if as_json:
                _emit({"config": str(written), "folder": str(folder)})
            else:
                _show(sandboxes, written)
            _stay(sandboxes, for_s)


# -- which ones --------------------------------------------------------------------------------------------------------


def _engines(only: str | None, folder: Path, key_env: str | None) -> list[tuple[str, SandboxEngine]]:
    """Raises what `load_adapter` does for one that was asked for, and leaves out others that cannot be loaded."""
    from mahavishnu.plugins import available_adapters, load_adapter, make

    asked = [each.strip() for each in only.split(",") if each.strip()] if only is not None else None
    found: list[tuple[str, SandboxEngine]] = []
    for name in dict.fromkeys(asked if asked is not None else sorted(available_adapters())):
        try:
            adapter = make(load_adapter(name), {}, where=f"[adapters.{name}]")
        except PluginMissing as missing:
            if asked is not None:
                raise
            note(str(missing))
            continue
        if isinstance(adapter, HasSandbox):
            found.append((name, _engine(adapter, folder / name, key_env)))
        elif asked is not None:
            raise bad("--only", f'the adapter "{name}" has no engine that could be started here')
        asyncio.run(_closed(adapter))
    if not found:
        raise bad("--only", "no engine is left to start")
    return found


def _engine(adapter: HasSandbox, folder: Path, key_env: str | None) -> SandboxEngine:
    try:
        return adapter.sandbox(folder, free_port(), key_env=key_env)
    except Misconfigured as why:
        raise bad("--key-env", str(why)) from None


async def _closed(adapter: Adapter) -> None:
    await adapter.close()


def _sandbox(name: str, engine: SandboxEngine, folder: Path) -> Sandbox:
    try:
        (folder / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f"cannot be made ({error.strerror}); name another folder with --folder"
        raise SettingsError(where=str(folder / name), problem=problem) from None
    return Sandbox(name, engine, folder / name)


# -- while they run ----------------------------------------------------------------------------------------------------


@contextmanager
def _stopped_at_the_end(sandboxes: Sequence[Sandbox]) -> Iterator[None]:
    try:
        yield
    finally:
        patient()
        note("Stopping …")
        stop_all(sandboxes)
        note(f"Stopped {_names(sandboxes)}.")


def _bring_up(sandboxes: Sequence[Sandbox], *, as_json: bool) -> None:
    began_s = time.monotonic()
    with _progress([each.name for each in sandboxes]) as tell:
        for sandbox in bring_up(sandboxes):
            took_s = time.monotonic() - began_s
            tell(sandbox.name, f"ready at {sandbox.url} after {took_s:.1f} s")
            if as_json:
                _emit(_shape(sandbox, took_s))


@contextmanager
def _progress(names: Sequence[str]) -> Iterator[Tell]:
    """A line for each engine on stderr; where nobody watches, a line for each thing that happens to one."""
    if not sys.stderr.isatty():
        note(f"Starting {', '.join(names)} …")
        yield lambda name, words: note(f"{name}: {words}")
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(finished_text="✓"), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        tasks = {name: progress.add_task(f"{name}: starting …", total=1) for name in names}
        yield lambda name, words: progress.update(tasks[name], description=f"{name}: {words}", completed=1)


def _stay(sandboxes: Sequence[Sandbox], for_s: float | None) -> None:
    """Until that time is over, or somebody asks to stop. Raises Crashed when none of them is left."""
    until_s = math.inf if for_s is None else time.monotonic() + for_s
    lost: set[str] = set()

    def over() -> bool:
        for sandbox in sandboxes:
            ended = sandbox.ended
            if ended is not None and sandbox.name not in lost:
                lost.add(sandbox.name)
                note(f"{sandbox.name}: {ended.name} ended with {ended.ended}; see {ended.log}")
        if len(lost) == len(sandboxes):
            raise Crashed("none of the engines runs any longer; start them again")
        return time.monotonic() >= until_s

    stay(over)


# -- what is said ------------------------------------------------------------------------------------------------------


def _show(sandboxes: Sequence[Sandbox], written: Path) -> None:
    line()
    line("Ready. The engines are real; what answers in them is simulated:")
    for sandbox in sandboxes:
        prose(f"  {sandbox.name}: {sandbox.engine.simulated}.")
    line()
    line(
        f"Their data and logs are in {sandboxes[0].folder.parent}, the configuration is {written}. In another terminal:"
    )
    command = f"mahavishnu --config {shlex.quote(str(written))}"
    line(f"  {command} targets check")
    line(f"  {command} targets discover")
    for task_type, example in _examples(sandboxes).items():
        line(f"  {command} execute {shlex.quote(example)} --task-type {task_type}")
    line()
    prose("Ctrl-C stops them all.")
    flush()


def _examples(sandboxes: Sequence[Sandbox]) -> dict[str, str]:
    """A text for each task type that they take."""
    return {
        word: sandbox.engine.example
        for sandbox in reversed(sandboxes)
        for target in sandbox.engine.targets
        for word in sorted(target.task_types)
    }


def _shape(sandbox: Sandbox, took_s: float) -> Shape:
    return {
        "engine": sandbox.name,
        "url": sandbox.url,
        "seconds": round(took_s, 1),
        "simulated": sandbox.engine.simulated,
        "targets": [each.name for each in sandbox.engine.targets],
        "processes": {each.name: each.pid for each in sandbox.running},
        "logs": [str(each.log) for each in sandbox.running],
    }


def _emit(shape: Shape) -> None:
    """At once: whoever waits for it does so on the other end of a pipe."""
    emit(shape)
    flush()


def _names(sandboxes: Sequence[Sandbox]) -> str:
    return ", ".join(each.name for each in sandboxes)
