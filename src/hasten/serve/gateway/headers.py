"""What the gateway's answers say of themselves in headers.

Owns ``Cache-Status`` (RFC 9211), ``Age``, ``Server-Timing`` and ``Hasten-*``. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hasten.cache.decide import Fresh, Miss, Stale

if TYPE_CHECKING:
    from hasten.cache.entry import CacheEntry
    from hasten.cache.flight import Answer
    from hasten.serve.gateway.refusal import Lines

KEY_DIGITS = 16
"""So much of a key is shown; the beginning of one is enough for ``hasten cache show``."""


def hit_headers(entry: CacheEntry, tier: str, now_s: float, took_s: float) -> Lines:
    """Return the headers of an answer that was stored, but for its content type."""
    age_s = max(now_s - entry.created_s, 0.0)
    until_s, origin = entry.fresh_until_s, entry.provenance
    ttl = "" if until_s is None else f" ttl={int(until_s - now_s)};"
    key = entry.digest.hex()[:KEY_DIGITS]
    return [
        ("cache-status", f'hasten; hit;{ttl} key="{key}"; detail={tier or "memory"}'),
        ("age", str(int(age_s))),
        ("hasten-cost-usd", "0"),
        ("hasten-saved-usd", f"{origin.cost_usd:.6f}"),
        ("hasten-saved-ms", f"{origin.compute_s * 1e3:.0f}"),
        ("server-timing", f"hasten;dur={took_s * 1e3:.2f}"),
    ]


def given_headers(answer: Answer, key: bytes, now_s: float, took_s: float) -> Lines:
    """Return the headers of an answer that the cache gave, computed or stored."""
    decision = answer.decision
    if answer.entry is not None and isinstance(decision, (Fresh, Stale)):
        return hit_headers(answer.entry, answer.tier, now_s, took_s)
    reason = decision.reason if isinstance(decision, Miss) else ""
    word = "miss" if reason.startswith("nothing is stored") else "stale"
    if answer.is_collapsed:
        return made_headers(f"fwd={word}; collapsed", key, took_s)
    stored = "; stored" if answer.entry is not None else ""
    return made_headers(f"fwd={word}{stored}", key, took_s)


def made_headers(status: str, key: bytes, took_s: float) -> Lines:
    """Return the headers of an answer that an upstream was asked for."""
    shown = f'; key="{key.hex()[:KEY_DIGITS]}"' if key else ""
    return [
        ("cache-status", f"hasten; {status}{shown}"),
        ("server-timing", f"hasten;dur={took_s * 1e3:.2f}"),
    ]
