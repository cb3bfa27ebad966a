"""Holding a key to its limits: which models, how many calls a minute, how much money a month.

Owns the check before each call and what a caller is told of it. Leaves where limits and
spending are kept to ``store/keys``. The rate is this process's own: each worker has its
share of the calls, and so its own count.
"""

from __future__ import annotations

from collections import OrderedDict
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from hasten.clock import current_clock
from hasten.errors import Forbidden, ModelError, RateLimited

if TYPE_CHECKING:
    from hasten.store.keys import KeyRecord, KeyStore

MINUTE_S = 60.0
REMEMBERED = 10_000
ROUNDING_S = 1e-6


class BudgetSpent(ModelError):
    """The key has spent what it may this month; trying again does not help."""

    code = "insufficient_quota"


class KeyMeters:
    """How full each key's minute is (GCRA: a burst of a minute's worth, then evenly)."""

    def __init__(self, keys: KeyStore) -> None:
        self._keys = keys
        self._full_at_s: OrderedDict[str, float] = OrderedDict()

    def check(self, key: KeyRecord, model: str) -> None:
        """Admit one call of ``key`` to ``model``.

        Raises ``Forbidden`` for the model, ``RateLimited`` and ``BudgetSpent``.
        """
        limits = key.limits
        if limits.models and not any(fnmatchcase(model, one) for one in limits.models):
            message = f"this key may not ask {model!r}, only {', '.join(limits.models)}"
            raise Forbidden(message)
        if limits.budget_usd is not None and self._keys.spent_usd(key) >= limits.budget_usd:
            message = f"this key has spent its ${limits.budget_usd:g} of the month"
            raise BudgetSpent(message, model=model)
        if limits.rate_per_min is not None:
            self._admit(key.key_id, limits.rate_per_min, model)

    def left(self, key: KeyRecord) -> dict[str, str]:
        """Return what is left of the key's minute, as the providers' headers say it."""
        rate = key.limits.rate_per_min
        if rate is None:
            return {}
        full_s = max(self._full_at_s.get(key.key_id, 0.0) - current_clock().monotonic(), 0.0)
        return {
            "x-ratelimit-limit-requests": f"{rate:g}",
            "x-ratelimit-remaining-requests": str(int(max(rate - full_s * rate / MINUTE_S, 0))),
            "x-ratelimit-reset-requests": f"{full_s:.3f}s",
        }

    def _admit(self, key_id: str, rate: float, model: str) -> None:
        now_s, each_s = current_clock().monotonic(), MINUTE_S / rate
        full_at_s = max(self._full_at_s.get(key_id, now_s), now_s) + each_s
        over_s = full_at_s - now_s - max(MINUTE_S, each_s)
        if over_s > ROUNDING_S:
            message = f"this key may make {rate:g} calls a minute; wait {over_s:.1f} s"
            raise RateLimited(message, model=model, retry_after_s=over_s)
        self._full_at_s[key_id] = full_at_s
        self._full_at_s.move_to_end(key_id)
        if len(self._full_at_s) > REMEMBERED:
            self._full_at_s.popitem(last=False)
