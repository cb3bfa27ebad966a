"""The gateway's calls over HTTP: the latest of them, and what all of them came to.

Owns the routes under ``/api/gateway``. Leaves what is shown to whom to ``gateway/shown``
and the calls themselves to ``gateway``.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from hasten.serve.auth import AdminOf, CallerOf
from hasten.serve.gateway.gateway import Gateway
from hasten.serve.gateway.shown import CallQuery, calls_shown, gateway_shown

router = APIRouter(tags=["gateway"])


async def gateway_of(request: Request) -> Gateway:
    """Return the server's gateway."""
    gateway: Gateway = request.app.state.gateway
    return gateway


GatewayOf = Annotated[Gateway, Depends(gateway_of)]


@router.get("/api/gateway")
async def show_gateway(gateway: GatewayOf, _admin: AdminOf) -> dict[str, Any]:
    """Return what the gateway's calls came to since it started, and how its upstreams are."""
    return gateway_shown(gateway)


@router.get("/api/gateway/calls")
async def list_calls(
    gateway: GatewayOf, caller: CallerOf, which: Annotated[CallQuery, Query()]
) -> dict[str, Any]:
    """Return the gateway's latest calls, newest first: the caller's, an admin's whole tenant's."""
    return calls_shown(gateway, caller, which)
