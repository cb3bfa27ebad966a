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

from hasten.caller import Caller
from hasten.clock import Clock
from hasten.errors import NotFound, StoreError
from hasten.store.sql.words import Row, RowForm

if TYPE_CHECKING:
    from hasten.store.sql.base import SqlStore
    from hasten.store.sql.words import SqlWords

REMEMBER_S = 3.0
"""What was found is believed so long; a key revoked elsewhere works no longer than that."""

REMEMBER_SECRETS = 10_000
"""At most so many secrets are remembered, so that guessing cannot fill the memory."""

KEYS = RowForm(
    "keys",
    (
        *("key_id", "digest", "tenant", "user", "role", "label", "created_s", "revoked_s"),
        *("models", "rate_per_min", "budget_usd", "cache_scope"),
    ),
    ("key_id",),
    json=frozenset({"models"}),
)
SPEND = RowForm(
    "key_spend",
    ("key_id", "month", "process", "cost_usd"),
    ("key_id", "month", "process"),
)

_WITH_SPENT = (
    "SELECT keys.*, (SELECT coalesce(sum(cost_usd), 0.0) FROM key_spend"
    " WHERE key_spend.key_id = keys.key_id AND month = :month) AS spent_usd FROM keys"
)

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
        await self._store.write_words(lambda on: on.insert_new(KEYS, [row]))
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
        rows = await self._read("WHERE digest = :digest AND revoked_s IS NULL", digest=digest)
        found = None
        if rows and hmac.compare_digest(rows[0]["digest"], digest):
            found = _record(rows[0])
        if len(self._found) >= REMEMBER_SECRETS:
            self._found.clear()
        self._found[digest] = (now_s, found)
        return found

    async def all(self) -> list[KeyRecord]:
        """Return every key that was made, the revoked ones too, oldest first."""
        return [_record(row) for row in await self._read("ORDER BY created_s, key_id")]

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
            self._has_any = await self._store.read_words(_has_any)
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
        await self._store.write_words(lambda on: on.upsert(SPEND, rows))
        self._spent |= totals
        for own, usd in unsaved.items():
            self._unsaved[own] -= usd
        saved = {key_id for key_id, _ in totals}
        for digest, (_, key) in list(self._found.items()):
            if key is not None and key.key_id in saved:
                del self._found[digest]

    def _month(self) -> str:
        return datetime.fromtimestamp(self._clock.now(), UTC).strftime("%Y-%m")

    async def _read(self, which: str, **values: Any) -> list[Row]:
        """Return the rows of keys, with what each has spent this month."""
        query, month = f"{_WITH_SPENT} {which}", self._month()
        lines = await self._store.read_words(lambda on: on.rows(query, month=month, **values))
        return list(map(KEYS.row, lines))

    async def revoke(self, key_id: str) -> None:
        """End a key: here at once, in other processes within ``REMEMBER_S``.

        Raises ``NotFound`` for an id nobody has. Revoking again changes nothing.
        """
        work = partial(_revoke, key_id=key_id, now_s=self._clock.now())
        is_known = await self._store.write_words(work)
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


def _has_any(on: SqlWords) -> bool:
    return on.value("SELECT 1 AS one FROM keys LIMIT 1") is not None


def _revoke(on: SqlWords, key_id: str, now_s: float) -> bool:
    end = "UPDATE keys SET revoked_s = :now_s WHERE key_id = :key_id AND revoked_s IS NULL"
    if on.change(end, key_id=key_id, now_s=now_s):
        return True
    return on.value("SELECT 1 AS one FROM keys WHERE key_id = :key_id", key_id=key_id) is not None
