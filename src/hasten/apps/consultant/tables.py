"""What the consultant keeps in SQL: analyses, their sections, talks, monitors, alerts.

Owns the tables, their indexes (the consultant plan's four among them) and the query each
index must serve; their migration branch is beside them. Every row is its ``tenant``'s and
``user``'s.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

metadata = sa.MetaData()


def _table(name: str, *columns: sa.Column[Any]) -> sa.Table:
    owner = (
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("user", sa.Text, nullable=False),
    )
    return sa.Table(f"consultant_{name}", metadata, *columns, *owner)


analyses = _table(
    "analyses",
    sa.Column("analysis_id", sa.Text, primary_key=True),
    sa.Column("company", sa.Text, nullable=False),
    sa.Column("company_name", sa.Text, nullable=False),
    sa.Column("industry", sa.Text, nullable=False),
    sa.Column("frameworks", sa.JSON, nullable=False),
    sa.Column("missing", sa.JSON, nullable=False),
    sa.Column("summary", sa.Text, nullable=False),
    sa.Column("created_at_s", sa.Double, nullable=False),
)

sections = _table(
    "sections",
    sa.Column("section_id", sa.Text, primary_key=True),
    sa.Column("analysis_id", sa.Text, nullable=False),
    sa.Column("place", sa.Integer, nullable=False),
    sa.Column("chapter", sa.Text, nullable=False),
    sa.Column("chapter_title", sa.Text, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
)

messages = _table(
    "messages",
    sa.Column("message_id", sa.Text, primary_key=True),
    sa.Column("conversation_id", sa.Text, nullable=False),
    sa.Column("place", sa.Integer, nullable=False),
    sa.Column("said_by", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("cites", sa.JSON, nullable=False),
    sa.Column("at_s", sa.Double, nullable=False),
)

monitors = _table(
    "monitors",
    sa.Column("monitor_id", sa.Text, primary_key=True),
    sa.Column("company", sa.Text, nullable=False),
    sa.Column("every_s", sa.Double, nullable=False),
    sa.Column("moves_percent", sa.Double, nullable=False),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("next_check_s", sa.Double, nullable=False),
    sa.Column("seen", sa.JSON, nullable=False),
)

alerts = _table(
    "alerts",
    sa.Column("alert_id", sa.Text, primary_key=True),
    sa.Column("monitor_id", sa.Text, nullable=False),
    sa.Column("company", sa.Text, nullable=False),
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("dismissed", sa.Boolean, nullable=False),
    sa.Column("created_at_s", sa.Double, nullable=False),
)

_BY_COMPANY = sa.Index(
    "consultant_analyses_by_company",
    analyses.c.tenant,
    analyses.c.company,
    analyses.c.created_at_s.desc(),
)
_BY_USER = sa.Index(
    "consultant_analyses_by_user",
    analyses.c.tenant,
    analyses.c.user,
    analyses.c.created_at_s.desc(),
)
_DUE = sa.Index(
    "consultant_monitors_due",
    monitors.c.tenant,
    monitors.c.user,
    monitors.c.active,
    monitors.c.next_check_s,
)
_OPEN = sa.Index(
    "consultant_alerts_open",
    alerts.c.tenant,
    alerts.c.user,
    alerts.c.dismissed,
    alerts.c.created_at_s.desc(),
)
_OF_ANALYSIS = sa.Index("consultant_sections_by_analysis", sections.c.analysis_id, sections.c.place)
_OF_TALK = sa.Index(
    "consultant_messages_by_talk",
    messages.c.tenant,
    messages.c.user,
    messages.c.conversation_id,
    messages.c.place,
)


def analyses_of(tenant: str, user: str, company: str = "") -> sa.Select[Any]:
    """Select a person's analyses, newest first, or the tenant's of one company."""
    whose = analyses.c.company == company if company else analyses.c.user == user
    which = sa.select(analyses).where(analyses.c.tenant == tenant, whose)
    return which.order_by(analyses.c.created_at_s.desc())


def sections_of(analysis_id: str) -> sa.Select[Any]:
    """Select the sections of an analysis in their order."""
    return (
        sa.select(sections).where(sections.c.analysis_id == analysis_id).order_by(sections.c.place)
    )


def messages_of(tenant: str, user: str, conversation_id: str) -> sa.Select[Any]:
    """Select what was said in a talk, latest first."""
    return (
        sa.select(messages)
        .where(
            messages.c.tenant == tenant,
            messages.c.user == user,
            messages.c.conversation_id == conversation_id,
        )
        .order_by(messages.c.place.desc())
    )


def next_place(tenant: str, user: str, conversation_id: str) -> sa.ColumnElement[int]:
    """Return the place of the next message of a talk, as the database counts it while it writes."""
    last = sa.func.max(messages.c.place)
    found = messages_of(tenant, user, conversation_id).order_by(None)
    return found.with_only_columns(sa.func.coalesce(last + 1, 0)).scalar_subquery()


def monitors_due(tenant: str, user: str, now_s: float) -> sa.Select[Any]:
    """Select a person's active monitors whose time has come."""
    return sa.select(monitors).where(
        monitors.c.tenant == tenant,
        monitors.c.user == user,
        monitors.c.active == sa.true(),
        monitors.c.next_check_s <= now_s,
    )


def alerts_of(tenant: str, user: str, *, dismissed: bool = False) -> sa.Select[Any]:
    """Select a person's alerts, newest first."""
    return (
        sa.select(alerts)
        .where(
            alerts.c.tenant == tenant,
            alerts.c.user == user,
            alerts.c.dismissed == (sa.true() if dismissed else sa.false()),
        )
        .order_by(alerts.c.created_at_s.desc())
    )


def _newest() -> sa.Select[Any]:
    both = [table.c[name] for table in (analyses, sections) for name in ("tenant", "user")]
    texts = [column for column in sections.c if column.name not in analyses.c]
    return (
        sa.select(analyses, *texts)
        .join(sections, sections.c.analysis_id == analyses.c.analysis_id)
        .where(*(column == sa.bindparam(column.name) for column in both))
        .order_by(analyses.c.created_at_s.desc(), analyses.c.analysis_id, sections.c.place)
    )


NEWEST = _newest()
"""The sections of the analyses of a ``tenant``'s ``user``, each beside its analysis, newest first.

It demands its owner of both tables, so that an answer rests on that person's rows alone."""

QUERIES = {
    str(_BY_COMPANY.name): analyses_of("t", "u", "c").limit(20),
    str(_BY_USER.name): analyses_of("t", "u").limit(20),
    str(_DUE.name): monitors_due("t", "u", 0.0),
    str(_OPEN.name): alerts_of("t", "u").limit(20),
    str(_OF_ANALYSIS.name): sections_of("a"),
    str(_OF_TALK.name): messages_of("t", "u", "c").limit(6),
}
"""By index, the query it is there for: ``hasten db indexes verify`` asks the planner."""
