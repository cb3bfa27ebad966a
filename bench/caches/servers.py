"""The real Redis of the benchmark: one process, started when first asked for."""

from __future__ import annotations

import atexit
from contextlib import ExitStack
from functools import cache
from typing import TYPE_CHECKING

from hasten.testing.redis import run_redis

if TYPE_CHECKING:
    from hasten.testing.redis import RedisServer


@cache
def redis() -> RedisServer:
    """Return the running server; it is stopped when the program ends."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(run_redis())
