"""A file switches to a log however many open it at once, and takes the log in beside them."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from hasten.store.wal import empty_log, switch_to_wal, take_in_log

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


def test_the_log_is_taken_in_beside_an_open_transaction(tmp_path: Path) -> None:
    """What is committed gets into the file while somebody else is writing."""
    path = tmp_path / "some.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        switch_to_wal(raw)
        raw.execute("CREATE TABLE words (word TEXT)")
        raw.execute("INSERT INTO words VALUES ('committed')")
        raw.execute("BEGIN IMMEDIATE")
        raw.execute("INSERT INTO words VALUES ('not yet')")
        assert b"committed" not in path.read_bytes()
        take_in_log(path)
        assert b"committed" in path.read_bytes()
        assert b"not yet" not in path.read_bytes()


def test_taking_in_the_log_makes_no_file(tmp_path: Path) -> None:
    """One that was moved away meanwhile is left alone."""
    take_in_log(tmp_path / "gone.db")
    assert list(tmp_path.iterdir()) == []


def test_a_log_that_cannot_be_emptied_is_an_error(tmp_path: Path) -> None:
    """Whoever deletes for good must not believe it done while a reader holds the log."""
    path = tmp_path / "some.db"
    with (
        closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as raw,
        closing(sqlite3.connect(path, isolation_level=None)) as reader,
    ):
        switch_to_wal(raw)
        raw.execute("CREATE TABLE words (word TEXT)")
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM words").fetchall()
        raw.execute("INSERT INTO words VALUES ('deleted')")
        with pytest.raises(sqlite3.OperationalError, match="delete again"):
            empty_log(raw)
        reader.execute("COMMIT")
        empty_log(raw)
