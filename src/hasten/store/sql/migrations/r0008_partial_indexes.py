"""Indexes of only those rows that are looked for: waiting and keyed jobs, live runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from alembic import op

if TYPE_CHECKING:
    from collections.abc import Sequence

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make three indexes anew."""
    turn = [sa.text("priority DESC"), "due_s", "job_id"]
    _make_anew("jobs_by_turn", "jobs", turn, "status = 'queued'")
    _make_anew("jobs_by_key", "jobs", ["tenant", "user", "key"], "key IS NOT NULL", unique=True)
    _make_anew("runs_by_worker", "runs", ["worker"], "status = 'running'")


def _make_anew(
    name: str, table: str, columns: Sequence[Any], which: str, *, unique: bool = False
) -> None:
    op.drop_index(name, table)
    where = sa.text(which)
    op.create_index(name, table, columns, unique=unique, sqlite_where=where, postgresql_where=where)
