"""Recording: open spans and emit events into the run this task belongs to.

Owns the context variable that says which run and which span a task works in,
so nobody passes a recorder as an argument. Leaves storing events to whoever
listens (``log``). Steps, tools, models and caches call ``span`` and ``emit``;
outside a run both do nothing.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from hasten.errors import HastenError, StepTimeout
from hasten.trace.event import RunEvent, RunRecord
from hasten.trace.span import Span, SpanKind, SpanStatus

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from hasten.clock import Clock

TEXT_EVERY_S = 0.1
"""Pieces of text are merged to at most one event in this time, per section."""


class Place(NamedTuple):
    """Where a task works: which run's recorder, and inside which span."""

    recorder: Recorder
    span: Span


_place: ContextVar[Place | None] = ContextVar("hasten_place", default=None)


class Recorder:
    """Collects one run's spans and events and tells its listeners at once.

    A listener is a plain function called with each event in order; it must not
    block and must not raise. ``spans[0]`` is the run itself.
    """

    def __init__(self, run: RunRecord, clock: Clock) -> None:
        self.run = run
        self.clock = clock
        self.spans: list[Span] = []
        self.listeners: list[Callable[[RunEvent], None]] = []
        self._texts: dict[str, _Text] = {}
        self._offset_s = run.started_s - clock.monotonic()
        self.root = self._new_span("run", run.graph, None, {})

    def now(self) -> float:
        """Return seconds since the Unix epoch on the run's clock; never goes back."""
        return self._offset_s + self.clock.monotonic()

    def emit(self, type_: str, span_id: int, data: dict[str, Any]) -> None:
        """Tell every listener that something of ``type_`` happened inside ``span_id``."""
        event = RunEvent(self.run.run_id, type_, self.now(), span_id, data)
        for listener in self.listeners:
            listener(event)

    def start_span(
        self, kind: SpanKind, name: str, parent: Span, attributes: dict[str, Any]
    ) -> Span:
        """Open a span below ``parent`` and say so."""
        span = self._new_span(kind, name, parent.span_id, attributes)
        event_data = {"kind": kind, "name": name, "parent_id": span.parent_id}
        self.emit("span.started", span.span_id, {**event_data, **attributes})
        return span

    def finish_span(self, span: Span, status: SpanStatus) -> None:
        """Close ``span``, add its figures to the run's, and say so."""
        span.end_s = self.now()
        span.status = status
        self._count(span)
        if span.kind == "step":
            self.flush_text()
        data = {
            "kind": span.kind,
            "name": span.name,
            "parent_id": span.parent_id,
            "start_s": span.start_s,
            "end_s": span.end_s,
            "status": status,
            "attributes": span.attributes,
        }
        self.emit("span.finished", span.span_id, data)

    def text(self, section: str, text: str, span_id: int) -> None:
        """Pass on a piece of an answer, merged with its neighbours (``TEXT_EVERY_S``)."""
        now_s = self.now()
        pending = self._texts.get(section)
        if pending is None:
            if self.run.first_text_s is None:
                self.run.first_text_s = now_s - self.run.started_s
            self._texts[section] = _Text(now_s, span_id)
            self.emit("text", span_id, {"section": section, "text": text})
            return
        pending.parts.append(text)
        pending.span_id = span_id
        if now_s - pending.sent_s >= TEXT_EVERY_S:
            pending.sent_s = now_s
            self._send_text(section, pending)

    def flush_text(self) -> None:
        """Send the pieces of text still waiting to be merged."""
        for section, pending in self._texts.items():
            if pending.parts:
                self._send_text(section, pending)

    def _send_text(self, section: str, pending: _Text) -> None:
        data = {"section": section, "text": "".join(pending.parts)}
        pending.parts.clear()
        self.emit("text", pending.span_id, data)

    def _new_span(
        self, kind: SpanKind, name: str, parent_id: int | None, attributes: dict[str, Any]
    ) -> Span:
        span = Span(len(self.spans) + 1, parent_id, kind, name, self.now(), attributes=attributes)
        self.spans.append(span)
        return span

    def _count(self, span: Span) -> None:
        run, found = self.run, span.attributes
        if span.kind == "tool":
            run.tool_calls += 1
        elif span.kind == "model":
            run.llm_calls += 1
            run.tokens_in += found.get("tokens_in", 0)
            run.tokens_out += found.get("tokens_out", 0)
            run.cost_usd += found.get("cost_usd", 0.0)
        if found.get("cache_hit"):
            run.cache_hits += 1


class _Text:
    """One section's text on its way: when it was last sent, and what has come since."""

    __slots__ = ("parts", "sent_s", "span_id")

    def __init__(self, sent_s: float, span_id: int) -> None:
        self.sent_s = sent_s
        self.span_id = span_id
        self.parts: list[str] = []


class OpenSpan:
    """``with span(...) as here:`` – times its block; ``set()`` adds what is learnt on the way.

    The status is taken from how the block ends, unless ``set_status`` said otherwise.
    """

    __slots__ = ("_attributes", "_kind", "_name", "_place", "_status", "_token", "record")

    def __init__(self, kind: SpanKind, name: str, attributes: dict[str, Any]) -> None:
        self._kind: SpanKind = kind
        self._name = name
        self._attributes = attributes
        self._status: SpanStatus | None = None
        self._token: Token[Place | None] | None = None
        self.record: Span | None = None

    def __enter__(self) -> Self:
        place = self._place = _place.get()
        if place is not None:
            recorder = place.recorder
            self.record = recorder.start_span(self._kind, self._name, place.span, self._attributes)
            self._token = _place.set(Place(recorder, self.record))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._place is None or self.record is None or self._token is None:
            return
        _place.reset(self._token)
        status = self._status or "ok"
        if error is not None:
            status = status_of(error)
            self._attributes["error"] = describe(error)
        self._place.recorder.finish_span(self.record, status)

    def set(self, **attributes: object) -> None:
        """Add attributes to the span."""
        self._attributes.update(attributes)

    def set_status(self, status: SpanStatus) -> None:
        """Say how it ended when the block itself ends well, such as ``degraded``."""
        self._status = status


def span(kind: SpanKind, name: str, **attributes: Any) -> OpenSpan:
    """Return a context manager that records its block as a span of the current run."""
    return OpenSpan(kind, name, attributes)


def emit(type_: str, **data: Any) -> None:
    """Emit an event into the current run, if there is one."""
    place = _place.get()
    if place is not None:
        place.recorder.emit(type_, place.span.span_id, data)


def emit_text(section: str, text: str) -> None:
    """Pass a piece of an answer's ``section`` on to whoever follows the current run."""
    place = _place.get()
    if place is not None:
        place.recorder.text(section, text, place.span.span_id)


def current_recorder() -> Recorder | None:
    """Return the recorder of the run this task belongs to, if any."""
    place = _place.get()
    return None if place is None else place.recorder


def enter_run(recorder: Recorder) -> Token[Place | None]:
    """Make this task, and those it starts, part of the recorder's run."""
    return _place.set(Place(recorder, recorder.root))


def status_of(error: BaseException) -> SpanStatus:
    """Return how a span ended that was left by ``error``."""
    if isinstance(error, asyncio.CancelledError):
        return "cancelled"
    if isinstance(error, (TimeoutError, StepTimeout)):
        return "timeout"
    return "failed"


def describe(error: BaseException) -> dict[str, str]:
    """Return an error as the two words that are safe to store: its code and its message."""
    code = error.code if isinstance(error, HastenError) else type(error).__name__
    return {"code": code, "message": str(error)[:500]}
