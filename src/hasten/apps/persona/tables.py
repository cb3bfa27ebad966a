"""The personas kept in SQL: projects, personas with a version, what each said in interviews.

Owns the tables, their indexes and the query each index must serve; their migration branch
is beside them. ``tenant`` and ``user`` say whose a row is; rows of nobody (both empty) are
samples that all may see.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

metadata = sa.MetaData()

projects = sa.Table(
    "persona_projects",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("tenant", sa.Text, nullable=False),
    sa.Column("user", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("market", sa.Text, nullable=False),
)

personas = sa.Table(
    "persona_personas",
    metadata,
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

responses = sa.Table(
    "persona_responses",
    metadata,
    sa.Column("response_id", sa.Text, primary_key=True),
    sa.Column("persona_id", sa.Text, nullable=False),
    sa.Column("tenant", sa.Text, nullable=False),
    sa.Column("user", sa.Text, nullable=False),
    sa.Column("said", sa.Text, nullable=False),
)

_BY_TENANT = sa.Index("persona_personas_by_tenant", personas.c.tenant, personas.c.project_id)
_BY_PERSONA = sa.Index("persona_responses_by_persona", responses.c.persona_id)


def seen_by(tenant: str) -> sa.ColumnElement[bool]:
    """Pick the personas a tenant may see: its own and the samples."""
    return personas.c.tenant.in_(("", tenant))


def personas_of(tenant: str) -> sa.Select[Any]:
    """Select all personas a tenant may see, by project and name."""
    query = sa.select(personas).where(seen_by(tenant))
    return query.order_by(personas.c.project_id, personas.c.persona_id)


def said_by(persona_id: str) -> sa.Select[Any]:
    """Select what a persona said in interviews, in its order."""
    query = sa.select(responses.c.said).where(responses.c.persona_id == persona_id)
    return query.order_by(responses.c.response_id)


QUERIES = {
    str(_BY_TENANT.name): personas_of("t"),
    str(_BY_PERSONA.name): said_by("p"),
}
"""By index, the query it is there for: ``hasten db indexes verify`` asks the planner."""
