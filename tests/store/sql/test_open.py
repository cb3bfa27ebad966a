"""Which database URLs are understood, and what a wrong one gets."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import make_url

from hasten.errors import MissingExtra, SettingsError, StoreError, StoreUnavailable
from hasten.store.sql import SqlPolicy, open_sql, sql_url
from hasten.testing.server import free_port

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("sqlite://", "sqlite:///:memory:"),
        ("sqlite:///runs.db", "sqlite:///runs.db"),
        ("sqlite+aiosqlite:////var/runs.db", "sqlite:////var/runs.db"),
        ("postgres://u:p@db/x", "postgresql+asyncpg://u:p@db/x"),
        ("postgresql://u@db:5433/x", "postgresql+asyncpg://u@db:5433/x"),
        ("postgresql+asyncpg://db/x", "postgresql+asyncpg://db/x"),
        ("postgres://db/x?sslmode=require", "postgresql+asyncpg://db/x?ssl=require"),
        ("postgres:///x?host=/run/pg", "postgresql+asyncpg:///x?host=/run/pg"),
    ],
)
def test_a_url_is_understood(text: str, meant: str) -> None:
    """Plain names of databases do, and so do other drivers' spellings."""
    assert sql_url(text) == make_url(meant)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mysql://db/x", "'mysql'.*sqlite:/// or postgresql://"),
        ("runs.db", "not a database URL"),
        ("", "not a database URL"),
        ("postgres://db/x?channel_binding=require", "channel_binding; known are sslmode"),
    ],
)
def test_another_url_is_refused(text: str, said: str) -> None:
    """The message names what is wrong and what would do."""
    with pytest.raises(SettingsError, match=said):
        sql_url(text)


def refused(url: str, kind: type[StoreError]) -> StoreError:
    """Return the error that opening ``url`` raises."""
    with pytest.raises(kind) as caught:
        asyncio.run(open_sql(url, SqlPolicy(connect_s=5.0)))
    return caught.value


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    """The database is not made in a folder nobody made."""
    error = refused(f"sqlite:///{tmp_path}/nowhere/runs.db", StoreError)
    assert f"there is no folder {tmp_path}/nowhere" in str(error)


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    """It is named and not overwritten."""
    path = tmp_path / "letter.txt"
    path.write_text("Dear Ann, " * 1_000)
    error = refused(f"sqlite:///{path}", StoreError)
    assert "letter.txt refused: file is not a database" in str(error)
    assert not error.retryable
    assert path.read_text() == "Dear Ann, " * 1_000


def test_a_database_that_may_only_be_read_is_refused(tmp_path: Path) -> None:
    """Root may write any file, so the mark of a newer SQLite (byte 18) forbids it here."""
    path = tmp_path / "runs.db"
    with closing(sqlite3.connect(path)) as made:
        made.execute("CREATE TABLE t (a)")
    held = bytearray(path.read_bytes())
    held[18] = 3
    path.write_bytes(held)
    error = refused(f"sqlite:///{path}", StoreError)
    assert "runs.db refused: attempt to write a readonly database" in str(error)
    assert not error.retryable


def test_a_server_that_is_not_there() -> None:
    """It is unavailable, which may pass, and the password stays out of the message."""
    error = refused(f"postgres://ann:secret@127.0.0.1:{free_port()}/x", StoreUnavailable)
    assert "postgresql://ann:***@127.0.0.1" in str(error)
    assert "secret" not in str(error)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda url: url + "_x", "_x.*does not exist"),
        (lambda url: url.replace("postgres@", "bob@"), 'role "bob" does not exist'),
    ],
    ids=["database", "user"],
)
def test_a_server_that_refuses(wrong: object, said: str, postgres_url: str) -> None:
    """A wrong name is not worth retrying."""
    assert callable(wrong)
    error = refused(wrong(postgres_url), StoreError)
    assert not error.retryable
    assert error.args[0]
    with pytest.raises(StoreError, match=said):
        raise error


def test_the_driver_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without asyncpg, PostgreSQL says which line installs it."""
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(MissingExtra, match=r"pip install 'hasten\[postgres\]'"):
        asyncio.run(open_sql("postgresql://db/x"))
