"""Job: what a schedule does, and what one run of it did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is done on a schedule: `cron` has minute, hour, day, month and day of the week, in UTC."""

    name: str
    doc: str
    cron: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobReport:
    """What one run of a job did, for people and for whatever shows it.

    `did` is one sentence; `rows` is a table under `columns`; `changes` are sentences, of what is different from before.
    `documents` are pages of markdown beside it, by what they are about. `skipped` where there was nothing to do because
    the same job was running elsewhere.
    """

    name: str
    did: str
    columns: Sequence[str] = ()
    rows: Sequence[Mapping[str, Any]] = ()
    changes: Sequence[str] = ()
    documents: Mapping[str, str] = field(default_factory=dict)
    skipped: bool = False
