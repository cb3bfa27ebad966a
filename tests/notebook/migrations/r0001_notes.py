"""Notes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "notebook_0001"
down_revision = None
branch_labels = ("notebook",)
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "notebook_notes",
        sa.Column("note_id", sa.Text, primary_key=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("user", sa.Text, nullable=False),
        sa.Column("said", sa.Text, nullable=False),
        sa.Column("at_s", sa.Double, nullable=False),
    )
