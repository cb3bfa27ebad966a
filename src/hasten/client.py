"""A Hasten server from afar: start runs, follow them through broken connections, submit jobs.

Owns ``Client``, for ``async with`` and for ``with``, and what it gives. Leaves the format of
a stream to ``model/sse`` and the words in it to ``serve/stream/hasten``. It is the Python
twin of ``clients/typescript``.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, Self, TypeVar

import aiohttp
import msgspec

from hasten import errors
from hasten.clock import current_clock
from hasten.model.sse import EventReader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
    from types import TracebackType

T = TypeVar("T")

CONNECT_S = 10.0
SILENT_S = 60.0
"""A server that sends nothing for so long, not even a ping, is taken for gone."""

AT_ONCE_S = 0.1
"""A connection that brought something is taken up again after this; the others back off."""

RETRY_S = 2.0
RETRY_MOST_S = 15.0
FRUITLESS_MOST = 5
"""So many connections in a row that bring nothing are enough."""


class RunMessage(msgspec.Struct, frozen=True):
    """One message of a run. ``id`` says how much of the run was seen with it.

    ``event`` is ``run`` (it began), ``progress``, ``output``, ``text``, ``text.replaced``,
    ``span``, ``degraded``, ``gap`` or ``end``; docs/reference.md has the ``data`` of each.
    """

    id: str
    event: str
    data: dict[str, Any]


class Answer(msgspec.Struct, frozen=True):
    """What a run came to. ``reuse`` says what of it was computed before."""

    run_id: str
    status: str
    outputs: dict[str, Any]
    degraded_by: list[str]
    reuse: dict[str, Any]


class Client:
    """The server at ``url``, asked in the name of ``key``.

    ``async with Client(url) as client`` gives methods to await, ``with Client(url) as client``
    the same ones that wait (``BlockingClient``). Raises ``ServerUnavailable`` for a server that
    is gone, and of ``hasten.errors`` what the server says no with.
    """

    def __init__(self, url: str = "http://localhost:8000", key: str = "") -> None:
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._session: aiohttp.ClientSession | None = None
        self._blocking: BlockingClient | None = None

    async def __aenter__(self) -> Self:
        within = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=SILENT_S)
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=within)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def __enter__(self) -> BlockingClient:
        self._blocking = BlockingClient(self)
        return self._blocking

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._blocking is not None:
            self._blocking.close()

    async def run(self, app: str, inputs: Mapping[str, Any], **options: Any) -> Answer:
        """Run ``app`` and return its answer; ``options`` are those of ``stream``.

        Raises the error of a run that failed or was cancelled.
        """
        return await _answer_of(self.stream(app, inputs, **options))

    async def answer(self, run_id: str) -> Answer:
        """Return the answer of a run there is, as a job's, once it has ended; raises as ``run``."""
        return await _answer_of(self.follow(run_id))

    async def stream(
        self,
        app: str,
        inputs: Mapping[str, Any],
        *,
        mode: str | None = None,
        speed: float | None = None,
        reuse: bool = True,
    ) -> AsyncIterator[RunMessage]:
        """Start a run, once, and yield its messages to its end through broken connections.

        Leaving the loop leaves the run alone. Not ``reuse``: all of it is computed anew.
        """
        asked = {"app": app, "inputs": dict(inputs), "mode": mode, "speed": speed}
        body = {name: value for name, value in asked.items() if value is not None}
        headers = {} if reuse else {"Cache-Control": "no-cache"}
        response = await self._request("POST", "/api/run/stream", json=body, headers=headers)
        async for message in self._follow(response.headers["Hasten-Run-Id"], "", response):
            yield message

    async def follow(self, run_id: str, after: str = "") -> AsyncIterator[RunMessage]:
        """Yield the messages of a run there is, those after the id ``after``, to its end."""
        async for message in self._follow(run_id, after, None):
            yield message

    async def cancel(self, run_id: str) -> dict[str, Any]:
        """End a run, for everyone who follows it, and return its line."""
        return await self._json("POST", f"/api/runs/{run_id}/cancel")

    async def show(self, run_id: str) -> dict[str, Any]:
        """Return one run: its line, inputs, outputs and spans."""
        return await self._json("GET", f"/api/runs/{run_id}")

    async def runs(self, app: str = "", limit: int = 100) -> list[dict[str, Any]]:
        """Return the lines of the newest runs the caller may see."""
        which = {"limit": str(limit), **({"app": app} if app else {})}
        found: list[dict[str, Any]] = (await self._json("GET", "/api/runs", params=which))["runs"]
        return found

    async def submit(
        self, app: str, inputs: Mapping[str, Any], *, key: str = "", **options: Any
    ) -> dict[str, Any]:
        """Have ``app`` run later, durably, and return the job's line at once.

        ``follow`` and ``answer`` take its ``run_id``. The same ``key`` gives the same job.
        ``options`` are ``mode``, ``speed``, ``priority``, ``delay_s``, ``start_at`` (a time with
        its zone) and ``attempts``, as ``POST /api/jobs`` takes them.
        """
        body = {"app": app, "inputs": dict(inputs), **options}
        headers = {"Idempotency-Key": key} if key else {}
        return await self._json(
            "POST", "/api/jobs", json=msgspec.to_builtins(body), headers=headers
        )

    async def jobs(self, app: str = "", status: str = "", limit: int = 100) -> list[dict[str, Any]]:
        """Return the lines of the newest jobs the caller may see.

        A ``status`` is ``queued``, ``running``, ``done``, ``cancelled``, or ``dead``: it failed as
        often as it may, its ``error`` says why, and ``retry_job`` has it tried again.
        """
        wanted = {"app": app, "status": status, "limit": str(limit)}
        which = {name: value for name, value in wanted.items() if value}
        found: list[dict[str, Any]] = (await self._json("GET", "/api/jobs", params=which))["jobs"]
        return found

    async def show_job(self, job_id: str) -> dict[str, Any]:
        """Return one job: its line and inputs."""
        return await self._json("GET", f"/api/jobs/{job_id}")

    async def cancel_job(self, job_id: str) -> dict[str, Any]:
        """Cancel a job that waits or runs, and return its line."""
        return await self._json("POST", f"/api/jobs/{job_id}/cancel")

    async def retry_job(self, job_id: str) -> dict[str, Any]:
        """Queue a dead or cancelled job again, as a new run that goes on from its finished steps.

        Returns its line, with that run's ``run_id``. Raises ``InvalidInput`` for any other job.
        """
        return await self._json("POST", f"/api/jobs/{job_id}/retry")

    async def _follow(
        self, run_id: str, after: str, response: aiohttp.ClientResponse | None
    ) -> AsyncIterator[RunMessage]:
        fruitless, retry_s = 0, RETRY_S
        while True:
            reader = EventReader()
            try:
                response = response or await self._events(run_id, after)
                async for message in _messages(response, reader):
                    fruitless, after = 0, message.id or after
                    yield message
                    if message.event == "end":
                        return
                if response.status == 204:  # noqa: PLR2004 - no content: all of it was seen
                    return
            except errors.HastenError as error:
                if not error.retryable:
                    raise
            response = None
            if reader.retry_ms is not None:
                retry_s = reader.retry_ms / 1e3
            fruitless += 1
            if fruitless > FRUITLESS_MOST:
                text = f"the stream of run {run_id} broke {fruitless} times without anything new"
                raise errors.ServerUnavailable(text)
            wait_s = AT_ONCE_S if fruitless == 1 else retry_s * 2 ** (fruitless - 2)
            await current_clock().sleep(min(wait_s, RETRY_MOST_S))

    async def _events(self, run_id: str, after: str) -> aiohttp.ClientResponse:
        headers = {"Last-Event-ID": after} if after else {}
        return await self._request("GET", f"/api/runs/{run_id}/events", headers=headers)

    async def _json(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        response = await self._request(method, path, **options)
        try:
            found: dict[str, Any] = await response.json()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _gone(self._url, error) from error
        return found

    async def _request(self, method: str, path: str, **options: Any) -> aiohttp.ClientResponse:
        """Send a request; return the answer with its body unread. Raises what a no says."""
        if self._session is None:
            message = "open the client first: async with Client(url) as client"
            raise RuntimeError(message)
        try:
            response = await self._session.request(method, self._url + path, **options)
            if response.ok:
                return response
            body = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _gone(self._url, error) from error
        raise _problem_of(response.status, body)


class BlockingClient:
    """``Client`` for code that is not async: each method waits. It works on a thread of its own."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="hasten client")
        self._thread.daemon = True
        self._thread.start()
        self._wait(client.__aenter__())

    def close(self) -> None:
        """Close the connections and end the thread."""
        self._wait(self._client.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def run(self, app: str, inputs: Mapping[str, Any], **options: Any) -> Answer:
        """As ``Client.run``."""
        return self._wait(self._client.run(app, inputs, **options))

    def stream(self, app: str, inputs: Mapping[str, Any], **options: Any) -> Iterator[RunMessage]:
        """As ``Client.stream``."""
        return self._each(self._client.stream(app, inputs, **options))

    def follow(self, run_id: str, after: str = "") -> Iterator[RunMessage]:
        """As ``Client.follow``."""
        return self._each(self._client.follow(run_id, after))

    def cancel(self, run_id: str) -> dict[str, Any]:
        """As ``Client.cancel``."""
        return self._wait(self._client.cancel(run_id))

    def show(self, run_id: str) -> dict[str, Any]:
        """As ``Client.show``."""
        return self._wait(self._client.show(run_id))

    def runs(self, app: str = "", limit: int = 100) -> list[dict[str, Any]]:
        """As ``Client.runs``."""
        return self._wait(self._client.runs(app, limit))

    def answer(self, run_id: str) -> Answer:
        """As ``Client.answer``."""
        return self._wait(self._client.answer(run_id))

    def submit(
        self, app: str, inputs: Mapping[str, Any], *, key: str = "", **options: Any
    ) -> dict[str, Any]:
        """As ``Client.submit``."""
        return self._wait(self._client.submit(app, inputs, key=key, **options))

    def jobs(self, app: str = "", status: str = "", limit: int = 100) -> list[dict[str, Any]]:
        """As ``Client.jobs``."""
        return self._wait(self._client.jobs(app, status, limit))

    def show_job(self, job_id: str) -> dict[str, Any]:
        """As ``Client.show_job``."""
        return self._wait(self._client.show_job(job_id))

    def cancel_job(self, job_id: str) -> dict[str, Any]:
        """As ``Client.cancel_job``."""
        return self._wait(self._client.cancel_job(job_id))

    def retry_job(self, job_id: str) -> dict[str, Any]:
        """As ``Client.retry_job``."""
        return self._wait(self._client.retry_job(job_id))

    def _wait(self, doing: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(doing, self._loop).result()

    def _each(self, messages: AsyncIterator[RunMessage]) -> Iterator[RunMessage]:
        async def next_one() -> RunMessage | None:
            return await anext(messages, None)

        while (message := self._wait(next_one())) is not None:
            yield message


async def _answer_of(messages: AsyncIterator[RunMessage]) -> Answer:
    """Return what the messages of a run come to. Raises the error it ended with."""
    outputs: dict[str, Any] = {}
    async for message in messages:
        if message.event == "output":
            outputs.update(message.data["data"])
        if message.event == "end":
            end = message.data
            if end["error"]:
                raise _error_of(end["error"]["code"], end["error"]["message"])
            of_end = (end["degraded_by"], end["reuse"])
            return Answer(end["run_id"], end["status"], outputs, *of_end)
    text = "the stream ended before the run did"
    raise errors.ServerUnavailable(text)


async def _messages(
    response: aiohttp.ClientResponse, reader: EventReader
) -> AsyncIterator[RunMessage]:
    """Yield the messages of one connection. Raises ``ServerUnavailable`` when it breaks."""
    try:
        async for received in response.content.iter_any():
            for event in reader.events(received):
                data = msgspec.json.decode(event.data)
                yield RunMessage(event.id, event.name or _told_by(data), data)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise _gone(str(response.url.origin()), error) from error
    finally:
        response.close()


def _told_by(data: dict[str, Any]) -> str:
    """Name a message that has no name by what it tells."""
    if data.get("complete"):
        return "end"
    return "output" if data.get("status") == "completed" else "progress"


def _gone(url: str, error: Exception) -> errors.ServerUnavailable:
    return errors.ServerUnavailable(f"the server at {url} cannot be reached: {error!r}")


def _problem_of(status: int, body: bytes) -> errors.HastenError:
    """Return the error a problem (RFC 9457) tells of."""
    try:
        problem = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return errors.ServerUnavailable(f"the server answered {status}, in no form of ours")
    fields = problem.get("errors", [])
    if fields:
        first = fields[0]
        return errors.InvalidInput(
            problem["detail"], field=first["field"], allowed=first.get("allowed", ())
        )
    return _error_of(problem.get("type", "").rpartition(":")[2], problem.get("detail", ""))


_PLAIN = {
    kind.code: kind
    for kind in (
        errors.NotFound,
        errors.Unauthenticated,
        errors.Forbidden,
        errors.RunCancelled,
        errors.DeadlineExceeded,
        errors.NotCached,
        errors.FreshnessRefused,
        errors.StoreUnavailable,
        errors.ModelUnavailable,
        errors.ModelTimeout,
        errors.RateLimited,
    )
}


def _error_of(code: str, text: str) -> errors.HastenError:
    return _PLAIN.get(code, errors.HastenError)(text or code)
