"""A SQL database, SQLite or PostgreSQL by URL: the sink of runs, the applications' tables."""

from hasten.store.sql.base import SqlPolicy, SqlStore
from hasten.store.sql.open import open_sql, sql_url
from hasten.store.sql.sink import SqlSink
from hasten.store.sql.tables import MemoryTables, SqlTables, Tables

__all__ = [
    "MemoryTables",
    "SqlPolicy",
    "SqlSink",
    "SqlStore",
    "SqlTables",
    "Tables",
    "open_sql",
    "sql_url",
]
