"""Switch a SQLite file to a write-ahead log, also when several processes find it new at once.

Both threads that own a SQLite file call it as they open one.
"""

from __future__ import annotations

import sqlite3

WAL_TRIES = 20
"""So often a file is tried; each time another process may be first."""


def switch_to_wal(raw: sqlite3.Connection) -> None:
    """Make the file's journal a write-ahead log, once and for all who open it.

    SQLite waits for a lock everywhere but here, where it gives up at once; so
    this waits, by taking the write lock as its turn comes. Raises
    ``sqlite3.OperationalError`` when the lock is not to be had.
    """
    for _ in range(WAL_TRIES):
        try:
            raw.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            raw.execute("BEGIN IMMEDIATE")
            raw.execute("ROLLBACK")
        else:
            return
