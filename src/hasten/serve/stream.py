"""A run's events as a stream of server-sent events.

Owns the wire form of each event. Plain messages have the shape of the
discovery plan (phase 3.2), so a page that only knows ``onmessage`` gets phases,
progress and completion; spans, text and the rest come as named events beside
them. Leaves which events there are to ``trace/event`` and the transport
(pings, ``X-Accel-Buffering``) to FastAPI.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.sse import ServerSentEvent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from hasten.trace.event import RunEvent

RETRY_MS = 2_000
"""How long a browser waits before it connects again."""


async def as_messages(events: AsyncIterator[RunEvent]) -> AsyncIterator[ServerSentEvent]:
    """Yield each event that has a wire form, numbered by its ``seq``."""
    encoder = _Encoder()
    yield ServerSentEvent(retry=RETRY_MS)
    async for event in events:
        number = str(event.seq)
        for name, data in encoder.encode(event):
            yield ServerSentEvent(event=name, data=data, id=number)


Message = tuple[str | None, dict[str, Any]]
"""A message's name (``None``: a plain one) and its data."""


class _Encoder:
    """Keeps what the plan's messages repeat: how far the run is, which phases have begun."""

    def __init__(self) -> None:
        self._progress: dict[str, Any] = {"progress": 0.0, "estimated_remaining_ms": None}
        self._begun: set[str] = set()

    def encode(self, event: RunEvent) -> list[Message]:
        """Return the messages that tell of ``event``."""
        match event.type:
            case "run.started":
                shown = {"run_id": event.run_id, "started_s": event.at_s, **event.data}
                return [("run", shown)]
            case "span.started":
                return self._span_started(event)
            case "span.finished":
                return [("span", {"span_id": event.span_id, **event.data})]
            case "text" | "text.replaced" | "degraded":
                return [(event.type, {"at_s": event.at_s, **event.data})]
            case "progress":
                return self._progressed(event)
            case "output":
                return [(None, self._completed(event))]
            case "run.finished":
                return [(None, _last(event))]
        return []

    def _span_started(self, event: RunEvent) -> list[Message]:
        known = {"kind", "name", "parent_id"}
        span = {name: event.data[name] for name in known}
        attributes = {name: value for name, value in event.data.items() if name not in known}
        times = {"start_s": event.at_s, "end_s": None, "status": "running"}
        messages: list[Message] = []
        phase = attributes.get("phase")
        if phase and phase not in self._begun:
            self._begun.add(phase)
            messages.append((None, self._in_progress(event, phase, event.data["name"])))
        shown = {"span_id": event.span_id, **span, **times, "attributes": attributes}
        return [*messages, ("span", shown)]

    def _progressed(self, event: RunEvent) -> list[Message]:
        data = event.data
        self._progress = {"progress": data["progress"], "estimated_remaining_ms": data["eta_ms"]}
        if not data["phase"]:
            return []
        return [(None, self._in_progress(event, data["phase"], data["current_step"]))]

    def _completed(self, event: RunEvent) -> dict[str, Any]:
        return {
            "phase": event.data["phase"] or event.data["name"],
            "status": "completed",
            "data": {event.data["name"]: event.data["value"]},
            **self._progress,
            "run_id": event.run_id,
        }

    def _in_progress(self, event: RunEvent, phase: str, step: str) -> dict[str, Any]:
        return {
            "phase": phase,
            "status": "in_progress",
            **self._progress,
            "current_step": step,
            "run_id": event.run_id,
        }


def _last(event: RunEvent) -> dict[str, Any]:
    return {
        "run_id": event.run_id,
        "complete": True,
        "status": event.data["status"],
        "progress": 1.0,
        "estimated_remaining_ms": 0,
        "degraded_by": event.data["degraded_by"],
        "error": event.data["error"],
        "reuse": event.data["reuse"],
    }
