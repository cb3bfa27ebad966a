"""Following a run over HTTP: start one and watch, or watch one there is, by SSE or WebSocket.

Owns the routes that stream. ``/api/run/stream`` starts the very same run as ``/api/run``; the
one answers with its events, the other at its end. Leaves the wire form to ``stream``.
"""

from __future__ import annotations

import functools
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Literal, NamedTuple

from fastapi import APIRouter, Depends, Header, Query, Request, Response, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.requests import HTTPConnection  # noqa: TC002 - FastAPI reads the annotation
from pydantic import ValidationError

from hasten.caller import Caller
from hasten.graph.run import Run
from hasten.serve.auth import CallerOf, RuntimeOf, caller_of, runtime_of
from hasten.serve.runs import DirectivesOf, RunRequest, start
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
    runtime = await runtime_of(connection)
    return await runtime.tickets.redeem(ticket)


FollowerOf = Annotated[Caller, Depends(follower_of)]


async def feeds_of(connection: HTTPConnection) -> Feeds:
    """Return the feeds that are read in this process."""
    feeds: Feeds = connection.app.state.feeds
    return feeds


FeedsOf = Annotated[Feeds, Depends(feeds_of)]


async def asked_by_query(request: Request) -> RunRequest:
    """Return what the query string asks for: ``app``, ``mode``, ``speed``, and the inputs."""
    given = dict(request.query_params)
    own = {name: given.pop(name) for name in OWN if name in given}
    asked = {name: own[name] for name in ("app", "mode", "speed") if name in own}
    try:
        return RunRequest.model_validate({**asked, "inputs": given})
    except ValidationError as error:
        raise RequestValidationError(
            [{**found, "loc": ("query", *found["loc"])} for found in error.errors()]
        ) from None


class View(NamedTuple):
    """How a run is shown: in which protocol, an answer kept whole at which pace (0: at once)."""

    protocol: Protocol
    chars_per_s: float


async def view_of(
    runtime: RuntimeOf,
    format: Protocol = "hasten",  # noqa: A002 - its name in the query
    pace: Pace = None,
) -> View:
    """Return how the query wants a run shown."""
    return View(format, runtime.settings.stream_pace if pace is None else pace)


ViewOf = Annotated[View, Depends(view_of)]


async def reading_of(
    view: ViewOf,
    after: Annotated[str, Query(description="The id of the last message that came.")] = "",
    last_event_id: Annotated[str, Header()] = "",
) -> Reading:
    """Return from where on and how fast to read. Raises ``InvalidInput`` for a wrong id."""
    return Reading(parse_seen(last_event_id or after), view.chars_per_s)


ReadingOf = Annotated[Reading, Depends(reading_of)]


@router.post("/api/run/stream", response_class=EventStream)
async def run_and_stream(
    asked: RunRequest,
    view: ViewOf,
    runtime: RuntimeOf,
    caller: CallerOf,
    feeds: FeedsOf,
    directives: DirectivesOf,
) -> EventStream:
    """Run an application and stream its events."""
    run = await start(runtime, caller, asked, directives)
    return _stream_new(run, runtime, feeds, view)


@router.get("/api/run/stream", response_class=EventStream)
async def run_and_stream_by_query(
    asked: Annotated[RunRequest, Depends(asked_by_query)],
    view: ViewOf,
    runtime: RuntimeOf,
    caller: FollowerOf,
    feeds: FeedsOf,
    last_event_id: Annotated[str, Header()] = "",
) -> Response:
    """Run an application whose inputs fit a query string, and stream its events.

    ``Cache-Control`` is not heeded: an EventSource sends ``no-cache`` unasked. One that comes
    again gets 204, or it would start the run anew: its first message says where it goes on.
    """
    if last_event_id:
        return Response(status_code=204)
    return _stream_new(await start(runtime, caller, asked), runtime, feeds, view)


@router.get("/api/runs/{run_id}/events", response_class=EventStream)
async def stream_run(
    run_id: str,
    runtime: RuntimeOf,
    caller: FollowerOf,
    feeds: FeedsOf,
    view: ViewOf,
    reading: ReadingOf,
) -> Response:
    """Stream a run's events: those stored, then live; `Last-Event-ID` or `after` resume.

    204, which tells an EventSource not to come again, once all of it has been seen.
    """
    record = await runtime.record(run_id, caller)
    opening = functools.partial(_open, runtime, feeds, run_id, caller, view.protocol)
    if record.ended_s is not None and reading.after.seq:
        async with opening() as feed:
            if await feed.has_ended_by(reading.after):
                return Response(status_code=204)
    return EventStream(opening(), reading, view.protocol)


@router.websocket("/api/runs/{run_id}/ws")
async def follow_by_websocket(
    socket: WebSocket,
    run_id: str,
    runtime: RuntimeOf,
    caller: FollowerOf,
    feeds: FeedsOf,
    view: ViewOf,
    reading: ReadingOf,
) -> None:
    """Send a run's events as JSON messages; `{"type": "cancel"}` cancels it, closing does not."""
    await runtime.record(run_id, caller)
    await socket.accept()
    cancel = functools.partial(runtime.cancel, run_id, caller)
    async with _open(runtime, feeds, run_id, caller, view.protocol) as feed:
        await send_by_websocket(socket, feed, reading, cancel)


@router.post("/api/tickets")
async def make_ticket(runtime: RuntimeOf, caller: CallerOf) -> dict[str, object]:
    """Return a ticket that opens one stream, once, in the caller's name: `?ticket=`."""
    return {"ticket": await runtime.tickets.issue(caller), "expires_in_s": EXPIRES_S}


def _stream_new(run: Run, runtime: Runtime, feeds: Feeds, view: View) -> EventStream:
    opening = _open(runtime, feeds, run.run_id, run.options.caller, view.protocol)
    stream = EventStream(opening, Reading(chars_per_s=view.chars_per_s), view.protocol)
    stream.headers["Hasten-Run-Id"] = run.run_id
    return stream


def _open(
    runtime: Runtime, feeds: Feeds, run_id: str, caller: Caller, protocol: Protocol
) -> AbstractAsyncContextManager[RunFeed]:
    events = functools.partial(runtime.follow, run_id, caller)
    record_of = functools.partial(runtime.record, run_id, caller)
    return feeds.reading(run_id, protocol, events, record_of)
