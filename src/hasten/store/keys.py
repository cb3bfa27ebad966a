"""The keys callers come with: made once, kept as a hash, looked up at every request.

Owns making, finding, listing and revoking them. Leaves reading the
``Authorization`` header to ``serve/auth`` and the verbs to ``cli``.

A secret has 256 random bits, so a plain SHA-256 keeps it: there is nothing to
guess that a slow hash would protect.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from hasten.caller import Caller
from hasten.clock import Clock
from hasten.errors import NotFound, StoreError
from hasten.store.sql.batch import insert_new
from hasten.store.sql.schema import keys

if TYPE_CHECKING:
    from sqlalchemy import Connection, Select

    from hasten.store.sql.base import SqlStore

REMEMBER_S = 3.0
"""What was found is believed so long; a key revoked elsewhere works no longer than that."""

REMEMBER_SECRETS = 10_000
"""At most so many secrets are remembered, so that guessing cannot fill the memory."""


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key as it may be shown: everything but its secret. Times are seconds since the epoch."""

    key_id: str
    caller: Caller
    label: str
    created_s: float
    revoked_s: float | None


class KeyStore:
    """The keys in a database. Raises ``StoreUnavailable`` when it cannot be asked."""

    def __init__(self, store: SqlStore, clock: Clock | None = None) -> None:
        self._store = store
        self._clock = clock or Clock()
        self._found: dict[str, tuple[float, Caller | None]] = {}
        self._has_any: bool | None = None

    async def create(self, caller: Caller, label: str = "") -> tuple[str, str]:
        """Make a key that speaks for ``caller``; return its id and its secret.

        The secret is shown this once and cannot be had again.
        """
        key_id, secret = secrets.token_hex(6), f"hst_{secrets.token_urlsafe(32)}"
        row = {
            "key_id": key_id,
            "digest": _digest(secret),
            "tenant": caller.tenant,
            "user": caller.user,
            "role": caller.role,
            "label": label,
            "created_s": self._clock.now(),
            "revoked_s": None,
        }
        await self._store.write(partial(insert_new, table=keys, rows=[row]))
        return key_id, secret

    async def find(self, secret: str) -> Caller | None:
        """Return for whom ``secret`` speaks, or ``None`` when it is unknown or revoked.

        Asks the database at most once in ``REMEMBER_S`` for one secret.
        """
        digest, now_s = _digest(secret), self._clock.monotonic()
        remembered = self._found.get(digest)
        if remembered is not None and now_s - remembered[0] < REMEMBER_S:
            return remembered[1]
        query = select(keys).where(keys.c.digest == digest, keys.c.revoked_s.is_(None))
        rows = await self._store.read(partial(_fetch, query=query))
        caller = None
        if rows and hmac.compare_digest(rows[0]["digest"], digest):
            caller = _record(rows[0]).caller
        if len(self._found) >= REMEMBER_SECRETS:
            self._found.clear()
        self._found[digest] = (now_s, caller)
        return caller

    async def all(self) -> list[KeyRecord]:
        """Return every key that was made, the revoked ones too, oldest first."""
        query = select(keys).order_by(keys.c.created_s, keys.c.key_id)
        return [_record(row) for row in await self._store.read(partial(_fetch, query=query))]

    async def any(self) -> bool:
        """Whether a key was ever made. Revoking the last one locks the door, it opens none.

        While the database cannot be asked, what it said last holds.
        """
        try:
            self._has_any = bool(
                await self._store.read(partial(_fetch, query=select(keys).limit(1)))
            )
        except StoreError:
            if self._has_any is None:
                raise
        return self._has_any

    async def revoke(self, key_id: str) -> None:
        """End a key: here at once, in other processes within ``REMEMBER_S``.

        Raises ``NotFound`` for an id nobody has. Revoking again changes nothing.
        """
        work = partial(_revoke, key_id=key_id, now_s=self._clock.now())
        is_known = await self._store.write(work)
        self._found.clear()
        if not is_known:
            message = f"no key {key_id!r}; `hasten keys list` shows them"
            raise NotFound(message)


def _digest(secret: str) -> str:
    return sha256(secret.encode(errors="surrogatepass")).hexdigest()


def _record(row: dict[str, Any]) -> KeyRecord:
    caller = Caller(row["tenant"], row["user"], row["role"])
    return KeyRecord(row["key_id"], caller, row["label"], row["created_s"], row["revoked_s"])


def _fetch(connection: Connection, query: Select[Any]) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(query).mappings()]


def _revoke(connection: Connection, key_id: str, now_s: float) -> bool:
    is_this = keys.c.key_id == key_id
    known = connection.execute(select(keys.c.key_id).where(is_this)).first()
    live = is_this & keys.c.revoked_s.is_(None)
    connection.execute(update(keys).where(live).values(revoked_s=now_s))
    return known is not None
