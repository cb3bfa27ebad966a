"""Sessions, messages, objectives and key results."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "okr_0001"
down_revision = None
branch_labels = ("okr",)
depends_on = None


def _owner() -> tuple[sa.Column[str], ...]:
    names = ("tenant", "user", "session_id")
    return tuple(sa.Column(name, sa.Text, primary_key=True) for name in names)


def upgrade() -> None:
    """Make the tables; every read goes by the beginning of a primary key."""
    op.create_table(
        "okr_sessions",
        *_owner(),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("department", sa.Text, nullable=False),
        sa.Column("team_size", sa.Integer, nullable=False),
        sa.Column("phase", sa.Text, nullable=False),
        sa.Column("updated_at_s", sa.Double, nullable=False),
    )
    op.create_table(
        "okr_messages",
        *_owner(),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("said_by", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("at_s", sa.Double, nullable=False),
    )
    op.create_table(
        "okr_items",
        *_owner(),
        sa.Column("item_id", sa.Text, primary_key=True),
        sa.Column("objective_id", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
    )


def downgrade() -> None:
    """Drop the tables, with all that is in them."""
    for name in ("items", "messages", "sessions"):
        op.drop_table(f"okr_{name}")
