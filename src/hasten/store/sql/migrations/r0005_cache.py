"""What a cache keeps in a database: entries, generations, leases and notes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from hasten.store.base import first_epoch

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables; the generations start above all that were ever counted elsewhere."""
    op.create_table(
        "cache_entries",
        sa.Column("key", sa.LargeBinary, primary_key=True),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("created_s", sa.Double, nullable=False),
        sa.Column("expires_s", sa.Double),
        sa.Column("is_kept", sa.Boolean, nullable=False),
        sa.Column("owner", sa.LargeBinary, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    op.create_index("cache_entries_by_expiry", "cache_entries", ["expires_s"])
    op.create_index("cache_entries_by_owner", "cache_entries", ["owner"])
    op.create_table(
        "cache_marks",
        sa.Column("mark", sa.LargeBinary, primary_key=True),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("cache_marks_by_epoch", "cache_marks", ["epoch"])
    generation = op.create_table(
        "cache_generation",
        sa.Column("one", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("floor", sa.BigInteger, nullable=False),
    )
    start = first_epoch()
    op.bulk_insert(generation, [{"one": 1, "epoch": start, "floor": start}])
    op.create_table(
        "cache_leases",
        sa.Column("key", sa.LargeBinary, primary_key=True),
        sa.Column("holder", sa.LargeBinary, nullable=False),
        sa.Column("until_s", sa.Double, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "cache_notes",
        sa.Column("note_id", sa.Integer, primary_key=True),
        sa.Column("line", sa.LargeBinary, nullable=False),
    )
