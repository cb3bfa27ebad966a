"""What a key may do at the gateway, and what it has spent: a row for each month and process."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns, by which keys made so far have no limits, and the table."""
    models = sa.Column("models", sa.Text, nullable=False, server_default="[]")
    scope = sa.Column("cache_scope", sa.Text, nullable=False, server_default="tenant")
    rate, budget = sa.Column("rate_per_min", sa.Double), sa.Column("budget_usd", sa.Double)
    for column in (models, rate, budget, scope):
        op.add_column("keys", column)
    op.create_table(
        "key_spend",
        sa.Column("key_id", sa.Text, primary_key=True),
        sa.Column("month", sa.Text, primary_key=True),
        sa.Column("process", sa.Text, primary_key=True),
        sa.Column("cost_usd", sa.Double, nullable=False),
        sqlite_with_rowid=False,
    )
