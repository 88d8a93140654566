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
from mahavishnu.cli.targets.sandbox_processes import Trial, bring_up, free_port, stop_all
from mahavishnu.errors import Crashed, Misconfigured, PluginMissing, SettingsError
from mahavishnu.ports import TrialEngine, Tryable

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
    trials = [_trial(name, engine, folder) for name, engine in _engines(only, folder, key_env)]
    with asked_to_stop(), _stopped_at_the_end(trials):
        _bring_up(trials, as_json=as_json)
        sandbox_settings.write(written, trials)
        # From here on, to be asked to stop is no interruption.
        with suppress(KeyboardInterrupt):
            if as_json:
                _emit({"config": str(written), "folder": str(folder)})
            else:
                _show(trials, written)
            _stay(trials, for_s)


# -- which ones --------------------------------------------------------------------------------------------------------


def _engines(only: str | None, folder: Path, key_env: str | None) -> list[tuple[str, TrialEngine]]:
    """Raises what `load_adapter` does for one that was asked for, and leaves out others that cannot be loaded."""
    from mahavishnu.plugins import available_adapters, load_adapter, make

    asked = [each.strip() for each in only.split(",") if each.strip()] if only is not None else None
    found: list[tuple[str, TrialEngine]] = []
    for name in dict.fromkeys(asked if asked is not None else sorted(available_adapters())):
        try:
            adapter = make(load_adapter(name), {}, where=f"[adapters.{name}]")
        except PluginMissing as missing:
            if asked is not None:
                raise
            note(str(missing))
            continue
        if isinstance(adapter, Tryable):
            found.append((name, _engine(adapter, folder / name, key_env)))
        elif asked is not None:
            raise bad("--only", f'the adapter "{name}" has no engine that could be started here')
        asyncio.run(_closed(adapter))
    if not found:
        raise bad("--only", "no engine is left to start")
    return found


def _engine(adapter: Tryable, folder: Path, key_env: str | None) -> TrialEngine:
    try:
        return adapter.trial(folder, free_port(), key_env=key_env)
    except Misconfigured as why:
        raise bad("--key-env", str(why)) from None


async def _closed(adapter: Adapter) -> None:
    await adapter.close()


def _trial(name: str, engine: TrialEngine, folder: Path) -> Trial:
    try:
        (folder / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f"cannot be made ({error.strerror}); name another folder with --folder"
        raise SettingsError(where=str(folder / name), problem=problem) from None
    return Trial(name, engine, folder / name)


# -- while they run ----------------------------------------------------------------------------------------------------


@contextmanager
def _stopped_at_the_end(trials: Sequence[Trial]) -> Iterator[None]:
    try:
        yield
    finally:
        patient()
        note("Stopping …")
        stop_all(trials)
        note(f"Stopped {_names(trials)}.")


def _bring_up(trials: Sequence[Trial], *, as_json: bool) -> None:
    began_s = time.monotonic()
    with _progress([each.name for each in trials]) as tell:
        for trial in bring_up(trials):
            took_s = time.monotonic() - began_s
            tell(trial.name, f"ready at {trial.url} after {took_s:.1f} s")
            if as_json:
                _emit(_shape(trial, took_s))


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


def _stay(trials: Sequence[Trial], for_s: float | None) -> None:
    """Until that time is over, or somebody asks to stop. Raises Crashed when none of them is left."""
    until_s = math.inf if for_s is None else time.monotonic() + for_s
    lost: set[str] = set()

    def over() -> bool:
        for trial in trials:
            ended = trial.ended
            if ended is not None and trial.name not in lost:
                lost.add(trial.name)
                note(f"{trial.name}: {ended.name} ended with {ended.ended}; see {ended.log}")
        if len(lost) == len(trials):
            raise Crashed("none of the engines runs any longer; start them again")
        return time.monotonic() >= until_s

    stay(over)


# -- what is said ------------------------------------------------------------------------------------------------------


def _show(trials: Sequence[Trial], written: Path) -> None:
    line()
    line("Ready. The engines are real; what answers in them is simulated:")
    for trial in trials:
        prose(f"  {trial.name}: {trial.engine.simulated}.")
    line()
    line(f"Their data and logs are in {trials[0].folder.parent}, the configuration is {written}. In another terminal:")
    command = f"mahavishnu --config {shlex.quote(str(written))}"
    line(f"  {command} targets check")
    line(f"  {command} targets discover")
    for task_type, example in _examples(trials).items():
        line(f"  {command} execute {shlex.quote(example)} --task-type {task_type}")
    line()
    prose("Ctrl-C stops them all.")
    flush()


def _examples(trials: Sequence[Trial]) -> dict[str, str]:
    """A text for each task type that they take."""
    return {
        word: trial.engine.example
        for trial in reversed(trials)
        for target in trial.engine.targets
        for word in sorted(target.task_types)
    }


def _shape(trial: Trial, took_s: float) -> Shape:
    return {
        "engine": trial.name,
        "url": trial.url,
        "seconds": round(took_s, 1),
        "simulated": trial.engine.simulated,
        "targets": [each.name for each in trial.engine.targets],
        "processes": {each.name: each.pid for each in trial.running},
        "logs": [str(each.log) for each in trial.running],
    }


def _emit(shape: Shape) -> None:
    """At once: whoever waits for it does so on the other end of a pipe."""
    emit(shape)
    flush()


def _names(trials: Sequence[Trial]) -> str:
    return ", ".join(each.name for each in trials)
