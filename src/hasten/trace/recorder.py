"""Recording: open spans and emit events into the run this task belongs to.

Owns the context variable that says which run and which span a task works in,
so nobody passes a recorder as an argument. Leaves storing events to whoever
listens (``log``). Steps, tools, models and caches call ``span`` and ``emit``;
outside a run both do nothing.
"""

from __future__ import annotations

import asyncio
import logging
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Self

import msgspec

from hasten.errors import (
    DeadlineExceeded,
    HastenError,
    ModelTimeout,
    RunCancelled,
    StepTimeout,
)
from hasten.trace.event import RunEvent, RunRecord
from hasten.trace.span import Span, SpanKind, SpanStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from hasten.clock import Clock

_log = logging.getLogger(__name__)

TEXT_EVERY_S = 0.1
"""Pieces of text are merged to at most one event in this time, per section."""


INTERRUPTED = {"code": "interrupted", "message": "the process that ran it ended"}
"""The error of what was under way in a process that is gone, as ``describe`` has errors."""


class Place(msgspec.Struct, frozen=True):
    """Where a task works: which run's recorder, inside which span, and what lies around it."""

    recorder: Recorder
    span: Span
    outer: Place | None = None


_place: ContextVar[Place | None] = ContextVar("hasten_place", default=None)


