"""Processes are judged by a beat and fenced by a token; no wall clock says any more who is dead."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_LEASE_US = "15000000"
_MINUTE_US = "60000000"


def _whole(name: str, default: str = "0") -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, server_default=default)


def upgrade() -> None:
    op.add_column("counter", _whole("fence"))
    op.add_column("processes", _whole("renewed_at_us"))
    op.add_column("processes", _whole("lease_us", _LEASE_US))
    op.add_column("processes", _whole("beat"))
    op.add_column("processes", _whole("token"))
    op.add_column("processes", sa.Column("released", sa.SmallInteger, nullable=False, server_default="0"))
    op.add_column("processes", sa.Column("loops", sa.Text, nullable=False, server_default="[]"))
    # Until now a process that closed put its lease to nought.
    op.execute("UPDATE processes SET released = 1 WHERE lease_until_us = 0")
    op.drop_column("processes", "lease_until_us")
    op.add_column("jobs", _whole("lease_us", _MINUTE_US))
    op.add_column("jobs", _whole("beat"))
    op.drop_column("jobs", "lease_until_us")
    op.create_index("keys_by_process", "keys", ["process_id"])
