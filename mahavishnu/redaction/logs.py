"""Log records without secrets."""

from __future__ import annotations

import logging
import traceback

from mahavishnu.redaction.redactor import redacted

LOGGERS = (
    "mahavishnu",
    "mahavishnu.alerts",
    "mahavishnu.decisions",
    "mahavishnu.engine",
    "mahavishnu.experiments",
    "mahavishnu.storage",
    # Their records hold URLs, the words of servers, and in detail every header.
    "httpx",
    "httpcore.connection",
    "httpcore.http11",
    "httpcore.http2",
    "httpcore.proxy",
    "httpcore.socks",
)
"""A filter counts only for the logger that it is put on, and not for those below it: so each is named."""


class WithoutSecrets(logging.Filter):
    """Lets every record pass, without secrets: in its message, and in the traceback that goes with it."""

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            message = record.getMessage()
        except Exception as problem:  # noqa: BLE001 - logging itself would only complain on stderr
            message = f"{record.msg} (its arguments do not fit: {problem})"
        cleaned = redacted(message)
        if cleaned != message or not isinstance(record.msg, str):
            record.msg, record.args = cleaned, None
        if record.exc_info and record.exc_info[1] is not None:
            self._clean_traceback(record, record.exc_info[1])
        elif record.exc_text:
            record.exc_text = redacted(record.exc_text)
        return True

    def _clean_traceback(self, record: logging.LogRecord, error: BaseException) -> None:
        """An error with a secret in it goes on as text: handlers would write the error itself out once more."""
        whole = "".join(traceback.format_exception(error)).rstrip("\n")
        cleaned = redacted(whole)
        if cleaned != whole:
            record.exc_info, record.exc_text = None, cleaned


_FILTER = WithoutSecrets()


def guard(logger: logging.Logger) -> None:
    """Keep secrets out of what this logger writes. May be called as often as one likes."""
    logger.addFilter(_FILTER)


def guard_logs() -> None:
    """Keep secrets out of our own log, and of that of the library that speaks HTTP for us."""
    for name in LOGGERS:
        guard(logging.getLogger(name))
