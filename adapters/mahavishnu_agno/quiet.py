"""Agno's habits that do not fit a library: it reports its use, and writes its log to stdout."""

from __future__ import annotations

import logging
import os
import sys

from agno.utils.log import ColoredRichHandler, agent_logger, team_logger, workflow_logger

from mahavishnu.redaction.logs import guard


def keep_quiet() -> None:
    """Switch the telemetry off, and hand what Agno logs to whoever configures logging in this process.

    Its own handlers write to stdout, in the middle of what a command prints there. Loggers that somebody else has set
    up stay as they are.
    """
    # The variable wins over what an agent, a team or a workflow says.
    os.environ["AGNO_TELEMETRY"] = "false"
    for logger in (agent_logger, team_logger, workflow_logger):
        guard(logger)
        # Agno takes a logger as its own, and puts its handler on, only where nobody did before.
        if logger.propagate:
            continue
        for handler in [each for each in logger.handlers if _is_agnos_own(each)]:
            logger.removeHandler(handler)
            logger.propagate = True


def _is_agnos_own(handler: logging.Handler) -> bool:
    if isinstance(handler, ColoredRichHandler):
        return True
    return type(handler) is logging.StreamHandler and handler.stream not in (sys.stderr, sys.__stderr__)
