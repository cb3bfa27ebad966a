"""The gateway in a process of its own: no application, no console, only calls below ``/v1``.

Owns the RSGI application, which opens the runtime with no applications in it, and two
further paths, ``/health`` and ``/metrics``. Leaves calls to ``gateway``. ``hasten serve
--gateway-only`` runs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from hasten.cache.shown import stats_shown
from hasten.errors import Forbidden, HastenError
from hasten.serve.admission import refuse_open_bind
from hasten.serve.figures import CONTENT_TYPE, exposition
from hasten.serve.gateway.door import RsgiExchange
from hasten.serve.gateway.gateway import Gateway
from hasten.serve.gateway.refusal import told_error, told_refusal
from hasten.wire import Runtime

if TYPE_CHECKING:
    import asyncio

    from hasten.settings import Settings

_OK = 200


class GatewayAlone:
    """An RSGI application."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._runtime: Runtime | None = None
        self._gateway: Gateway | None = None

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Open the stores before the first request."""
        loop.run_until_complete(self.open())

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Store what is left and close the stores."""
        loop.run_until_complete(self.close())

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        """Answer one request."""
        if scope.proto != "http" or self._gateway is None:
            protocol.close(None)
            return
        call = RsgiExchange(scope, protocol)
        if call.path in {"/health", "/metrics"}:
            await self._show(call, self._gateway)
        else:
            await self._gateway.answer(call)

    async def open(self) -> None:
        """Open the stores and start the gateway. Raises what these do, and ``SettingsError``."""
        self._runtime = await Runtime.open(self._settings, {})
        refuse_open_bind(self._settings.host, has_keys=await self._runtime.keys.any())
        self._runtime.keep_house()
        self._gateway = Gateway(self._runtime)
        self._gateway.start()

    async def close(self) -> None:
        """Close what ``open`` opened."""
        if self._gateway is not None:
            await self._gateway.close()
        if self._runtime is not None:
            await self._runtime.close()

    async def _show(self, call: RsgiExchange, gateway: Gateway) -> None:
        """Say how the process is, or what it has done."""
        assert self._runtime is not None  # noqa: S101 - opened before the first request
        terms = gateway.terms.of(call.method, call.headers)
        if terms.refusal is not None:
            told = told_refusal(terms.refusal, "openai")
            await call.reply(told.status, told.headers, told.body)
            return
        if call.path == "/health":
            tiers = stats_shown(self._runtime.cache)["tiers"]
            is_well = all(one["is_available"] for one in tiers)
            body = orjson.dumps({"status": "ok" if is_well else "degraded", "tiers": tiers})
            await call.reply(_OK, [("content-type", "application/json")], body)
            return
        try:
            key = gateway.recall(terms) or await gateway.find(terms)
            if key.caller.role != "admin":
                message = "this needs a key with the role admin"
                raise Forbidden(message)
        except HastenError as error:
            told = told_error(error, "openai")
            await call.reply(told.status, told.headers, told.body)
            return
        figures = await exposition(self._runtime, gateway, {})
        await call.reply(_OK, [("content-type", CONTENT_TYPE)], figures)
