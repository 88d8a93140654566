"""Finding the functions that targets name, and keeping those that were found."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mahavishnu.errors import Contained, Misconfigured, did_you_mean, nearest_name
from mahavishnu.model import Target
from mahavishnu.model.registry import registered_function
from mahavishnu_local.calling import Function, function_of
from mahavishnu_local.containment import described

_RUN = re.compile(r"(?P<module>\w+(\.\w+)*):(?P<name>\w+(\.\w+)*)")


class Functions:
    """What was found is kept; what was not found is looked for again the next time, since it may be there by then."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = [str(Path(each).expanduser().resolve()) for each in paths]
        # An installed command does not have the working directory on its path.
        sys.path[:0] = [each for each in dict.fromkeys(self._paths) if each not in sys.path]
        self._found: dict[tuple[str, str], Function] = {}

    def known(self, target: Target) -> Function | None:
        """What was found before. Does no I/O."""
        found = self._found.get((target.name, target.run))
        if found is None or registered_function(target) not in (None, found.callable):
            return None
        return found

    def find(self, target: Target) -> Function | Misconfigured:
        """Import it. May take as long as the import does; raises nothing, whatever the module does."""
        with Contained() as inside:
            function = registered_function(target) or self._imported(target.run)
            found = function_of(function, target.run)
            self._found[target.name, target.run] = found
            return found
        failure = inside.failure
        return failure if isinstance(failure, Misconfigured) else Misconfigured(f'"{target.run}": {described(failure)}')

    def _imported(self, run: str) -> Callable[..., Any]:
        parts = _RUN.fullmatch(run)
        if parts is None:
            raise Misconfigured(f'"{run}" names no function; write it as package.module:function')
        found = self.import_module(parts["module"], run)
        for name in parts["name"].split("."):
            found = _attribute(found, name, run)
        if not callable(found):
            raise Misconfigured(f'"{run}" is {type(found).__name__} and cannot be called; name a function')
        function: Callable[..., Any] = found
        return function

    def import_module(self, name: str, run: str) -> Any:
        """Raises Misconfigured, whatever the module does; `run` says on whose behalf."""
        # The import system remembers which files a folder had, and this one may be newer than that.
        importlib.invalidate_caches()
        with Contained() as inside:
            return importlib.import_module(name)
        failure = inside.failure
        if not isinstance(failure, ModuleNotFoundError) or failure.name is None:
            raise Misconfigured(f'"{run}": importing {name} failed: {described(failure)}; mend the module') from failure
        if f"{name}.".startswith(f"{failure.name}."):
            raise Misconfigured(
                f'"{run}": there is no module {failure.name}; check the spelling, or add its folder to paths in '
                f"[adapters.local] (now {', '.join(self._paths)})"
            ) from failure
        raise Misconfigured(
            f'"{run}": {name} needs {failure.name}, which is not installed; install it where mahavishnu runs'
        ) from failure


def _attribute(holder: Any, name: str, run: str) -> Any:
    try:
        return getattr(holder, name)
    except AttributeError:
        nearest = nearest_name(name, dir(holder))
        hint = did_you_mean(nearest) or "; check the spelling"
        where = getattr(holder, "__name__", type(holder).__name__)
        raise Misconfigured(f'"{run}": {where} has no "{name}"{hint}') from None
