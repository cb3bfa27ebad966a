"""From a URL to an open database with its tables up to date.

Owns which URLs are understood. ``wire`` calls ``open_sql`` at start, ``cli`` for
its ``db`` and ``keys`` verbs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hasten.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sqlalchemy import URL

    from hasten.store.sql.base import SqlPolicy, SqlStore

_OPTIONS = {"sslmode": "ssl", "ssl": "ssl", "host": "host"}
"""What may follow ``?`` in a PostgreSQL URL, and what our driver calls it."""


_SQLITE = re.compile(r"sqlite(?:\+aiosqlite)?://(?:/([^?]*))?(?:\?.*)?")


def sqlite_path(text: str) -> str | None:
    """Return the file of a SQLite URL, or ``:memory:``; ``None`` for any other URL."""
    found = _SQLITE.fullmatch(text)
    return None if found is None else found[1] or ":memory:"


def sql_url(text: str) -> URL:
    """Return the URL with our driver in it. Raises ``SettingsError`` for any other database.

    Understands ``sqlite:///relative``, ``sqlite:////absolute``, ``sqlite://``
    (in memory), ``postgresql://`` and ``postgres://``, with or without a
    driver's name, and libpq's ``?sslmode=`` and ``?host=``.
    """
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(text)
    except ArgumentError as error:
        message = f"not a database URL: {error}"
        raise SettingsError(message) from error
    if url.drivername in ("sqlite", "sqlite+aiosqlite"):
        return url.set(drivername="sqlite", database=url.database or ":memory:")
    if url.drivername in ("postgres", "postgresql", "postgresql+asyncpg"):
        return url.set(drivername="postgresql+asyncpg", query=_postgres_options(url))
    message = f"no database of the kind {url.drivername!r}: use sqlite:/// or postgresql://"
    raise SettingsError(message)


def _postgres_options(url: URL) -> dict[str, str | tuple[str, ...]]:
    unknown = ", ".join(sorted(set(url.query) - set(_OPTIONS)))
    if unknown:
        message = f"options we do not know in the database URL: {unknown}; known are sslmode, host"
        raise SettingsError(message)
    return {_OPTIONS[name]: value for name, value in url.query.items()}


async def open_sql(
    url: str, policy: SqlPolicy | None = None, branches: Sequence[Path] = ()
) -> SqlStore:
    """Return the database at ``url``, connected and its tables up to date; ``close()`` it.

    ``branches`` are the folders of the applications' migrations.
    Raises ``SettingsError`` for a URL of another kind, ``StoreUnavailable`` when
    it does not answer, ``StoreError`` when it refuses, ``MissingExtra``
    when PostgreSQL's driver is not installed.
    """
    from hasten.store.sql.base import SqlPolicy

    path, policy = sqlite_path(url), policy or SqlPolicy()
    store: SqlStore
    if path is not None:
        from hasten.store.sql.sqlite import SqliteStore

        store = SqliteStore(path, policy)
    else:
        parts = sql_url(url)
        from hasten.store.sql.postgres import PostgresStore

        store = PostgresStore(parts, policy)
    try:
        store.applied = await store.migrate(branches)
    except BaseException:
        await store.close()
        raise
    return store
