"""Which calls of applications' tables take longest, from the spans of recorded runs.

Owns the question to ``spans``. Leaves showing to ``cli/db``. Runs in virtual time
are left out: their storage takes what the manifest says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import select

from hasten.store.sql.schema import runs, spans
from hasten.trace.report import percentile

if TYPE_CHECKING:
    from sqlalchemy import Connection

LOOK_AT = 50_000
"""At most so many calls, the newest."""


class SlowCall(msgspec.Struct, frozen=True, kw_only=True):
    """Calls that did one thing for one application; milliseconds."""

    app: str
    call: str
    times: int
    p50_ms: float
    p95_ms: float
    most_ms: float
    total_ms: float


def slow_calls(connection: Connection, since_s: float, limit: int) -> list[SlowCall]:
    """Return what took most time in all since then, the worst first."""
    took = (spans.c.end_s - spans.c.start_s).label("took_s")
    query = (
        select(runs.c.app, spans.c.name, took)
        .join(runs, runs.c.run_id == spans.c.run_id)
        .where(spans.c.kind == "storage", spans.c.end_s.is_not(None))
        .where(runs.c.started_s >= since_s, runs.c.clock == "real")
        .order_by(runs.c.started_s.desc())
        .limit(LOOK_AT)
    )
    found: dict[tuple[str, str], list[float]] = {}
    for app, name, took_s in connection.execute(query):
        found.setdefault((app, name), []).append(took_s * 1e3)
    calls = [_call(app, name, took_ms) for (app, name), took_ms in found.items()]
    return sorted(calls, key=lambda one: -one.total_ms)[:limit]


def _call(app: str, name: str, took_ms: list[float]) -> SlowCall:
    return SlowCall(
        app=app,
        call=name,
        times=len(took_ms),
        p50_ms=percentile(took_ms, 0.5),
        p95_ms=percentile(took_ms, 0.95),
        most_ms=max(took_ms),
        total_ms=sum(took_ms),
    )
