"""One module a contestant, each with ``prepare(shape)``: an async call that runs it once.

What a call returns is the value of the shape's last step, so that the
benchmark can see that everybody did the same work.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from bench.shapes import Shape

Prepare = "Callable[[Shape], Coroutine[Any, Any, Callable[[], Awaitable[int]]]]"

MODULES = {
    "hasten": "ours",
    "langgraph": "langgraph",
    "hamilton": "hamilton",
    "pydantic-graph": "pydantic_graph",
    "bare TaskGroup": "bare",
}


class CannotExpress(Exception):
    """The contestant has no way to say this shape."""


def find(name: str) -> Callable[[Shape], Coroutine[Any, Any, Callable[[], Awaitable[int]]]] | None:
    """Return a contestant's ``prepare``, or ``None`` if its library is not installed."""
    try:
        return importlib.import_module(f"bench.peers.{MODULES[name]}").prepare
    except ModuleNotFoundError:
        return None
