"""A SQL database, SQLite or PostgreSQL by URL, and the sink of runs on it."""

from hasten.store.sql.base import SqlPolicy, SqlStore
from hasten.store.sql.open import open_sql, sql_url
from hasten.store.sql.sink import SqlSink

__all__ = ["SqlPolicy", "SqlSink", "SqlStore", "open_sql", "sql_url"]
