"""What was found out about the applications: checks, experiments, load tests.

Owns ``GET /api/results``. Leaves finding out to ``cli`` and keeping to ``quality``.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query

from hasten.quality.results import ResultKind
from hasten.serve.auth import CallerOf, RuntimeOf

router = APIRouter(tags=["quality"])

LIST_LIMIT = 100


@router.get("/api/results")
async def list_results(
    runtime: RuntimeOf,
    _caller: CallerOf,
    kind: ResultKind | None = None,
    app: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = LIST_LIMIT,
) -> list[dict[str, Any]]:
    """Return what checks, experiments and load tests found, newest first."""
    found = await runtime.results.newest(kind, app, limit)
    return [msgspec.to_builtins(one) for one in found]
