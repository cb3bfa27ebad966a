"""The wire to any OpenAI-compatible endpoint: HTTP, its deadlines, and the boundary for errors.

Owns the connection; whatever goes wrong on it leaves here as a ``ModelError``
(the table is in ``openai_errors``; no connection and a broken stream are
``ModelUnavailable``, nothing in time is ``ModelTimeout``). Leaves the fields
to ``openai_wire``, events to ``sse``, and retrying, limits and traces to the
wrappers around it. ``hasten.wire`` builds it from the settings.
"""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

import aiohttp
import orjson

from hasten.clock import current_clock
from hasten.errors import ModelTimeout, ModelUnavailable
from hasten.model.base import Model
from hasten.model.openai_errors import error_for, retry_after_s
from hasten.model.openai_wire import DONE, Reading, to_body
from hasten.model.sse import EventReader

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping

    from hasten.model.base import Chunk, Request, Response

DRAIN_S = 0.05
"""How long to wait for a finished stream to end, so that its connection can be used again."""

_REDIRECTS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """Seconds, on the clock in force, for a connection, between two reads, and for a whole call."""

    connect_s: float = 10.0
    read_s: float = 60.0
    total_s: float = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """What differs between compatible endpoints.

    ``headers`` are sent along. ``max_tokens_field`` is the field that limits
    the answer; OpenAI's reasoning models want ``max_completion_tokens``.
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    max_tokens_field: str = "max_tokens"
    deadlines: Deadlines = field(default_factory=Deadlines)


class OpenAIModel(Model):
    """Asks the endpoint at ``base_url`` (``https://host/v1``) for ``model``.

    The connections are made with the first call and belong to its event loop
    until ``close()``; after that the next call makes new ones.
    """

    def __init__(
        self, *, base_url: str, model: str, api_key: str = "", endpoint: Endpoint | None = None
    ) -> None:
        self._url = f"{base_url.rstrip('/')}/chat/completions"
        self._model = model
        self._endpoint = endpoint or Endpoint()
        self._headers = {"Content-Type": "application/json", **self._endpoint.headers}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._session: aiohttp.ClientSession | None = None

    @property
    def name(self) -> str:
        """Who answers when a request names no model."""
        return self._model

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Answer piece by piece; closing the generator closes the connection."""
        reading = Reading(request, model=self._model)
        async with self._post(request, stream=True) as reply:
            async with aclosing(self._events(reply)) as events:
                async for data in events:
                    chunk = reading.take(data)
                    if chunk is not None:
                        yield chunk
            yield reading.last()

    async def complete(self, request: Request) -> Response:
        """Answer whole, in one plain call."""
        reading = Reading(request, model=self._model)
        async with self._post(request, stream=False) as reply:
            return reading.take_whole(await reply.read())

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    @asynccontextmanager
    async def _post(
        self, request: Request, *, stream: bool
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send ``request``; whatever aiohttp raises in the block becomes a ``ModelError``."""
        field_name = self._endpoint.max_tokens_field
        body = to_body(request, model=self._model, max_tokens_field=field_name, stream=stream)
        try:
            async with self._connections().post(
                self._url,
                data=orjson.dumps(body),
                headers=self._headers,
                timeout=self._timeout(),
                allow_redirects=False,
            ) as reply:
                if reply.status >= _REDIRECTS:
                    await self._raise_for(reply)
                yield reply
        except TimeoutError as error:
            message = f"{self._model} did not answer in time: {self._url}"
            raise ModelTimeout(message, model=self._model) from error
        except (aiohttp.ClientError, OSError) as error:
            message = f"no answer from {self._model} at {self._url}: {error!r}"
            raise ModelUnavailable(message, model=self._model) from error

    def _connections(self) -> aiohttp.ClientSession:
        if self._session is None:
            unlimited = aiohttp.TCPConnector(limit=0)
            self._session = aiohttp.ClientSession(connector=unlimited)
        return self._session

    def _timeout(self) -> aiohttp.ClientTimeout:
        allowed, delay = self._endpoint.deadlines, current_clock().loop_delay
        return aiohttp.ClientTimeout(
            total=delay(allowed.total_s),
            sock_connect=delay(allowed.connect_s),
            sock_read=delay(allowed.read_s),
            ceil_threshold=float("inf"),
        )

    async def _raise_for(self, reply: aiohttp.ClientResponse) -> NoReturn:
        body = await reply.read()
        wait_s = retry_after_s(reply.headers, current_clock().now())
        raise error_for(reply.status, body, model=self._model, retry_after_s=wait_s)

    async def _events(self, reply: aiohttp.ClientResponse) -> AsyncGenerator[str, None]:
        """Yield the data of each event until the stream says that it is done, or ends."""
        reader = EventReader()
        async for received in reply.content.iter_any():
            try:
                found = reader.feed(received)
            except ValueError as error:
                message = f"{self._model} sent something that is no event stream: {error}"
                raise ModelUnavailable(message, model=self._model) from error
            for data in found:
                if data == DONE:
                    await self._drain(reply)
                    return
                yield data

    async def _drain(self, reply: aiohttp.ClientResponse) -> None:
        """Read to the very end: only then may the connection carry the next call."""
        with suppress(TimeoutError, aiohttp.ClientError):
            async with current_clock().timeout(DRAIN_S):
                await reply.content.read()
