"""The keys callers come with: made once, kept as a hash, looked up at every request.

Owns making, finding, listing and revoking them, and what each has spent this month.
Leaves reading the ``Authorization`` header to ``serve/auth``, holding a key to its
limits to ``serve/gateway`` and the verbs to ``cli``.

A secret has 256 random bits, so a plain SHA-256 keeps it: there is nothing to
guess that a slow hash would protect.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import func, select, update

from hasten.caller import Caller
from hasten.clock import Clock
from hasten.errors import NotFound, StoreError
from hasten.store.sql.batch import fetch, insert_new, upsert
from hasten.store.sql.schema import key_spend, keys

if TYPE_CHECKING:
    from sqlalchemy import Connection, Select

    from hasten.store.sql.base import SqlStore

REMEMBER_S = 3.0
"""What was found is believed so long; a key revoked elsewhere works no longer than that."""

REMEMBER_SECRETS = 10_000
"""At most so many secrets are remembered, so that guessing cannot fill the memory."""


CacheScope = Literal["tenant", "user"]
"""Who shares the answers that a key is given, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyLimits:
    """What a key may do at the gateway; ``None`` and no models mean no limit.

    ``models`` are names or patterns of them (``gpt-4o*``). ``rate_per_min`` counts calls,
    ``budget_usd`` what models cost in a calendar month (UTC). ``cache_scope`` is the widest
    in which its answers are shared.
    """

    models: tuple[str, ...] = ()
    rate_per_min: float | None = None
    budget_usd: float | None = None
    cache_scope: CacheScope = "tenant"


NO_LIMITS = KeyLimits()


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key as it may be shown: everything but its secret. Times are seconds since the epoch.

    ``spent_usd`` is what it has cost this month, as the database knew when it was read.
    """

    key_id: str
    caller: Caller
    label: str
    created_s: float
    revoked_s: float | None
    limits: KeyLimits = field(default=NO_LIMITS)
    spent_usd: float = 0.0


class KeyStore:
    """The keys in a database. Raises ``StoreUnavailable`` when it cannot be asked."""

    def __init__(self, store: SqlStore, clock: Clock | None = None) -> None:
        self._store = store
        self._clock = clock or Clock()
        self._found: dict[str, tuple[float, KeyRecord | None]] = {}
        self._has_any: bool | None = None
        self._has_none_until_s = 0.0
        self._process = secrets.token_hex(8)
        self._spent: dict[tuple[str, str], float] = {}
        self._unsaved: dict[tuple[str, str], float] = {}

    async def create(
        self, caller: Caller, label: str = "", limits: KeyLimits = NO_LIMITS
    ) -> tuple[str, str]:
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
            "models": list(limits.models),
            "rate_per_min": limits.rate_per_min,
            "budget_usd": limits.budget_usd,
            "cache_scope": limits.cache_scope,
        }
        await self._store.write(partial(insert_new, table=keys, rows=[row]))
        self._has_any = True
        return key_id, secret

    def recall(self, secret: str) -> KeyRecord | None:
        """Return the key of ``secret`` if it was found within ``REMEMBER_S``; ask nobody."""
        remembered = self._found.get(_digest(secret))
        if remembered is not None and self._clock.monotonic() - remembered[0] < REMEMBER_S:
            return remembered[1]
        return None

    async def find(self, secret: str) -> KeyRecord | None:
        """Return the key of ``secret``, or ``None`` when it is unknown or revoked.

        Asks the database at most once in ``REMEMBER_S`` for one secret.
        """
        digest, now_s = _digest(secret), self._clock.monotonic()
        remembered = self._found.get(digest)
        if remembered is not None and now_s - remembered[0] < REMEMBER_S:
            return remembered[1]
        query = self._with_spent().where(keys.c.digest == digest, keys.c.revoked_s.is_(None))
        rows = await self._store.read(partial(fetch, query=query))
        found = None
        if rows and hmac.compare_digest(rows[0]["digest"], digest):
            found = _record(rows[0])
        if len(self._found) >= REMEMBER_SECRETS:
            self._found.clear()
        self._found[digest] = (now_s, found)
        return found

    async def all(self) -> list[KeyRecord]:
        """Return every key that was made, the revoked ones too, oldest first."""
        query = self._with_spent().order_by(keys.c.created_s, keys.c.key_id)
        return [_record(row) for row in await self._store.read(partial(fetch, query=query))]

    @property
    def lets_everybody_in(self) -> bool:
        """Whether no key had been made when the database was last asked, a moment ago."""
        return self._has_any is False and self._clock.monotonic() < self._has_none_until_s

    async def any(self) -> bool:
        """Whether a key was ever made. Revoking the last one locks the door, it opens none.

        While the database cannot be asked, what it said last holds; "yes" holds for ever.
        """
        if self._has_any:
            return True
        try:
            self._has_any = bool(
                await self._store.read(partial(fetch, query=select(keys).limit(1)))
            )
        except StoreError:
            if self._has_any is None:
                raise
        self._has_none_until_s = self._clock.monotonic() + REMEMBER_S
        return self._has_any

    def charge(self, key_id: str, cost_usd: float) -> None:
        """Note that a call with this key cost so much; ``save_spent`` makes it last."""
        own = (key_id, self._month())
        self._unsaved[own] = self._unsaved.get(own, 0.0) + cost_usd

    def spent_usd(self, key: KeyRecord) -> float:
        """Return what the key has cost this month, with what is not saved yet."""
        return key.spent_usd + self._unsaved.get((key.key_id, self._month()), 0.0)

    async def save_spent(self) -> None:
        """Save what was charged. Each process has rows of its own, so saving twice adds nothing."""
        unsaved = dict(self._unsaved)
        if not unsaved:
            return
        totals = {own: self._spent.get(own, 0.0) + usd for own, usd in unsaved.items()}
        rows = [
            {"key_id": key_id, "month": month, "process": self._process, "cost_usd": usd}
            for (key_id, month), usd in totals.items()
        ]
        await self._store.write(partial(upsert, table=key_spend, rows=rows))
        self._spent |= totals
        for own, usd in unsaved.items():
            self._unsaved[own] -= usd
        saved = {key_id for key_id, _ in totals}
        for digest, (_, key) in list(self._found.items()):
            if key is not None and key.key_id in saved:
                del self._found[digest]

    def _month(self) -> str:
        return datetime.fromtimestamp(self._clock.now(), UTC).strftime("%Y-%m")

    def _with_spent(self) -> Select[Any]:
        mine = (key_spend.c.key_id == keys.c.key_id) & (key_spend.c.month == self._month())
        spent = select(func.coalesce(func.sum(key_spend.c.cost_usd), 0.0)).where(mine)
        return select(keys, spent.scalar_subquery().label("spent_usd"))

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
    limits = KeyLimits(
        models=tuple(row["models"]),
        rate_per_min=row["rate_per_min"],
        budget_usd=row["budget_usd"],
        cache_scope=row["cache_scope"],
    )
    return KeyRecord(
        row["key_id"],
        Caller(row["tenant"], row["user"], row["role"]),
        row["label"],
        row["created_s"],
        row["revoked_s"],
        limits,
        row["spent_usd"],
    )


def _revoke(connection: Connection, key_id: str, now_s: float) -> bool:
    is_this = keys.c.key_id == key_id
    known = connection.execute(select(keys.c.key_id).where(is_this)).first()
    live = is_this & keys.c.revoked_s.is_(None)
    connection.execute(update(keys).where(live).values(revoked_s=now_s))
    return known is not None
