"""Holding a store against its promises, all at one moment, while other processes use it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from mahavishnu.errors import StoreOutdated
from mahavishnu.model import day_of
from mahavishnu.ports import Check, Clock, Progress, StoreLocation, Verification
from mahavishnu.ports.backups import silent
from mahavishnu.storage.backup.moment import Moment, address_of, existing, lake_of, moment_of
from mahavishnu.storage.sql.connection.database import Database
from mahavishnu.storage.sql.connection.db_errors import message_of, strikes_everybody
from mahavishnu.storage.sql.connection.tables import HEAD
from mahavishnu.storage.sql.facts.aggregates import number_of_store
from mahavishnu.storage.sql.facts.facts_read import newest_position
from mahavishnu.storage.sql.lake_manifest import all_parts
from mahavishnu.storage.verify.database import database_is_sound
from mahavishnu.storage.verify.facts import aggregates_equal_facts
from mahavishnu.storage.verify.findings import Finding, Look, Subject
from mahavishnu.storage.verify.lake import lake_equals_manifest, lake_has_no_strays
from mahavishnu.storage.verify.money import (
    balances_equal_entries,
    charges_have_executions,
    reservations_equal_open_entries,
)
from mahavishnu.storage.verify.records import (
    keys_have_successes,
    positions_are_unique,
    records_have_decisions,
    workflows_have_starts,
)

RESTORE = "restore the last backup that passes: mahavishnu store restore FILE --force"
REPORT = f"report this as a bug; {RESTORE}"


@dataclass(frozen=True, slots=True)
class Promise:
    """What must be true, how it is looked at, and what to do where it is not."""

    name: str
    look: Look
    mend: str


PROMISES = (
    Promise("the database is sound", database_is_sound, RESTORE),
    Promise("positions are unique and below the counter", positions_are_unique, REPORT),
    Promise("every record has its decision", records_have_decisions, REPORT),
    Promise("every workflow end has its start", workflows_have_starts, REPORT),
    Promise("every key that succeeded has its success", keys_have_successes, REPORT),
    Promise("balances equal the ledger", balances_equal_entries, REPORT),
    Promise("reservations equal open entries", reservations_equal_open_entries, REPORT),
    Promise("every charge has its execution", charges_have_executions, REPORT),
    Promise(
        "aggregates equal the facts",
        aggregates_equal_facts,
        "work them out again: mahavishnu routing recalculate --full",
    ),
    Promise("the lake equals its manifest", lake_equals_manifest, f"bring the lake's folder back, or {RESTORE}"),
    Promise(
        "the lake has no stray parts",
        lake_has_no_strays,
        "run: mahavishnu schedule run retention; what stays after that may be removed by hand",
    ),
)


def verify_store(location: StoreLocation, clock: Clock, *, keep_days: int, progress: Progress = silent) -> Verification:
    """Check everything that a store promises; `keep_days` is how long it keeps aggregates. Changes nothing. Blocks.

    Raises `StoreUnavailable` or `StoreOutdated`.
    """
    address = address_of(location)
    with existing(address) as database, moment_of(database, lake_of(location, address)) as moment:
        if moment.schema != HEAD:
            raise StoreOutdated(url=address.shown, found=moment.schema, wanted=HEAD)
        subject = _subject(database, moment, day_of(clock.now_us()) - keep_days)
        return Verification(
            url=address.shown,
            position=newest_position(subject.connection),
            checks=tuple(_checks(subject, progress)),
        )


def _subject(database: Database, moment: Moment, first_day: int) -> Subject:
    return Subject(
        database=database,
        moment=moment,
        parts=all_parts(moment.connection),
        store=number_of_store(moment.connection),
        first_day=first_day,
    )


def _checks(subject: Subject, progress: Progress) -> Iterator[Check]:
    for index, promise in enumerate(PROMISES):
        progress(f"Checking that {promise.name}", index, len(PROMISES))
        finding = Finding()
        _look(promise, subject, finding)
        yield Check(
            name=promise.name,
            looked_at=finding.looked_at,
            failures=finding.failures,
            examples=tuple(finding.examples),
            mend=promise.mend if finding.failures else "",
        )


def _look(promise: Promise, subject: Subject, finding: Finding) -> None:
    """A database that is damaged in one place is still asked for the rest."""
    _tell(subject, "SAVEPOINT promise")
    try:
        promise.look(subject, finding)
    except SQLAlchemyError as error:
        if strikes_everybody(error):
            raise
        _tell(subject, "ROLLBACK TO SAVEPOINT promise")
        finding.fail(f"the database said: {message_of(error)}")
    _tell(subject, "RELEASE SAVEPOINT promise")


def _tell(subject: Subject, statement: str) -> None:
    """What has no rows cannot be read by a cursor of the server's, as everything else is here."""
    subject.connection.exec_driver_sql(statement, execution_options={"stream_results": False})
