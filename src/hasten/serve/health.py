"""Whether the server is well, for people and load balancers."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter, Response

from hasten.cache.shown import stats_shown
from hasten.errors import StoreError
from hasten.serve.auth import RuntimeOf
from hasten.trace.log import RunFilter

router = APIRouter(tags=["health"])


@router.get("/health")
async def health(runtime: RuntimeOf, response: Response) -> dict[str, Any]:
    """Return 200 when runs can be started, and what each part says of itself.

    A database or a cache tier that is gone is ``degraded``, not down: runs go on without it.
    """
    response.headers["Cache-Control"] = "no-store"
    database: dict[str, Any] = {"available": True}
    jobs: dict[str, int] | None = None
    try:
        await runtime.runs(RunFilter(limit=1))
        jobs = await runtime.queue.count()
    except StoreError as error:
        database = {"available": False, "error": error.code}
    cache = stats_shown(runtime.cache)
    alerts = runtime.alerts.firing()
    is_well = database["available"] and all(one["is_available"] for one in cache["tiers"])
    return {
        "status": "ok" if is_well else "degraded",
        "apps": sorted(runtime.apps),
        "model": runtime.settings.model or "simulated",
        "simulated": runtime.settings.is_simulated,
        "live_runs": runtime.live_runs,
        "jobs": jobs,
        "database": database,
        "alerts": [msgspec.to_builtins(one) for one in alerts],
        "cache": {"tiers": cache["tiers"], "uses": cache["uses"]},
    }
