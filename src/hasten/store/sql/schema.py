"""The tables, as SQLAlchemy sees them; ``migrations`` brings a database there.

Owns names, types and indexes. Times are seconds since the Unix epoch, JSON is
kept as text so that SQLite and PostgreSQL hold the same. A run's columns are
``RunRecord``'s fields, an event's ``RunEvent``'s, a span's ``Span``'s, a job's
``JobRecord``'s. ``sink``, ``cache_table``, ``store/keys`` and ``jobs/table`` query them; a
test compares them with a migrated database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    text,
)

from hasten.store.sql.words import from_json, to_json

if TYPE_CHECKING:
    from sqlalchemy import Dialect


class JsonText(TypeDecorator[Any]):
    """A JSON value as text: U+0000 is escaped, which PostgreSQL's own JSON type refuses."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002 - the interface's
        """Encode."""
        return to_json(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002 - the interface's
        """Decode."""
        return from_json(value)


def _some(name: str, which: str, *columns: Any, **options: Any) -> Index:
    """Return an index of only those rows: the others cost no write and make no page dirty."""
    return Index(name, *columns, sqlite_where=text(which), postgresql_where=text(which), **options)


metadata = MetaData()

runs = Table(
    "runs",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("app", Text, nullable=False),
    Column("graph", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("user", Text, nullable=False),
    Column("clock", Text, nullable=False),
    Column("speed", Double, nullable=False),
    Column("simulated", Boolean, nullable=False),
    Column("started_s", Double, nullable=False),
    Column("ended_s", Double),
    Column("status", Text, nullable=False),
    Column("inputs", JsonText, nullable=False),
    Column("outputs", JsonText, nullable=False),
    Column("degraded_by", JsonText, nullable=False),
    Column("error", JsonText),
    Column("llm_calls", Integer, nullable=False),
    Column("tool_calls", Integer, nullable=False),
    Column("cache_hits", Integer, nullable=False),
    Column("tokens_in", BigInteger, nullable=False),
    Column("tokens_out", BigInteger, nullable=False),
    Column("cost_usd", Double, nullable=False),
    Column("first_text_s", Double),
    Column("reuse", JsonText, nullable=False, server_default="{}"),
    Column("worker", Text, nullable=False, server_default=""),
    Index("runs_by_start", "started_s", "run_id"),
    Index("runs_by_tenant", "tenant", "started_s", "run_id"),
    Index("runs_by_user", "tenant", "user", "started_s", "run_id"),
    Index("runs_by_app", "app", "started_s", "run_id"),
    _some("runs_by_worker", "status = 'running'", "worker"),
)

events = Table(
    "events",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("type", Text, nullable=False),
    Column("at_s", Double, nullable=False),
    Column("span_id", Integer, nullable=False),
    Column("data", JsonText, nullable=False),
    sqlite_with_rowid=False,
)

spans = Table(
    "spans",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("span_id", Integer, primary_key=True, autoincrement=False),
    Column("parent_id", Integer),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("start_s", Double, nullable=False),
    Column("end_s", Double),
    Column("status", Text, nullable=False),
    Column("attributes", JsonText, nullable=False),
    sqlite_with_rowid=False,
)

jobs = Table(
    "jobs",
    metadata,
    Column("job_id", Text, primary_key=True),
    Column("run_id", Text, nullable=False),
    Column("app", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("inputs", JsonText, nullable=False),
    Column("speed", Double, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("user", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("key", Text),
    Column("status", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("created_s", Double, nullable=False),
    Column("due_s", Double, nullable=False),
    Column("started_s", Double),
    Column("ended_s", Double),
    Column("attempt", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("interruptions", Integer, nullable=False),
    Column("worker", Text, nullable=False),
    Column("lease_s", Double),
    Column("error", JsonText),
    Index("jobs_by_due", "status", "due_s"),
    Index("jobs_by_run", "run_id", unique=True),
    _some("jobs_by_key", "key IS NOT NULL", "tenant", "user", "key", unique=True),
    Index("jobs_by_tenant", "tenant", "created_s", "job_id"),
    Index("jobs_by_user", "tenant", "user", "created_s", "job_id"),
)

_some("jobs_by_turn", "status = 'queued'", jobs.c.priority.desc(), jobs.c.due_s, jobs.c.job_id)

job_steps = Table(
    "job_steps",
    metadata,
    Column("job_id", Text, primary_key=True),
    Column("step", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("result", Text, nullable=False),
    Column("value", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

keys = Table(
    "keys",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("user", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("created_s", Double, nullable=False),
    Column("revoked_s", Double),
    Column("models", JsonText, nullable=False, server_default="[]"),
    Column("rate_per_min", Double),
    Column("budget_usd", Double),
    Column("cache_scope", Text, nullable=False, server_default="tenant"),
    Index("keys_by_digest", "digest", unique=True),
)

key_spend = Table(
    "key_spend",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("month", Text, primary_key=True),
    Column("process", Text, primary_key=True),
    Column("cost_usd", Double, nullable=False),
    sqlite_with_rowid=False,
)

feedback = Table(
    "feedback",
    metadata,
    Column("feedback_id", Text, primary_key=True),
    Column("run_id", Text, nullable=False),
    Column("app", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("user", Text, nullable=False),
    Column("block", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("rating", Integer),
    Column("comment", Text, nullable=False),
    Column("is_cached", Boolean, nullable=False),
    Column("at_s", Double, nullable=False),
    Index("feedback_by_run", "run_id"),
    Index("feedback_by_app", "tenant", "app", "at_s"),
)

results = Table(
    "results",
    metadata,
    Column("result_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("app", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("at_s", Double, nullable=False),
    Column("is_held", Boolean, nullable=False),
    Column("data", JsonText, nullable=False),
    Index("results_by_kind", "kind", "app", "name", "at_s"),
)

cache_entries = Table(
    "cache_entries",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    Column("size", Integer, nullable=False),
    Column("created_s", Double, nullable=False),
    Column("expires_s", Double),
    Column("is_kept", Boolean, nullable=False),
    Column("owner", LargeBinary, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Index("cache_entries_by_expiry", "expires_s"),
    Index("cache_entries_by_owner", "owner"),
)

cache_marks = Table(
    "cache_marks",
    metadata,
    Column("mark", LargeBinary, primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Index("cache_marks_by_epoch", "epoch"),
    sqlite_with_rowid=False,
)

cache_generation = Table(
    "cache_generation",
    metadata,
    Column("one", Integer, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),
    Column("floor", BigInteger, nullable=False),
)

cache_leases = Table(
    "cache_leases",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    Column("holder", LargeBinary, nullable=False),
    Column("until_s", Double, nullable=False),
    sqlite_with_rowid=False,
)

cache_notes = Table(
    "cache_notes",
    metadata,
    Column("note_id", Integer, primary_key=True),
    Column("line", LargeBinary, nullable=False),
)

cache_tables = (cache_entries, cache_marks, cache_generation, cache_leases, cache_notes)
"""What ``cache_table`` keeps for a cache: not part of the history of runs."""

tickets = Table(
    "tickets",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("user", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("expires_s", Double, nullable=False),
    sqlite_with_rowid=False,
)
