"""Sessions, messages and boards in SQL: read once a request, written in one transaction.

Owns the queries. Every one goes by the caller's tenant and user, which are part of each
primary key: nobody can name another's session.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict

from hasten import CachePolicy, Tables, cached, current_caller, current_clock
from hasten.apps.okr.board import Board, Item, Phase, drafted
from hasten.apps.okr.inputs import Team
from hasten.apps.okr.tables import items, messages, sessions

if TYPE_CHECKING:
    from sqlalchemy import Connection

RECENT = 10
"""How many messages are loaded with a session."""

TITLE_CHARS = 80


class Session(BaseModel):
    """A conversation with the coach; one that nobody has kept yet is ``is_new``."""

    model_config = ConfigDict(frozen=True)

    session_id: str
    team: Team
    phase: Phase = "discovery"
    is_new: bool = False


class Said(BaseModel):
    """One message."""

    model_config = ConfigDict(frozen=True)

    said_by: Literal["team", "coach"]
    text: str


def _once(use: str) -> CachePolicy:
    """Return the policy of what is read once a request, whoever needs it (okr plan 5)."""
    return CachePolicy(use=use, scope="request", fields=("session_id",), ignore=("tables",))


@cached(_once("okr_session"))
async def find_session(tables: Tables, session_id: str) -> Session | None:
    """Return a session of the caller's, or ``None``."""
    row = await tables.row(sa.select(sessions).where(*_of(sessions, session_id)))
    return None if row is None else _session(row)


@cached(_once("okr_messages"))
async def messages_of(tables: Tables, session_id: str) -> tuple[Said, ...]:
    """Return the newest messages of a session, the oldest of them first."""
    query = sa.select(messages).where(*_of(messages, session_id))
    rows = await tables.rows(query.order_by(messages.c.number.desc()).limit(RECENT))
    return tuple(Said(said_by=row["said_by"], text=row["text"]) for row in reversed(rows))


@cached(_once("okr_items"))
async def board_of(tables: Tables, session_id: str) -> Board:
    """Return the objectives and key results of a session."""
    rows = await tables.rows(_items_of(session_id))
    return tuple(map(_item, rows))


async def list_sessions(tables: Tables, limit: int) -> list[dict[str, Any]]:
    """Return the caller's sessions, the last used first, each with how it began."""
    first = (
        sa.select(messages.c.text)
        .where(
            messages.c.tenant == sessions.c.tenant,
            messages.c.user == sessions.c.user,
            messages.c.session_id == sessions.c.session_id,
            messages.c.number == 1,
        )
        .scalar_subquery()
    )
    query = sa.select(sessions, first.label("title")).where(*_whose(sessions))
    rows = await tables.rows(query.order_by(sessions.c.updated_at_s.desc()).limit(limit))
    return [
        _session(row).model_dump(exclude={"is_new"})
        | {"updated_at_s": row["updated_at_s"], "title": (row["title"] or "")[:TITLE_CHARS]}
        for row in rows
    ]


async def keep_session(tables: Tables, session: Session) -> None:
    """Keep a session that is new."""
    row = {**_owner(), **session.team.model_dump(), "session_id": session.session_id}
    now_s = current_clock().now()
    await tables.put_many(sessions, [row | {"phase": session.phase, "updated_at_s": now_s}])


async def keep_message(tables: Tables, session: Session, text: str, phase: Phase) -> None:
    """Keep what the team said, what it adds to the board, and the phase that it leads to."""
    if session.is_new:
        await keep_session(tables, session)
    owner, at_s = _owner(), current_clock().now()
    kept = _items_of(session.session_id)  # made here: the work is done in another thread

    def work(connection: Connection) -> None:
        _turn(connection, session.session_id, owner, at_s, phase)
        _say(connection, session.session_id, owner, at_s, Said(said_by="team", text=text))
        board = connection.execute(kept).mappings().all()
        new = drafted(tuple(map(_item, board)), text)
        end = board[-1]["position"] + 1 if board else 0  # items before it may have been removed
        rows = [
            owner | one.model_dump() | {"session_id": session.session_id, "position": place}
            for place, one in enumerate(new, end)
        ]
        if rows:
            connection.execute(sa.insert(items), rows)

    await tables.write(work, about="keep message", tables=[one.name for one in _ALL])


async def keep_reply(tables: Tables, session_id: str, text: str) -> None:
    """Keep what the coach answered."""
    owner, at_s = _owner(), current_clock().now()

    def work(connection: Connection) -> None:
        _turn(connection, session_id, owner, at_s)
        _say(connection, session_id, owner, at_s, Said(said_by="coach", text=text))

    await tables.write(work, about="keep reply", tables=[messages.name, sessions.name])


async def change_item(tables: Tables, session_id: str, item_id: str, text: str) -> bool:
    """Put ``text`` in the place of an item's; whether there was one."""
    which = sa.update(items).where(*_of(items, session_id), items.c.item_id == item_id)
    return bool(await tables.execute(which.values(text=text)))


async def remove_item(tables: Tables, session_id: str, item_id: str) -> bool:
    """Remove an item, an objective with its key results; whether there was one."""
    named = (items.c.item_id == item_id) | (items.c.objective_id == item_id)
    return bool(await tables.execute(sa.delete(items).where(*_of(items, session_id), named)))


_ALL = (sessions, messages, items)


def _turn(
    connection: Connection,
    session_id: str,
    owner: dict[str, str],
    at_s: float,
    phase: Phase | None = None,
) -> None:
    """Touch the session's row; on PostgreSQL that makes two who write to it take turns."""
    values = {"updated_at_s": at_s} | ({"phase": phase} if phase else {})
    which = sa.update(sessions).where(
        sessions.c.tenant == owner["tenant"],
        sessions.c.user == owner["user"],
        sessions.c.session_id == session_id,
    )
    connection.execute(which.values(values))


def _say(
    connection: Connection, session_id: str, owner: dict[str, str], at_s: float, said: Said
) -> None:
    last = sa.select(sa.func.max(messages.c.number)).where(
        messages.c.tenant == owner["tenant"],
        messages.c.user == owner["user"],
        messages.c.session_id == session_id,
    )
    number = (connection.execute(last).scalar() or 0) + 1
    row = owner | said.model_dump() | {"session_id": session_id, "number": number, "at_s": at_s}
    connection.execute(sa.insert(messages), [row])


def _items_of(session_id: str) -> sa.Select[Any]:
    return sa.select(items).where(*_of(items, session_id)).order_by(items.c.position)


def _item(row: Any) -> Item:
    return Item.model_validate({name: row[name] for name in Item.model_fields})


def _session(row: dict[str, Any]) -> Session:
    team = Team.model_validate({name: row[name] for name in Team.model_fields})
    return Session(session_id=row["session_id"], team=team, phase=row["phase"])


def _owner() -> dict[str, str]:
    caller = current_caller()
    return {"tenant": caller.tenant, "user": caller.user}


def _whose(table: sa.Table) -> tuple[sa.ColumnElement[bool], ...]:
    caller = current_caller()
    return (table.c.tenant == caller.tenant, table.c.user == caller.user)


def _of(table: sa.Table, session_id: str) -> tuple[sa.ColumnElement[bool], ...]:
    return (*_whose(table), table.c.session_id == session_id)
