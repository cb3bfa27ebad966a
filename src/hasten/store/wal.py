"""The write-ahead log of a SQLite file: switching to one, and taking it into the file.

Both threads that own a SQLite file switch it as they open one, also when several
processes find it new at once.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

WAL_TRIES = 20
"""So often a file is tried; each time another process may be first."""

TAKE_IN_ROWS = 2_500
"""After so many changed rows the log is taken into the file, beside what else goes on.

Not sooner: whoever commits first afterwards begins the log anew and waits for the disk once.
"""

LOG_PAGES = 16_000
"""Should that not keep up, whoever commits has to wait for it once the log is this long."""


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


def empty_log(raw: sqlite3.Connection) -> None:
    """Take the log into the file and leave nothing of it, not even what was deleted.

    Raises ``sqlite3.OperationalError`` when somebody else is reading or writing for
    longer than the connection waits.
    """
    ((is_busy, *_),) = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    if is_busy:
        message = "the log is in use, so what was deleted can still be read there; delete again"
        raise sqlite3.OperationalError(message)


class LogIntake:
    """Sees that the log of ``path`` is taken into the file as it grows, beside who commits.

    The owner of a connection calls ``set_up`` as it opens it and ``look`` after each commit.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._taken_rows = 0
        self._thread: threading.Thread | None = None

    def set_up(self, raw: sqlite3.Connection) -> None:
        """Let the connection leave the log alone until it is far too long."""
        raw.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
        self._taken_rows = 0

    def look(self, raw: sqlite3.Connection) -> None:
        """Have the log taken in, if it has grown and nobody is at it."""
        is_busy = self._thread is not None and self._thread.is_alive()
        if is_busy or raw.total_changes < self._taken_rows + TAKE_IN_ROWS:
            return
        self._taken_rows = raw.total_changes
        self._thread = threading.Thread(target=take_in_log, args=(self._path,), daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Wait for whoever is at it."""
        if self._thread is not None:
            self._thread.join()


def take_in_log(path: Path) -> None:
    """Copy what is committed from the log into the file, beside who reads and writes it.

    Waits for the disk, so it runs on a thread of its own. What fails is done again
    later: the log has it all.
    """
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)) as connection,
    ):
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
