"""Monitors: companies that are looked at again and again, and alerts when something moves.

Owns the operation ``check``, which looks at those of the caller's monitors whose time has
come, and what is kept of monitors and alerts. Leaves when it is called to the manifest's cron.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field

from hasten import Caller, Graph, HastenError, Tables, current_caller, current_clock, step
from hasten.apps.consultant.inputs import CompanyId
from hasten.apps.consultant.sources import CompanySource
from hasten.apps.consultant.tables import alerts, alerts_of, monitors, monitors_due

HOUR_S = 3_600.0
AT_ONCE = 5
MOST_MONITORS = 500


class MonitorAsked(BaseModel):
    """A company to look at every so often; a figure that moves by so much raises an alert."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    company: CompanyId
    every_s: Annotated[float, Field(ge=60, le=30 * 24 * HOUR_S)] = HOUR_S
    moves_percent: Annotated[float, Field(ge=0.1, le=1_000)] = 3.0


class Monitor(MonitorAsked):
    """A kept monitor; ``seen`` are the figures as they were last."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    monitor_id: str
    active: bool
    next_check_s: float
    seen: dict[str, float]


class Alert(BaseModel):
    """Something that moved."""

    model_config = ConfigDict(frozen=True)

    alert_id: str
    monitor_id: str
    company: str
    what: str
    text: str
    dismissed: bool
    created_at_s: float


class CheckInputs(BaseModel):
    """Nothing: the caller's own monitors that are due are looked at."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Checked(BaseModel):
    """What a check came to; ``failed`` says why a monitor could not be looked at."""

    model_config = ConfigDict(frozen=True)

    monitors: int
    alerts: tuple[Alert, ...]
    failed: dict[str, str]


@step(phase="storage", label="Finding what is due")
async def due(tables: Tables) -> list[Monitor]:
    """Find the caller's monitors whose time has come."""
    caller = current_caller()
    which = monitors_due(caller.tenant, caller.user, current_clock().now())
    rows = await tables.rows(which.limit(MOST_MONITORS))
    return [Monitor.model_validate(row) for row in rows]


@step(phase="check", label="Looking at the companies", timeout_s=300.0)
async def checked(tables: Tables, source: CompanySource, due: list[Monitor]) -> Checked:
    """Look at each, and keep what moved; one that fails is looked at again the next time."""
    places = asyncio.Semaphore(AT_ONCE)

    async def look(one: Monitor) -> dict[str, float] | str:
        async with places:
            try:
                return await source.pulse(one.company)
            except HastenError as error:
                return str(error)

    now_s = current_clock().now()
    pulses = await asyncio.gather(*map(look, due))
    seen = [(one, pulse) for one, pulse in zip(due, pulses, strict=True) if isinstance(pulse, dict)]
    raised = [alert for one, pulse in seen for alert in moved(one, pulse, now_s)]
    caller = current_caller()
    owner = {"tenant": caller.tenant, "user": caller.user}
    if seen:
        later = [
            one.model_dump() | owner | {"seen": pulse, "next_check_s": now_s + one.every_s}
            for one, pulse in seen
        ]
        await tables.put_many(monitors, later)
    if raised:
        await tables.put_many(alerts, [alert.model_dump() | owner for alert in raised])
    failed = {
        one.monitor_id: pulse
        for one, pulse in zip(due, pulses, strict=True)
        if isinstance(pulse, str)
    }
    return Checked(monitors=len(due), alerts=tuple(raised), failed=failed)


GRAPH = Graph(
    "consultant.check",
    [due, checked],
    inputs=CheckInputs,
    outputs=("checked",),
    resources={"tables": Tables, "source": CompanySource},
)


def moved(monitor: Monitor, pulse: dict[str, float], now_s: float) -> list[Alert]:
    """Return an alert for each figure that moved by as much as the monitor wants. Pure."""
    found = []
    for what, now in pulse.items():
        before = monitor.seen.get(what)
        if not before:
            continue
        percent = 100 * (now - before) / abs(before)
        if abs(percent) >= monitor.moves_percent:
            text = f"{what} moved by {percent:+.1f} %, from {before:g} to {now:g}"
            alert_id = _id(monitor.monitor_id, what, repr(now_s))
            found.append(
                Alert(
                    alert_id=alert_id,
                    monitor_id=monitor.monitor_id,
                    company=monitor.company,
                    what=what,
                    text=text,
                    dismissed=False,
                    created_at_s=now_s,
                )
            )
    return found


async def keep_monitors(tables: Tables, asked: list[MonitorAsked]) -> list[Monitor]:
    """Keep the caller's monitors, one a company: to look at one anew changes the one there is."""
    caller = current_caller()
    found = [
        Monitor(
            **one.model_dump(),
            monitor_id=_id(caller.tenant, caller.user, one.company),
            active=True,
            next_check_s=current_clock().now(),
            seen={},
        )
        for one in asked
    ]
    owner = {"tenant": caller.tenant, "user": caller.user}
    await tables.put_many(monitors, [one.model_dump() | owner for one in found])
    return found


async def list_monitors(tables: Tables) -> list[Monitor]:
    """Return the caller's monitors, the next one due first."""
    which = sa.select(monitors).where(*_mine(monitors)).order_by(monitors.c.next_check_s)
    return [Monitor.model_validate(row) for row in await tables.rows(which.limit(MOST_MONITORS))]


async def stop_monitor(tables: Tables, monitor_id: str) -> bool:
    """Look no more; whether there was such a monitor of the caller's."""
    which = sa.update(monitors).where(monitors.c.monitor_id == monitor_id, *_mine(monitors))
    return bool(await tables.execute(which.values(active=False)))


async def list_alerts(tables: Tables, *, dismissed: bool = False, limit: int = 50) -> list[Alert]:
    """Return the caller's alerts, newest first."""
    caller = current_caller()
    which = alerts_of(caller.tenant, caller.user, dismissed=dismissed).limit(limit)
    return [Alert.model_validate(row) for row in await tables.rows(which)]


async def dismiss_alert(tables: Tables, alert_id: str) -> bool:
    """Put an alert away; whether there was such an alert of the caller's."""
    which = sa.update(alerts).where(alerts.c.alert_id == alert_id, *_mine(alerts))
    return bool(await tables.execute(which.values(dismissed=True)))


async def whose_are_due(tables: Tables) -> list[tuple[Caller, dict[str, Any]]]:
    """Return for whom to check now: each person who has a monitor that is due."""
    which = (
        sa.select(monitors.c.tenant, monitors.c.user)
        .where(monitors.c.active == sa.true(), monitors.c.next_check_s <= current_clock().now())
        .distinct()
    )
    return [(Caller(row["tenant"], row["user"]), {}) for row in await tables.rows(which)]


def _mine(table: sa.Table) -> tuple[sa.ColumnElement[bool], ...]:
    caller = current_caller()
    return (table.c.tenant == caller.tenant, table.c.user == caller.user)


def _id(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]
