"""One module a contestant, each with ``prepare(shape)``: an async call that runs it once.

What a call returns is the value of the shape's last step, so that the
benchmark can see that everybody did the same work.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from bench.shapes import Shape

Call: TypeAlias = "Callable[[], Awaitable[int]]"
Prepare: TypeAlias = "Callable[[Shape], Coroutine[Any, Any, Call]]"

MODULES = {
    "hasten": "ours",
    "langgraph": "langgraph",
    "hamilton": "hamilton",
    "pydantic-graph": "pydantic_graph",
    "bare TaskGroup": "bare",
}


class CannotExpress(Exception):
    """The contestant has no way to say this shape."""


def find(name: str) -> Prepare | None:
    """Return a contestant's ``prepare``, or ``None`` if its library is not installed."""
    try:
        prepare: Prepare = importlib.import_module(f"bench.peers.{MODULES[name]}").prepare
    except ModuleNotFoundError as error:
        if str(error.name).split(".")[0] in {"bench", "hasten"}:
            raise
        return None
    return prepare
