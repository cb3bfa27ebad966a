"""What of a run was reused, and how fresh its answer is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; runs kept so far reused nothing."""
    op.add_column("runs", sa.Column("reuse", sa.Text, nullable=False, server_default="{}"))
