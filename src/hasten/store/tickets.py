"""Tickets: what a page shows where it cannot send a key, good once and for a minute.

Owns making and redeeming them; a ticket speaks for the caller who asked for it. They are
rows, as hashes, so that a ticket made by one worker opens a stream at another, once.
Leaves which routes take one to ``serve/follow``.
"""

from __future__ import annotations

import secrets
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete

from hasten.caller import Caller
from hasten.clock import Clock
from hasten.errors import Unauthenticated
from hasten.store.sql.batch import insert_new
from hasten.store.sql.schema import tickets

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from hasten.store.sql.base import SqlStore

EXPIRES_S = 60
"""How long a ticket is good."""


class TicketStore:
    """The tickets in a database. Raises ``StoreUnavailable`` when it cannot be asked."""

    def __init__(self, store: SqlStore, clock: Clock | None = None) -> None:
        self._store = store
        self._clock = clock or Clock()

    async def issue(self, caller: Caller) -> str:
        """Return a new ticket that speaks for ``caller``."""
        ticket, now_s = f"tkt_{secrets.token_urlsafe(32)}", self._clock.now()
        row = {
            "digest": _digest(ticket),
            "tenant": caller.tenant,
            "user": caller.user,
            "role": caller.role,
            "expires_s": now_s + EXPIRES_S,
        }
        await self._store.write(partial(_put, row=row, now_s=now_s))
        return ticket

    async def redeem(self, ticket: str) -> Caller:
        """Return who a ticket speaks for, this once. Raises ``Unauthenticated``."""
        take = partial(_take, digest=_digest(ticket), now_s=self._clock.now())
        caller = await self._store.write(take)
        if caller is None:
            message = "this ticket is unknown, too old or was used: ask for another"
            raise Unauthenticated(message)
        return caller


def _put(connection: Connection, row: dict[str, Any], now_s: float) -> None:
    connection.execute(delete(tickets).where(tickets.c.expires_s <= now_s))
    insert_new(connection, tickets, [row])


def _take(connection: Connection, digest: str, now_s: float) -> Caller | None:
    taken = delete(tickets).where(tickets.c.digest == digest)
    columns = (tickets.c.tenant, tickets.c.user, tickets.c.role, tickets.c.expires_s)
    row = connection.execute(taken.returning(*columns)).first()
    return None if row is None or row.expires_s <= now_s else Caller(row[0], row[1], row[2])


def _digest(ticket: str) -> str:
    return sha256(ticket.encode(errors="surrogatepass")).hexdigest()
