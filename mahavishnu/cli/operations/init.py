"""mahavishnu init: the configuration file, every setting in it and explained."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import typer

from mahavishnu.cli.common.flags import Json, flags_of
from mahavishnu.cli.common.printing import emit, prose
from mahavishnu.errors import SettingsError

WRITTEN = Path("config/mahavishnu.toml")


def template() -> str:
    """The text of a configuration file in which nothing is set."""
    return files("mahavishnu.cli").joinpath("template.toml").read_text(encoding="utf-8")


def init(
    ctx: typer.Context,
    as_json: Json = False,
) -> None:
    """Write a commented configuration file: config/mahavishnu.toml, or the one that --config names.

    Example: mahavishnu init --config settings/router.toml
    """
    path = flags_of(ctx).config or WRITTEN
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(template())
    except FileExistsError:
        problem = "already exists and is left as it is; remove it first, or name another file with --config"
        raise SettingsError(where=str(path), problem=problem) from None
    except OSError as error:
        problem = f"cannot be written ({error.strerror}); name another file with --config"
        raise SettingsError(where=str(path), problem=problem) from None
    if as_json:
        emit({"file": str(path)})
    else:
        prose(f"Wrote {path}.")