class Recorder:
    """Collects one run's spans and events and tells its listeners at once.

    A listener is a plain function called with each event in order; it must not
    block, and what it raises is logged and stops nothing. ``spans[0]`` is the
    run itself. Everything happens on the run's event loop; other threads must
    not call in.
    """

    def __init__(self, run: RunRecord, clock: Clock) -> None:
        self.run = run
        self.clock = clock
        self.listeners: list[Callable[[RunEvent], None]] = []
        self.root = Span(1, None, "run", run.graph, run.started_s)
        self.spans: list[Span] = [self.root]
        self._texts: dict[str, _Text] = {}
        self._monotonic = clock.monotonic
        self._offset_s = run.started_s - clock.monotonic()

    def resume(self, earlier: Sequence[RunEvent]) -> None:
        """Go on after the events of an earlier attempt: with its spans, figures and outputs.

        Spans that were open then were cut off; they end, as ``cancelled``, where it was last
        heard of.
        """
        for event in earlier:
            self._take_over(event)
        last_s = earlier[-1].at_s
        self._offset_s = max(self.clock.now(), last_s) - self._monotonic()
        for span in self.spans[1:]:
            if span.end_s is None:
                span.end_s, span.status = last_s, "cancelled"
                self._count(span)
                self._tell_finished(span)

    def _take_over(self, event: RunEvent) -> None:
        run, data = self.run, event.data
        match event.type:
            case "span.started":
                named = {"kind", "name", "parent_id", "start_s"}
                attributes = {name: value for name, value in data.items() if name not in named}
                found = {name: data[name] for name in named}
                self.spans.append(Span(event.span_id, **found, attributes=attributes))
            case "span.finished":
                span = self.spans[event.span_id - 1]
                span.end_s, span.status = data["end_s"], data["status"]
                span.attributes = data["attributes"]
                self._count(span)
            case "text":
                if run.first_text_s is None:
                    run.first_text_s = event.at_s - run.started_s
            case "output":
                run.outputs[data["name"]] = data["value"]
            case "degraded":
                run.degraded_by.append(f"{data['step']}: {data['reason']}")

    def now(self) -> float:
        """Return seconds since the Unix epoch on the run's clock; never goes back."""
        return self._offset_s + self._monotonic()

    def emit(self, type_: str, span_id: int, data: dict[str, Any]) -> None:
        """Tell every listener that something of ``type_`` happened inside ``span_id``."""
        self._tell(RunEvent(self.run.run_id, type_, self.now(), span_id, data))

    def start_span(
        self, kind: SpanKind, name: str, parent: Span, attributes: dict[str, Any]
    ) -> Span:
        """Open a span below ``parent`` and say so."""
        start_s, parent_id = self.now(), parent.span_id
        span = Span(len(self.spans) + 1, parent_id, kind, name, start_s, attributes=attributes)
        self.spans.append(span)
        if self.listeners:
            data = {
                **attributes,
                "kind": kind,
                "name": name,
                "parent_id": parent_id,
                "start_s": start_s,
            }
            self._tell(RunEvent(self.run.run_id, "span.started", start_s, span.span_id, data))
        return span

    def finish_span(self, span: Span, status: SpanStatus) -> None:
        """Close ``span``, add its figures to the run's, and say so, after the text it wrote."""
        if self._texts:
            self._send_texts_of(span)
        span.end_s = self.now()
        span.status = status
        self._count(span)
        if self.listeners:
            self._tell_finished(span)

    def text(self, section: str, text: str, span_id: int) -> None:
        """Pass on a piece of an answer: the first at once, then merged (``TEXT_EVERY_S``)."""
        if not text:
            return
        if self.run.first_text_s is None:
            self.run.first_text_s = self.now() - self.run.started_s
        pending = self._texts.get(section)
        if pending is None:
            self._texts[section] = _Text(span_id, self._call_when_due(section))
            self.emit("text", span_id, {"section": section, "text": text})
        else:
            pending.parts.append(text)
            pending.span_id = span_id

    def degrade(self, step: str, reason: str, span: Span) -> None:
        """Note that ``step`` went on without what it wanted, and say so inside ``span``, once."""
        line = f"{step}: {reason}"
        if line in self.run.degraded_by:
            return
        self.run.degraded_by.append(line)
        self.emit("degraded", span.span_id, {"step": step, "reason": reason})

    def flush_text(self) -> None:
        """Send the pieces of text still waiting to be merged."""
        for section, pending in self._texts.items():
            pending.timer.cancel()
            self._send_text(section, pending)
        self._texts.clear()

    def _tell_finished(self, span: Span) -> None:
        end_s = self.now() if span.end_s is None else span.end_s
        data = {
            "kind": span.kind,
            "name": span.name,
            "parent_id": span.parent_id,
            "start_s": span.start_s,
            "end_s": end_s,
            "status": span.status,
            "attributes": dict(span.attributes),
        }
        self._tell(RunEvent(self.run.run_id, "span.finished", end_s, span.span_id, data))

    def _tell(self, event: RunEvent) -> None:
        for listener in self.listeners:
            try:
                listener(event)
            except Exception:  # noqa: BLE001 - a reader's fault is not the run's
                _log.exception("run %s: a listener failed on %s", event.run_id, event.type)

    def _call_when_due(self, section: str) -> asyncio.TimerHandle:
        delay_s = self.clock.loop_delay(TEXT_EVERY_S)
        return asyncio.get_running_loop().call_later(delay_s, self._text_due, section)

    def _text_due(self, section: str) -> None:
        """Send what has come since the section's last event; one that paused starts afresh."""
        pending = self._texts[section]
        if pending.parts:
            pending.timer = self._call_when_due(section)
            self._send_text(section, pending)
        else:
            del self._texts[section]

    def _send_texts_of(self, span: Span) -> None:
        for section, pending in self._texts.items():
            if pending.span_id == span.span_id:
                self._send_text(section, pending)

    def _send_text(self, section: str, pending: _Text) -> None:
        if pending.parts:
            data = {"section": section, "text": "".join(pending.parts)}
            pending.parts.clear()
            self.emit("text", pending.span_id, data)

    def _count(self, span: Span) -> None:
        run, found = self.run, span.attributes
        if span.kind == "tool":
            run.tool_calls += 1
        elif span.kind == "model":
            run.llm_calls += 1
            run.tokens_in += found.get("tokens_in", 0)
            run.tokens_out += found.get("tokens_out", 0)
            run.cost_usd += found.get("cost_usd", 0.0)
            run.simulated = run.simulated or found.get("simulated", False)
        if found.get("cache_hit"):
            run.cache_hits += 1


