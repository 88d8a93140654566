"""Finding the flows that targets name as module:flow."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mahavishnu.errors import Misconfigured, did_you_mean, nearest_name
from mahavishnu_prefect import library
from mahavishnu_prefect.failures import described
from mahavishnu_prefect.threads import Failed, in_thread

if TYPE_CHECKING:
    from prefect import Flow

_RUN = re.compile(r"(?P<module>\w+(\.\w+)*):(?P<name>\w+)")


class Flows:
    """Found flows are kept; one that was not found is looked for again the next time."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = [str(Path(each).expanduser().resolve()) for each in paths]
        # An installed command does not have the working directory on its path.
        sys.path[:0] = [each for each in dict.fromkeys(self._paths) if each not in sys.path]
        self._found: dict[str, Flow[..., Any]] = {}

    async def find(self, run: str) -> Flow[..., Any]:
        """Import it, in a thread: that may be slow, and the module may do anything. Raises Misconfigured."""
        if run not in self._found:
            try:
                self._found[run] = await in_thread(lambda: self._imported(run))
            except Failed as failure:
                raise self._shaped(run, failure.cause) from failure.cause
        return self._found[run]

    def _imported(self, run: str) -> Flow[..., Any]:
        parts = _RUN.fullmatch(run)
        if parts is None:
            raise Misconfigured(f'"{run}" names no flow; write it as flow/deployment, or as package.module:flow')
        library.require()
        # The import system remembers which files a folder had, and this one may be newer than that.
        importlib.invalidate_caches()
        module = importlib.import_module(parts["module"])
        found = getattr(module, parts["name"], None)
        if not library.is_flow(found):
            flows = [name for name, each in vars(module).items() if library.is_flow(each)]
            nearest = nearest_name(parts["name"], flows)
            hint = did_you_mean(nearest) or "; name a function with @flow"
            raise Misconfigured(f'"{run}": {parts["name"]} is no flow of {parts["module"]}{hint}')
        if found.isgenerator:
            raise Misconfigured(f'"{run}" yields its values one by one; let the flow return a list')
        return found

    def _shaped(self, run: str, failure: BaseException) -> Misconfigured:
        if isinstance(failure, Misconfigured):
            return failure
        if isinstance(failure, ModuleNotFoundError) and f"{run}.".replace(":", ".").startswith(f"{failure.name}."):
            return Misconfigured(
                f'"{run}": there is no module {failure.name}; check the spelling, or add its folder to paths in '
                f"[adapters.prefect] (now {', '.join(self._paths)})"
            )
        return Misconfigured(f'"{run}" cannot be imported: {described(failure)}; mend the module')
