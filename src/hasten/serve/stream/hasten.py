"""Hasten's own protocol, ``format=hasten``.

Owns the wire form of each event. Plain messages have the shape of the
discovery plan (phase 3.2), so a page that only knows ``onmessage`` gets phases,
progress and completion; spans, text and the rest come as named events beside
them. Leaves which events there are to ``trace/event``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hasten.serve.stream.message import Encoder, Message

if TYPE_CHECKING:
    from hasten.trace.event import RunEvent


class HastenEncoder(Encoder):
    """Keeps what the plan's messages repeat: how far the run is, which phases have begun."""

    tells_pieces = False

    def __init__(self) -> None:
        super().__init__()
        self._progress: dict[str, Any] = {"progress": 0.0, "estimated_remaining_ms": None}
        self._begun: set[str] = set()

    def tell(self, event: RunEvent) -> list[Message]:
        """Return the messages that tell of ``event``."""
        match event.type:
            case "run.started":
                shown = {"run_id": event.run_id, "started_s": event.at_s, **event.data}
                return [Message(shown, "run")]
            case "span.started":
                return self._span_started(event)
            case "span.finished":
                return [Message({"span_id": event.span_id, **event.data}, "span")]
            case "text" | "text.replaced" | "degraded" | "run.interrupted":
                return [Message({"at_s": event.at_s, **event.data}, event.type)]
            case "progress":
                return self._progressed(event)
            case "output":
                return [*self._piece_by_piece(event), Message(self._completed(event))]
            case "run.finished":
                return [Message(_last(event))]
        return []

    def gap(self, first: int, last: int | None) -> list[Message]:
        """Return what says that events are gone."""
        return [Message({"first": first, "last": last}, "gap")]

    def _span_started(self, event: RunEvent) -> list[Message]:
        known = ("kind", "name", "parent_id")
        span = {name: event.data[name] for name in known}
        attributes = {name: value for name, value in event.data.items() if name not in known}
        times = {"start_s": event.at_s, "end_s": None, "status": "running"}
        messages: list[Message] = []
        phase = attributes.get("phase")
        if phase and phase not in self._begun:
            self._begun.add(phase)
            messages.append(Message(self._in_progress(event, phase, event.data["name"])))
        shown = {"span_id": event.span_id, **span, **times, "attributes": attributes}
        return [*messages, Message(shown, "span")]

    def _progressed(self, event: RunEvent) -> list[Message]:
        data = event.data
        self._progress = {"progress": data["progress"], "estimated_remaining_ms": data["eta_ms"]}
        if not data["phase"]:
            return []
        return [Message(self._in_progress(event, data["phase"], data["current_step"]))]

    def _piece_by_piece(self, event: RunEvent) -> list[Message]:
        section = event.data["name"]
        return [
            Message({"at_s": event.at_s, "section": section, "text": text}, "text", len(text))
            for text in self.pieces(event)
        ]

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
