"""Figures for Prometheus over HTTP, and counting the requests among them.

Owns ``GET /metrics`` and counting requests as they end. Leaves the figures to
``figures``.
"""

from __future__ import annotations

from http import HTTPMethod
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response

from hasten.serve.auth import AdminOf, RuntimeOf
from hasten.serve.figures import CONTENT_TYPE, exposition

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping

router = APIRouter(tags=["health"])

METHODS = frozenset(HTTPMethod)
"""Anybody may ask with a method of their own making: all those are counted as one."""


class RequestCounts:
    """ASGI middleware that counts requests by method, route and status."""

    def __init__(self, app: Any, counts: Counter[tuple[str, ...]]) -> None:
        self.app = app
        self._counts = counts

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Pass the request on and count what was answered."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def counted(message: Mapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "other")
                method = scope["method"] if scope["method"] in METHODS else "other"
                self._counts[method, route, str(message["status"])] += 1
            await send(message)

        await self.app(scope, receive, counted)


@router.get("/metrics", response_class=Response)
async def metrics(request: Request, runtime: RuntimeOf, _admin: AdminOf) -> Response:
    """Return every figure in the text format of Prometheus."""
    state = request.app.state
    figures = await exposition(runtime, state.gateway, state.request_counts)
    return Response(figures, media_type=CONTENT_TYPE)
