"""What the wires share on the way to a provider: HTTP, its deadlines, the boundary for errors.

Owns the connections; whatever goes wrong on them leaves here as a ``ModelError``
(the table is in ``openai_errors``; no connection and a broken stream are
``ModelUnavailable``, nothing in time is ``ModelTimeout``). Leaves paths, headers
and formats to each wire, events to ``sse``, and retrying, limits and traces to
the wrappers around. The wires in this room are built on it.
"""

from __future__ import annotations

from abc import abstractmethod
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import aiohttp
import orjson

from hasten.clock import current_clock
from hasten.errors import ModelTimeout, ModelUnavailable
from hasten.model.base import Model
from hasten.model.openai_errors import error_for, retry_after_s
from hasten.model.sse import EventReader

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping

    from hasten.errors import ModelError
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
    """What differs between endpoints that speak the same protocol.

    ``headers`` are sent along. ``max_tokens_field`` is the field that limits
    the answer in OpenAI's chat; its reasoning models want ``max_completion_tokens``.
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    max_tokens_field: str = "max_tokens"
    deadlines: Deadlines = field(default_factory=Deadlines)


class Reading(Protocol):
    """One answer as it is read; ``is_done`` once a stream said that nothing follows."""

    is_done: bool

    def take(self, data: str) -> Chunk | None:
        """Take the data of one event; return the piece it adds, if it adds one."""

    def take_whole(self, body: bytes) -> Response:
        """Return the answer that ``body`` is."""

    def last(self) -> Chunk:
        """Return the chunk that ends a stream."""


class Connections:
    """Connections to one provider, made with the first call, until ``close()``.

    They belong to the event loop of that call; after ``close()`` the next call
    makes new ones. ``model`` is who is named in errors.
    """

    def __init__(self, model: str, headers: Mapping[str, str], deadlines: Deadlines) -> None:
        self._model = model
        self._headers = {"Content-Type": "application/json", **headers}
        self._deadlines = deadlines
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close them."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    @asynccontextmanager
    async def post(
        self, url: str, body: dict[str, Any], headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send ``body``; whatever aiohttp raises in the block becomes a ``ModelError``."""
        try:
            async with self._open().post(
                url,
                data=orjson.dumps(body),
                headers={**self._headers, **(headers or {})},
                timeout=self._timeout(),
                allow_redirects=False,
            ) as reply:
                if reply.status >= _REDIRECTS:
                    raise await self._error(reply)
                yield reply
        except TimeoutError as error:
            message = f"{self._model} did not answer in time: {url}"
            raise ModelTimeout(message, model=self._model) from error
        except (aiohttp.ClientError, OSError) as error:
            message = f"no answer from {self._model} at {url}: {error!r}"
            raise ModelUnavailable(message, model=self._model) from error

    async def events(self, reply: aiohttp.ClientResponse) -> AsyncGenerator[str, None]:
        """Yield the data of each event until the stream ends."""
        reader = EventReader()
        async for received in reply.content.iter_any():
            try:
                found = reader.feed(received)
            except ValueError as error:
                message = f"{self._model} sent something that is no event stream: {error}"
                raise ModelUnavailable(message, model=self._model) from error
            for data in found:
                yield data

    async def drain(self, reply: aiohttp.ClientResponse) -> None:
        """Read to the very end: only then may the connection carry the next call."""
        with suppress(TimeoutError, aiohttp.ClientError):
            async with current_clock().timeout(DRAIN_S):
                await reply.content.read()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            unlimited = aiohttp.TCPConnector(limit=0)
            self._session = aiohttp.ClientSession(connector=unlimited)
        return self._session

    def _timeout(self) -> aiohttp.ClientTimeout:
        allowed, delay = self._deadlines, current_clock().loop_delay
        return aiohttp.ClientTimeout(
            total=delay(allowed.total_s),
            sock_connect=delay(allowed.connect_s),
            sock_read=delay(allowed.read_s),
            ceil_threshold=float("inf"),
        )

    async def _error(self, reply: aiohttp.ClientResponse) -> ModelError:
        body = await reply.read()
        wait_s = retry_after_s(reply.headers, current_clock().now())
        return error_for(reply.status, body, model=self._model, retry_after_s=wait_s)


class WireModel(Model):
    """A model behind HTTP at ``base_url``; a subclass says what its protocol looks like.

    ``headers``, the key among them, go with every call.
    """

    def __init__(
        self, *, base_url: str, model: str, api_key: str = "", endpoint: Endpoint | None = None
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._model = model
        self._endpoint = endpoint or Endpoint()
        signed = self._sign(api_key) if api_key else {}
        self.headers = {**self._headers(), **signed, **self._endpoint.headers}
        self._connections = Connections(model, self.headers, self._endpoint.deadlines)

    @property
    def name(self) -> str:
        """Who answers when a request names no model."""
        return self._model

    @property
    def listing_url(self) -> str:
        """Where the provider lists its models: who asks there learns whether a key is good."""
        return f"{self._base_url}/models"

    @abstractmethod
    def _sign(self, api_key: str) -> dict[str, str]:
        """Return the headers that carry the key."""

    def _headers(self) -> dict[str, str]:
        """Return the headers that every call has."""
        return {}

    @abstractmethod
    def _url(self, request: Request, *, stream: bool) -> str:
        """Return where ``request`` is posted."""

    @abstractmethod
    def _body(self, request: Request, *, stream: bool) -> dict[str, Any]:
        """Return what is posted."""

    @abstractmethod
    def _reading(self, request: Request) -> Reading:
        """Return what reads the answer."""

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Answer piece by piece; closing the generator closes the connection."""
        reading = self._reading(request)
        async with self._post(request, stream=True) as reply:
            async with aclosing(self._connections.events(reply)) as events:
                async for data in events:
                    chunk = reading.take(data)
                    if chunk is not None:
                        yield chunk
                    if reading.is_done:
                        await self._connections.drain(reply)
                        break
            yield reading.last()

    async def complete(self, request: Request) -> Response:
        """Answer whole, in one plain call."""
        reading = self._reading(request)
        async with self._post(request, stream=False) as reply:
            return reading.take_whole(await reply.read())

    async def close(self) -> None:
        """Close the connections."""
        await self._connections.close()

    @asynccontextmanager
    async def _post(
        self, request: Request, *, stream: bool
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        url, body = self._url(request, stream=stream), self._body(request, stream=stream)
        async with self._connections.post(url, body, request.headers) as reply:
            yield reply
