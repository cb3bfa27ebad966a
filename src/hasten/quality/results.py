"""What was found out: checks, races, experiments and load tests, kept to be looked up.

Owns the rows. Leaves what is in them to whoever found it; ``cli`` and ``serve``
show them.
"""

from __future__ import annotations

import secrets
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from sqlalchemy import select

from hasten.clock import current_clock
from hasten.store.sql.batch import fetch, insert_new
from hasten.store.sql.schema import results

if TYPE_CHECKING:
    from hasten.store.sql import SqlStore

ResultKind = Literal["check", "experiment", "loadtest"]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One finding; ``data`` is the whole of it in plain form.

    ``name`` is the finding's own among those of its kind, ``is_held`` whether what was
    wanted was so.
    """

    result_id: str
    kind: ResultKind
    app: str
    name: str
    at_s: float
    is_held: bool
    data: dict[str, Any]


class ResultStore:
    """Results in a database."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store

    async def add(
        self, kind: ResultKind, app: str, name: str, data: dict[str, Any], *, is_held: bool
    ) -> Result:
        """Keep one."""
        found = Result(
            result_id=f"res_{secrets.token_hex(8)}",
            kind=kind,
            app=app,
            name=name,
            at_s=current_clock().now(),
            is_held=is_held,
            data=data,
        )
        row = msgspec.structs.asdict(found)
        await self._store.write(partial(insert_new, table=results, rows=[row]))
        return found

    async def newest(
        self, kind: ResultKind | None = None, app: str | None = None, limit: int = 100
    ) -> list[Result]:
        """Return the newest first."""
        query = select(results)
        if kind is not None:
            query = query.where(results.c.kind == kind)
        if app is not None:
            query = query.where(results.c.app == app)
        query = query.order_by(results.c.at_s.desc(), results.c.result_id).limit(limit)
        return [Result(**row) for row in await self._store.read(partial(fetch, query=query))]
