"""What a run is asked for and what it came to.

Owns ``RunOptions``, ``Outcome`` and the form of a run's id. Leaves executing to
``run``. Whoever starts a run gives the one and gets the other.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hasten.cache.policy import PLAIN, CachePolicy, Directives
from hasten.caller import LOCAL, Caller
from hasten.virtual import VirtualLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hasten.cache.cache import Cache
    from hasten.clock import Clock
    from hasten.errors import HastenError
    from hasten.graph.durable import RunAttempt
    from hasten.trace.event import RunEvent, RunRecord, RunStatus
    from hasten.trace.log import Sink
    from hasten.trace.span import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What a run needs to know besides its inputs; everything has a default.

    ``sink`` keeps the run and lets others follow it. ``expected_s`` are the
    usual seconds of each step, for the ETA. ``simulated`` says that a simulated
    model answers. ``listeners`` are told each event as it happens. ``cache`` is in
    force for its steps; without it the one where the run was started. ``made_by`` is
    what answers, such as a model's name: nothing another made is reused.
    ``directives`` are what the run asks of the cache, ``rerun`` how its whole answer
    may be given again. The steps or outputs in ``anew`` are computed whatever is stored,
    and with them the whole answer. ``attempt`` is there when the run may take several.
    ``worker`` names the process.
    """

    app: str = ""
    mode: str = ""
    run_id: str = ""
    caller: Caller = LOCAL
    sink: Sink | None = None
    clock: Clock | None = None
    deadline_s: float | None = None
    simulated: bool = False
    expected_s: Mapping[str, float] = field(default_factory=dict)
    listeners: tuple[Callable[[RunEvent], None], ...] = ()
    cache: Cache | None = None
    made_by: str = ""
    directives: Directives = PLAIN
    anew: frozenset[str] = frozenset()
    rerun: CachePolicy | None = None
    attempt: RunAttempt | None = None
    worker: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended. ``outputs`` are the values as the steps returned them.

    ``degraded_by`` says, in words, what went on without what it wanted; a
    degraded outcome must not fill any cache.
    """

    run_id: str
    status: RunStatus
    outputs: dict[str, Any]
    degraded_by: tuple[str, ...]
    error: HastenError | None
    record: RunRecord
    spans: list[Span]

    def value(self) -> dict[str, Any]:
        """Return the outputs, or raise the error of a run that failed or was cancelled."""
        if self.error is not None:
            raise self.error
        return self.outputs


def new_run_id(clock: Clock) -> str:
    """Return an id that sorts by time; its tail is random, in virtual time drawn from the seed."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        loop = None
    if isinstance(loop, VirtualLoop):
        tail = f"{loop.random.getrandbits(40):010x}"
    else:
        tail = secrets.token_hex(5)
    return f"run_{int(clock.now() * 1e3):012x}{tail}"
