"""A SQL database, SQLite or PostgreSQL by URL: for runs, cache entries, an application's tables."""

from hasten.store.sql.base import SqlPolicy, SqlStore
from hasten.store.sql.cache_table import TableStore
from hasten.store.sql.open import open_sql, sql_url
from hasten.store.sql.sink import SqlSink
from hasten.store.sql.tables import MemoryTables, SqlTables, Tables

__all__ = [
    "MemoryTables",
    "SqlPolicy",
    "SqlSink",
    "SqlStore",
    "SqlTables",
    "TableStore",
    "Tables",
    "open_sql",
    "sql_url",
]
