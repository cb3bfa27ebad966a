"""Chance that can be repeated: draws from a seed and from what is being asked.

Owns the one way a request becomes a seed. The simulated model draws its words
and latencies with it, ``retrying`` its waits. Pure: the same arguments give
the same draws in every process and on every Python.
"""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from hasten.model.base import Request


def digest_of(request: Request) -> bytes:
    """Return 16 bytes that stand for everything in ``request``; not a cache key."""
    encoded = msgspec.json.encode(request, order="deterministic", enc_hook=repr)
    return hashlib.blake2b(encoded, digest_size=16).digest()


def draw(seed: int, *what: str | bytes | int) -> random.Random:
    """Return a generator whose draws depend on ``seed`` and ``what``, and on nothing else."""
    digest = hashlib.blake2b(digest_size=16)
    for part in (seed, *what):
        raw = part if isinstance(part, bytes) else str(part).encode()
        digest.update(len(raw).to_bytes(4, "big") + raw)
    return random.Random(digest.digest())  # noqa: S311 - reproducible on purpose
