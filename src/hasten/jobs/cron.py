"""Cron: what an application wants done at set times, and sleeping until then.

Owns ``Cron``, when it is due, and ``keep_time``. Leaves turning one that is due into jobs
to ``wire_cron``. Nothing polls: it sleeps until the next one is due.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cronsim import CronSim, CronSimError

from hasten.caller import Caller
from hasten.errors import SettingsError
from hasten.jobs.job import LOW

if TYPE_CHECKING:
    from hasten.clock import Clock

CronInputs = Callable[[Any], Awaitable[Iterable[tuple[Caller, Mapping[str, Any]]]]]
"""Given the application's tables: for whom, and with which inputs."""

FIELDS = 5
"""Of an expression: minute, hour, day, month, day of the week."""

LONGEST_SLEEP_S = 600.0
"""It sleeps no longer at once, as the clock on the wall may be set meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """Jobs of an application at set times, one for each of its inputs.

    ``at`` is an expression of five fields as in Debian's cron, in UTC: ``0 3 * * *`` is each
    night at three. ``inputs`` are given as they are, for ``local``, or by an async function of
    the application's tables, with the caller in whose name each is done. ``operation`` is one
    of the application's; by default its main one. ``tags`` are those of the cache with whose
    change (``POST /api/events/data-changed``) it is done, too.

    Raises ``SettingsError`` for an expression that cannot be read or is never due.
    """

    name: str
    at: str
    inputs: Mapping[str, Any] | CronInputs
    operation: str = ""
    mode: str | None = None
    priority: int = LOW
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a time that never comes."""
        try:
            self.due_after(0.0)
            why = "" if len(self.at.split()) == FIELDS else "it has five fields"
        except (CronSimError, StopIteration) as error:
            why = str(error) or "it is never due"
        if why:
            message = f"cron {self.name!r}: at={self.at!r}: {why}; nightly at three is '0 3 * * *'"
            raise SettingsError(message)

    def due_after(self, now_s: float) -> float:
        """Return when it is due next, in seconds since the epoch, as ``now_s`` is."""
        return next(CronSim(self.at, datetime.fromtimestamp(now_s, UTC))).timestamp()


async def keep_time(
    crons: Mapping[str, Cron], do: Callable[[str, float], Awaitable[None]], clock: Clock
) -> None:
    """From now on call ``do`` with the name of each that is due, and when it was.

    What was due while nobody was there, as on a laptop that slept, is left out but for once.
    """
    dues = {name: cron.due_after(clock.now()) for name, cron in crons.items()}
    while dues:
        name = min(dues, key=lambda one: dues[one])
        while (left_s := dues[name] - clock.now()) > 0:
            await clock.sleep(min(left_s, LONGEST_SLEEP_S))
        await do(name, dues[name])
        dues[name] = crons[name].due_after(max(dues[name], clock.now()))
