"""How Python runs in a process that serves: the event loop comes first.

Owns when threads give way to it and when the garbage collector looks: at everything there is
that takes 50 ms and more, in which nobody is answered. A server's worker calls the functions as
it starts; a real trial, which is to pass as a server, is ``as_in_a_server`` while it measures.
"""

from __future__ import annotations

import gc
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SWITCH_S = 0.0005
"""A thread that has work for the interpreter gives way to the event loop so soon (default 5 ms)."""

COLLECT_AFTER = (10_000, 20, 50)
"""Garbage is looked for after so many new objects; by default 700, and everything is looked at."""


def let_threads_give_way() -> None:
    """Let the loop wait for no thread of a store."""
    sys.setswitchinterval(SWITCH_S)


def keep_what_is_loaded() -> None:
    """Spare the collector what a started server holds: it is no garbage, and all calls wait."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


@contextmanager
def as_in_a_server() -> Iterator[None]:
    """Do both for this block."""
    switch_s, collect_after = sys.getswitchinterval(), gc.get_threshold()
    let_threads_give_way()
    keep_what_is_loaded()
    try:
        yield
    finally:
        sys.setswitchinterval(switch_s)
        gc.set_threshold(*collect_after)
        gc.unfreeze()
