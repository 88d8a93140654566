"""Finding what `package.module:name` names."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from mahavishnu.errors import Misconfigured, did_you_mean, nearest_name

_PATH = re.compile(r"(?P<module>\w+(\.\w+)*):(?P<name>\w+(\.\w+)*)")


class Contained:
    """Keeps whatever is raised inside it; what follows the `with` runs only after a failure.

    SystemExit and KeyboardInterrupt are kept too: on their way out of an asyncio task they would end the event loop,
    and with it every other run of the process.
    """

    __slots__ = ("failure",)

    def __init__(self) -> None:
        self.failure: BaseException | None = None

    def __enter__(self) -> Contained:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self.failure = failure
        return True


def look_in(paths: Sequence[str]) -> None:
    """Look for modules in these folders first: an installed command does not have the working directory on its path."""
    folders = [str(Path(each).expanduser().resolve()) for each in paths]
    sys.path[:0] = [each for each in dict.fromkeys(folders) if each not in sys.path]


def named(path: str) -> Any:
    """Import it. Raises Misconfigured, or whatever the module raises."""
    parts = _PATH.fullmatch(path)
    if parts is None:
        raise Misconfigured(f'"{path}" names nothing; write it as package.module:name')
    # The import system remembers which files a folder had, and this one may be newer than that.
    importlib.invalidate_caches()
    found: Any = _module(parts["module"], path)
    for name in parts["name"].split("."):
        found = _attribute(found, name, path)
    return found


def _module(name: str, path: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as problem:
        mend = "check the spelling, or add its folder to paths in [adapters.agno]"
        if not f"{name}.".startswith(f"{problem.name}."):
            mend = "install it where mahavishnu runs"
        raise Misconfigured(f'"{path}": there is no module {problem.name}; {mend}') from problem


def _attribute(holder: Any, name: str, path: str) -> Any:
    try:
        return getattr(holder, name)
    except AttributeError:
        nearest = nearest_name(name, dir(holder))
        hint = did_you_mean(nearest) or "; check the spelling"
        raise Misconfigured(f'"{path}": {getattr(holder, "__name__", "it")} has no "{name}"{hint}') from None