class _Text:
    """One section's text on its way: the span that writes it, and what waits for the timer."""

    __slots__ = ("parts", "span_id", "timer")

    def __init__(self, span_id: int, timer: asyncio.TimerHandle) -> None:
        self.span_id = span_id
        self.timer = timer
        self.parts: list[str] = []


class OpenSpan:
    """``with span(...) as here:`` times its block; ``set()`` adds what is learnt on the way.

    The status is taken from how the block ends, unless ``set_status`` said otherwise.
    """

    __slots__ = ("_attributes", "_kind", "_name", "_recorder", "_status", "record")

    def __init__(self, kind: SpanKind, name: str, attributes: dict[str, Any]) -> None:
        self._kind: SpanKind = kind
        self._name = name
        self._attributes = attributes
        self._status: SpanStatus = "ok"
        self._recorder: Recorder | None = None
        self.record: Span | None = None

    def __enter__(self) -> Self:
        place = _innermost()
        if place is not None:
            recorder = self._recorder = place.recorder
            self.record = recorder.start_span(self._kind, self._name, place.span, self._attributes)
            _place.set(Place(recorder, self.record, place))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._recorder is None or self.record is None:
            return
        if error is not None:
            self._status = status_of(error)
            self._attributes["error"] = describe(error)
        self._recorder.finish_span(self.record, self._status)
        _place.set(_innermost())

    def set(self, **attributes: object) -> None:
        """Add attributes to the span."""
        self._attributes.update(attributes)

    @property
    def is_degraded(self) -> bool:
        """Whether a step called inside it fell back."""
        return "degraded" in self._attributes

    def set_status(self, status: SpanStatus) -> None:
        """Say how it ended when the block itself ends well, such as ``degraded``."""
        self._status = status


def _innermost() -> Place | None:
    """Return the innermost span around this task that is still open.

    The variable may name one that is over: a stream's span can end after one
    its reader opened later, or in another task, and work can outlive its span.
    """
    place = _place.get()
    while place is not None and place.span.end_s is not None:
        place = place.outer
    return place


def span(kind: SpanKind, name: str, **attributes: Any) -> OpenSpan:
    """Return a context manager that records its block as a span of the current run."""
    return OpenSpan(kind, name, attributes)


def emit(type_: str, **data: Any) -> None:
    """Emit an event into the current run, if there is one."""
    place = _innermost()
    if place is not None:
        place.recorder.emit(type_, place.span.span_id, data)


def degrade(step: str, reason: str) -> None:
    """Note that ``step``, called inside this task's span, fell back; mark the spans around it."""
    place = _innermost()
    if place is None:
        return
    place.recorder.degrade(step, reason, place.span)
    while place is not None:
        place.span.attributes["degraded"] = True
        place = place.outer


def emit_text(section: str, text: str) -> None:
    """Pass a piece of an answer's ``section`` on to whoever follows the current run."""
    place = _innermost()
    if place is not None:
        place.recorder.text(section, text, place.span.span_id)


def current_recorder() -> Recorder | None:
    """Return the recorder of the run this task belongs to, if any."""
    place = _innermost()
    return None if place is None else place.recorder


def enter_run(recorder: Recorder) -> None:
    """Make this task, and those it starts, part of the recorder's run."""
    _place.set(Place(recorder, recorder.root))


def status_of(error: BaseException) -> SpanStatus:
    """Return how a span ended that was left by ``error``."""
    if isinstance(error, (asyncio.CancelledError, GeneratorExit, RunCancelled)):
        return "cancelled"  # a generator is left by GeneratorExit when nobody reads on
    if isinstance(error, (TimeoutError, StepTimeout, ModelTimeout, DeadlineExceeded)):
        return "timeout"
    return "failed"


def describe(error: BaseException) -> dict[str, str]:
    """Return an error as the two words that are safe to store: its code and its message."""
    code = error.code if isinstance(error, HastenError) else type(error).__name__
    return {"code": code, "message": str(error)[:500]}
