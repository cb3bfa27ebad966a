"""A new file becomes a write-ahead log however many open it at once."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from hasten.store.wal import switch_to_wal

if TYPE_CHECKING:
    from pathlib import Path


def test_everybody_gets_their_turn(tmp_path: Path) -> None:
    """Four that find it new at the same moment all open it, a hundred times over."""
    errors: list[sqlite3.Error] = []

    def open_it(path: Path, barrier: threading.Barrier) -> None:
        barrier.wait()
        with closing(sqlite3.connect(path, isolation_level=None)) as raw:
            try:
                switch_to_wal(raw)
            except sqlite3.Error as error:
                errors.append(error)

    for number in range(100):
        path, barrier = tmp_path / f"{number}.db", threading.Barrier(4)
        threads = [threading.Thread(target=open_it, args=(path, barrier)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert errors == []


def test_a_lock_that_stays_is_an_error(tmp_path: Path) -> None:
    """Nobody waits for ever."""
    path = tmp_path / "a.db"
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as other,
        closing(sqlite3.connect(path, isolation_level=None, timeout=0.01)) as raw,
    ):
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            switch_to_wal(raw)
