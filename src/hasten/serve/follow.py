"""Following a run over HTTP: start one and watch, or watch one there is, by SSE or WebSocket.

Owns the routes that stream. ``/api/run/stream`` starts the very same run as ``/api/run``; the
one answers with its events, the other at its end. Leaves the wire form to ``stream``.
"""

from __future__ import annotations

import functools
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, Query, Request, Response, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.requests import HTTPConnection  # noqa: TC002 - FastAPI reads the annotation
from pydantic import ValidationError

from hasten.caller import Caller
from hasten.graph.run import Run
from hasten.serve.auth import RuntimeOf, caller_of, runtime_of
from hasten.serve.runs import RunRequest, start, started
from hasten.serve.stream.feed import Feeds, Reading, RunFeed, parse_seen
from hasten.serve.stream.send import EventStream, send_by_websocket
from hasten.store.tickets import EXPIRES_S
from hasten.wire import Runtime

router = APIRouter(tags=["runs"])

Protocol = Literal["hasten", "ai-sdk", "ag-ui", "openai-responses"]

Pace = Annotated[
    float | None, Query(ge=0, le=1e6, description="Characters a second of an answer kept whole.")
]

OWN = ("app", "mode", "speed", "format", "pace", "ticket")
"""What of a query string is not an input."""


async def follower_of(connection: HTTPConnection) -> Caller:
    """Return who follows: by the ticket in the query, else by the key. Raises ``Unauthenticated``.

    A page cannot send a key with an EventSource or a WebSocket; it brings a ticket.
    """
    ticket = connection.query_params.get("ticket")
    if ticket is None:
        return await caller_of(connection)
    return await runtime_of(connection).tickets.redeem(ticket)


FollowerOf = Annotated[Caller, Depends(follower_of)]


def feeds_of(connection: HTTPConnection) -> Feeds:
    """Return the feeds that are read in this process."""
    feeds: Feeds = connection.app.state.feeds
    return feeds


FeedsOf = Annotated[Feeds, Depends(feeds_of)]


async def started_by_query(
    request: Request, runtime: RuntimeOf, caller: FollowerOf, response: Response
) -> Run:
    """Start what the query string asks for: ``app``, ``mode``, ``speed``, and the inputs.

    ``Cache-Control`` is not heeded: an EventSource sends ``no-cache`` unasked.
    """
    given = dict(request.query_params)
    own = {name: given.pop(name) for name in OWN if name in given}
    asked = {name: own[name] for name in ("app", "mode", "speed") if name in own}
    try:
        wanted = RunRequest.model_validate({**asked, "inputs": given})
    except ValidationError as error:
        raise RequestValidationError(
            [{**found, "loc": ("query", *found["loc"])} for found in error.errors()]
        ) from None
    return await start(runtime, caller, wanted, response)


def reading_of(
    runtime: RuntimeOf,
    after: Annotated[str, Query(description="The id of the last message that came.")] = "",
    last_event_id: Annotated[str, Header()] = "",
    pace: Pace = None,
) -> Reading:
    """Return from where on and how fast to read. Raises ``InvalidInput`` for a wrong id."""
    chars_per_s = runtime.settings.stream_pace if pace is None else pace
    return Reading(parse_seen(last_event_id or after), chars_per_s)


ReadingOf = Annotated[Reading, Depends(reading_of)]


@router.post("/api/run/stream", response_class=EventStream)
async def run_and_stream(
    run: Annotated[Run, Depends(started)],
    runtime: RuntimeOf,
    feeds: FeedsOf,
    format: Protocol = "hasten",  # noqa: A002 - its name in the query
    pace: Pace = None,
) -> EventStream:
    """Run an application and stream its events."""
    return _stream_new(run, runtime, feeds, format, pace)


@router.get("/api/run/stream", response_class=EventStream)
async def run_and_stream_by_query(
    run: Annotated[Run, Depends(started_by_query)],
    runtime: RuntimeOf,
    feeds: FeedsOf,
    format: Protocol = "hasten",  # noqa: A002 - its name in the query
    pace: Pace = None,
) -> EventStream:
    """Run an application whose inputs fit a query string, and stream its events."""
    return _stream_new(run, runtime, feeds, format, pace)


@router.get("/api/runs/{run_id}/events", response_class=EventStream)
async def stream_run(
    run_id: str,
    runtime: RuntimeOf,
    caller: FollowerOf,
    feeds: FeedsOf,
    reading: ReadingOf,
    format: Protocol = "hasten",  # noqa: A002 - its name in the query
) -> Response:
    """Stream a run's events: those stored, then live; `Last-Event-ID` or `after` resume.

    204, which tells an EventSource not to come again, once all of it has been seen.
    """
    record = await runtime.record(run_id, caller)
    opening = functools.partial(_open, runtime, feeds, run_id, caller, format)
    if record.ended_s is not None and reading.after.seq:
        async with opening() as feed:
            if await feed.has_ended_by(reading.after):
                return Response(status_code=204)
    return EventStream(opening(), reading, format)


@router.websocket("/api/runs/{run_id}/ws")
async def follow_by_websocket(
    socket: WebSocket,
    run_id: str,
    runtime: RuntimeOf,
    caller: FollowerOf,
    feeds: FeedsOf,
    reading: ReadingOf,
    format: Protocol = "hasten",  # noqa: A002 - its name in the query
) -> None:
    """Send a run's events as JSON messages; `{"type": "cancel"}` cancels it, closing does not."""
    await runtime.record(run_id, caller)
    await socket.accept()
    cancel = functools.partial(runtime.cancel, run_id, caller)
    async with _open(runtime, feeds, run_id, caller, format) as feed:
        await send_by_websocket(socket, feed, reading, cancel)


@router.post("/api/tickets")
async def make_ticket(
    runtime: RuntimeOf, caller: Annotated[Caller, Depends(caller_of)]
) -> dict[str, object]:
    """Return a ticket that opens one stream, once, in the caller's name: `?ticket=`."""
    return {"ticket": await runtime.tickets.issue(caller), "expires_in_s": EXPIRES_S}


def _stream_new(
    run: Run, runtime: Runtime, feeds: Feeds, protocol: Protocol, pace: float | None
) -> EventStream:
    chars_per_s = runtime.settings.stream_pace if pace is None else pace
    caller = run.options.caller
    opening = _open(runtime, feeds, run.run_id, caller, protocol)
    stream = EventStream(opening, Reading(chars_per_s=chars_per_s), protocol)
    stream.headers["Hasten-Run-Id"] = run.run_id
    return stream


def _open(
    runtime: Runtime, feeds: Feeds, run_id: str, caller: Caller, protocol: Protocol
) -> AbstractAsyncContextManager[RunFeed]:
    events = functools.partial(runtime.follow, run_id, caller)
    record_of = functools.partial(runtime.record, run_id, caller)
    return feeds.reading(run_id, protocol, events, record_of)
