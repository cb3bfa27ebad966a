"""Projects, personas, responses."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "persona_0001"
down_revision = None
branch_labels = ("persona",)
depends_on = None


def upgrade() -> None:
    """Make the tables and their indexes."""
    op.create_table(
        "persona_projects",
        sa.Column("project_id", sa.Text, primary_key=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("user", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("market", sa.Text, nullable=False),
    )
    op.create_table(
        "persona_personas",
        sa.Column("persona_id", sa.Text, primary_key=True),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("user", sa.Text, nullable=False),
        sa.Column("full_name", sa.Text, nullable=False),
        sa.Column("age", sa.Integer, nullable=False),
        sa.Column("gender", sa.Text, nullable=False),
        sa.Column("education_level", sa.Text, nullable=False),
        sa.Column("income_bracket", sa.Text, nullable=False),
        sa.Column("location", sa.Text, nullable=False),
        sa.Column("occupation", sa.Text, nullable=False),
        sa.Column("background", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("updated_at_s", sa.Double, nullable=False),
    )
    op.create_table(
        "persona_responses",
        sa.Column("response_id", sa.Text, primary_key=True),
        sa.Column("persona_id", sa.Text, nullable=False),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("user", sa.Text, nullable=False),
        sa.Column("said", sa.Text, nullable=False),
    )
    op.create_index("persona_personas_by_tenant", "persona_personas", ["tenant", "project_id"])
    op.create_index("persona_responses_by_persona", "persona_responses", ["persona_id"])


def downgrade() -> None:
    """Drop the tables, with all that is in them."""
    for name in ("responses", "personas", "projects"):
        op.drop_table(f"persona_{name}")
