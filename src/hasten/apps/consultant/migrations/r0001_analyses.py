"""Analyses, their sections, messages, monitors, alerts; the consultant plan's indexes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "consultant_0001"
down_revision = None
branch_labels = ("consultant",)
depends_on = None


def _owner() -> tuple[sa.Column[str], sa.Column[str]]:
    return (
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("user", sa.Text, nullable=False),
    )


def upgrade() -> None:
    """Make the tables and their indexes."""
    op.create_table(
        "consultant_analyses",
        sa.Column("analysis_id", sa.Text, primary_key=True),
        sa.Column("company", sa.Text, nullable=False),
        sa.Column("company_name", sa.Text, nullable=False),
        sa.Column("industry", sa.Text, nullable=False),
        sa.Column("frameworks", sa.JSON, nullable=False),
        sa.Column("missing", sa.JSON, nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("created_at_s", sa.Double, nullable=False),
        *_owner(),
    )
    op.create_table(
        "consultant_sections",
        sa.Column("section_id", sa.Text, primary_key=True),
        sa.Column("analysis_id", sa.Text, nullable=False),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("chapter", sa.Text, nullable=False),
        sa.Column("chapter_title", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        *_owner(),
    )
    op.create_table(
        "consultant_messages",
        sa.Column("message_id", sa.Text, primary_key=True),
        sa.Column("conversation_id", sa.Text, nullable=False),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("said_by", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("cites", sa.JSON, nullable=False),
        sa.Column("at_s", sa.Double, nullable=False),
        *_owner(),
    )
    op.create_table(
        "consultant_monitors",
        sa.Column("monitor_id", sa.Text, primary_key=True),
        sa.Column("company", sa.Text, nullable=False),
        sa.Column("every_s", sa.Double, nullable=False),
        sa.Column("moves_percent", sa.Double, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("next_check_s", sa.Double, nullable=False),
        sa.Column("seen", sa.JSON, nullable=False),
        *_owner(),
    )
    op.create_table(
        "consultant_alerts",
        sa.Column("alert_id", sa.Text, primary_key=True),
        sa.Column("monitor_id", sa.Text, nullable=False),
        sa.Column("company", sa.Text, nullable=False),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("dismissed", sa.Boolean, nullable=False),
        sa.Column("created_at_s", sa.Double, nullable=False),
        *_owner(),
    )
    _make_indexes()


def _make_indexes() -> None:
    newest = sa.text("created_at_s DESC")
    op.create_index(
        "consultant_analyses_by_company", "consultant_analyses", ["tenant", "company", newest]
    )
    op.create_index(
        "consultant_analyses_by_user", "consultant_analyses", ["tenant", "user", newest]
    )
    op.create_index(
        "consultant_monitors_due",
        "consultant_monitors",
        ["tenant", "user", "active", "next_check_s"],
    )
    op.create_index(
        "consultant_alerts_open", "consultant_alerts", ["tenant", "user", "dismissed", newest]
    )
    op.create_index(
        "consultant_sections_by_analysis", "consultant_sections", ["analysis_id", "place"]
    )
    op.create_index(
        "consultant_messages_by_talk",
        "consultant_messages",
        ["tenant", "user", "conversation_id", "place"],
    )


def downgrade() -> None:
    """Drop the tables, with all that is in them."""
    for name in ("alerts", "monitors", "messages", "sections", "analyses"):
        op.drop_table(f"consultant_{name}")
