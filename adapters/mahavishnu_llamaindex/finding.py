"""Finding the objects that targets and their options name."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from mahavishnu.errors import Contained, Misconfigured, did_you_mean, nearest_name
from mahavishnu_llamaindex.failures import described


def look_in(paths: Sequence[str]) -> None:
    """Look for modules in these folders first: a command does not have the working directory on its path."""
    resolved = [str(Path(each).expanduser().resolve()) for each in paths]
    sys.path[:0] = [each for each in dict.fromkeys(resolved) if each not in sys.path]


def found(name: str) -> object:
    """The object that `package.module:object` names. May take as long as its import does.

    Raises Misconfigured and nothing else, whatever the module does when it is imported.
    """
    module, _, path = name.partition(":")
    if not module or not path:
        raise Misconfigured(f'"{name}" names no object; write it as package.module:object')
    with Contained() as inside:
        return _attribute(name, importlib.import_module(module), path)
    failure = inside.failure
    if isinstance(failure, Misconfigured):
        raise failure
    raise Misconfigured(f'"{name}" cannot be imported: {described(failure)}') from failure


def _attribute(name: str, holder: object, path: str) -> object:
    for part in path.split("."):
        if not hasattr(holder, part):
            nearest = nearest_name(part, dir(holder))
            where = getattr(holder, "__name__", type(holder).__name__)
            hint = did_you_mean(nearest) or "; check the spelling"
            raise Misconfigured(f'"{name}": {where} has no "{part}"{hint}')
        holder = getattr(holder, part)
    return holder
