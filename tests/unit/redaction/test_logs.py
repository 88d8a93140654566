"""Log records: the message, its arguments and the traceback are cleaned, whichever handler writes them."""

import ast
import logging
from pathlib import Path

import pytest

from mahavishnu.redaction import learn
from mahavishnu.redaction.logs import LOGGERS, guard, guard_logs

SOURCES = [
    path
    for folder in ("mahavishnu", "adapters", "flows")
    for path in Path(__file__).parents[3].glob(f"{folder}/**/*.py")
]


@pytest.fixture
def log():
    logger = logging.getLogger("mahavishnu.engine")
    guard_logs()
    learn("Tr0ub4dor-and-3")
    return logger


def test_a_message_and_its_arguments_are_cleaned(log, caplog):
    log.warning("the key %s and %r", "Tr0ub4dor-and-3", {"api_key": "k"})
    assert caplog.messages == ["the key *** and {'api_key': '***'}"]
    log.error(ValueError("no Tr0ub4dor-and-3"))
    assert caplog.messages[1] == "no ***"


def test_an_error_that_quotes_a_key_is_written_without_it_and_its_cause_too(log, caplog):
    try:
        try:
            raise KeyError("Tr0ub4dor-and-3")
        except KeyError as cause:
            raise RuntimeError("Authorization: Bearer abc") from cause
    except RuntimeError:
        log.exception("it failed")
    assert "KeyError: '***'" in caplog.text
    assert "RuntimeError: Authorization: ***" in caplog.text
    assert "Tr0ub4dor" not in caplog.text
    assert caplog.records[0].exc_info is None


def test_an_error_without_a_secret_keeps_its_traceback(log, caplog):
    try:
        raise ValueError("17 rows")
    except ValueError:
        log.exception("it failed")
    assert caplog.records[0].exc_info[0] is ValueError
    assert "ValueError: 17 rows" in caplog.text


def test_arguments_that_do_not_fit_lose_no_record(log, caplog):
    log.warning("%d rows with token=%s", "many")
    assert caplog.messages[0].startswith("%d rows with token=")


def test_a_logger_is_guarded_once():
    logger = logging.getLogger("mahavishnu.of.a.test")
    guard(logger)
    guard(logger)
    assert len(logger.filters) == 1


def test_every_logger_of_ours_is_guarded():
    """A filter counts only for the logger that it is put on: a new name belongs into LOGGERS."""
    names = {
        node.args[0].value
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and getattr(node.func, "attr", "") == "getLogger"
        and node.args
        and isinstance(node.args[0], ast.Constant)
    }
    assert names
    assert names <= set(LOGGERS)
