"""A SQL database, SQLite or PostgreSQL by URL: for runs, cache entries, an application's tables.

Each name loads its file when it is first asked for: not every process needs them all.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hasten.store.sql.base import SqlPolicy, SqlStore
    from hasten.store.sql.cache_table import TableStore
    from hasten.store.sql.open import open_sql, sql_url, sqlite_path
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
    "sqlite_path",
]

_FILES = {
    "base": ("SqlPolicy", "SqlStore"),
    "cache_table": ("TableStore",),
    "open": ("open_sql", "sql_url", "sqlite_path"),
    "sink": ("SqlSink",),
    "tables": ("MemoryTables", "SqlTables", "Tables"),
}
_FILE_OF = {name: file for file, names in _FILES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Load a name when it is first used."""
    if name not in _FILE_OF:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"{__name__}.{_FILE_OF[name]}"), name)
