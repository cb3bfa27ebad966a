"""The gateway in a process of its own: no application, no console, only calls below ``/v1``.

Owns the RSGI application, which opens the stores and nothing else, and the further paths
``/health``, ``/metrics``, ``/api/gateway`` and ``/api/gateway/calls``. Leaves calls to
``gateway``. ``hasten serve --gateway-only`` runs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import orjson
from pydantic import ValidationError

from hasten.cache.shown import stats_shown
from hasten.errors import Forbidden, HastenError, InvalidInput
from hasten.serve.admission import close_if_open
from hasten.serve.gateway.door import RsgiExchange
from hasten.serve.gateway.gateway import Gateway
from hasten.serve.gateway.refusal import told_error, told_refusal
from hasten.serve.gateway.shown import CallQuery, calls_shown, gateway_shown
from hasten.wire_stores import Stores

if TYPE_CHECKING:
    import asyncio

    from hasten.serve.gateway.terms import Terms
    from hasten.settings import Settings

_OK = 200
JSON = "application/json"
_SHOWN = {"/health", "/metrics", "/api/gateway", "/api/gateway/calls"}


class GatewayAlone:
    """An RSGI application."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stores: Stores | None = None
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
        if call.path in _SHOWN:
            await self._show(call, self._gateway, scope.query_string)
        else:
            await self._gateway.answer(call)

    async def open(self) -> None:
        """Open the stores and start the gateway. Raises what these do, and ``SettingsError``."""
        stores = await Stores.open(self._settings)
        await close_if_open(stores)
        stores.keep_house()
        self._stores = stores
        self._gateway = Gateway(stores)
        self._gateway.start()

    async def close(self) -> None:
        """Close what ``open`` opened."""
        if self._gateway is not None:
            await self._gateway.close()
        if self._stores is not None:
            await self._stores.close()

    async def _show(self, call: RsgiExchange, gateway: Gateway, query: str) -> None:
        """Say how the process is, or what it has done."""
        terms = gateway.terms.of(call.method, call.headers)
        told = None
        if terms.refusal is not None:
            told = told_refusal(terms.refusal, "openai")
        else:
            try:
                kind, body = await self._shown(call.path, gateway, terms, query)
            except HastenError as error:
                told = told_error(error, "openai")
        if told is not None:
            await call.reply(told.status, told.headers, told.body)
        else:
            await call.reply(_OK, [("content-type", kind)], body)

    async def _shown(
        self, path: str, gateway: Gateway, terms: Terms, query: str
    ) -> tuple[str, bytes]:
        """Return what a path shows, and its type, to whoever may see it."""
        assert self._stores is not None  # noqa: S101 - opened before the first request
        if path == "/health":
            tiers = stats_shown(self._stores.cache)["tiers"]
            is_well = all(one["is_available"] for one in tiers)
            return JSON, orjson.dumps({"status": "ok" if is_well else "degraded", "tiers": tiers})
        caller = (gateway.recall(terms) or await gateway.find(terms)).caller
        if path == "/api/gateway/calls":
            return JSON, orjson.dumps(calls_shown(gateway, caller, _asked(query)))
        if caller.role != "admin":
            message = "this needs a key with the role admin"
            raise Forbidden(message)
        if path == "/api/gateway":
            return JSON, orjson.dumps(gateway_shown(gateway))
        from hasten.serve.figures import CONTENT_TYPE, gateway_exposition

        return CONTENT_TYPE, await gateway_exposition(self._stores, gateway)


def _asked(query: str) -> CallQuery:
    """Return which calls a query string asks for. Raises ``InvalidInput`` naming the field."""
    try:
        return CallQuery.model_validate(dict(parse_qsl(query)))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        message = f"{field}: {first['msg']}"
        raise InvalidInput(message, field=field, value=first["input"]) from None
