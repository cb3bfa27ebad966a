"""The UI message stream of Vercel's AI SDK, ``format=ai-sdk``; what stock ``useChat`` reads.

Follows https://ai-sdk.dev/docs/ai-sdk-ui/stream-protocol#data-stream-protocol, version ``v1``
of its header. Each section is a text part, each output a ``data-output`` part with its whole
value, each phase a ``data-phase`` part that is told anew as it goes on; a failed run is an
``error``, a cancelled one an ``abort``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hasten.serve.stream.message import Encoder, Message

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hasten.trace.event import RunEvent


class AiSdkEncoder(Encoder):
    """Keeps which text parts are open, by section, and how often each was begun."""

    headers: Mapping[str, str] = {"x-vercel-ai-ui-message-stream": "v1"}

    def __init__(self) -> None:
        super().__init__()
        self._open: dict[str, str] = {}
        self._begun: dict[str, int] = {}

    def tell(self, event: RunEvent) -> list[Message]:
        """Return the messages that tell of ``event``."""
        data = event.data
        match event.type:
            case "run.started":
                about = {name: data[name] for name in ("app", "mode", "simulated")}
                metadata = {"runId": event.run_id, **about}
                start = _part("start", messageId=event.run_id, messageMetadata=metadata)
                return [start, _part("start-step")]
            case "text":
                return self._write(data["section"], data["text"])
            case "text.replaced":
                return self._replace(data["section"], data["text"])
            case "progress":
                return _progressed(data)
            case "output":
                return self._put_out(event)
            case "degraded":
                return [_part("data-degraded", data=data)]
            case "run.finished":
                return self._end(data)
        return []

    def gap(self, first: int, last: int | None) -> list[Message]:
        """Return what says that events are gone."""
        return [_part("data-gap", data={"first": first, "last": last})]

    def _write(self, section: str, text: str, chars: int = 0) -> list[Message]:
        begin: list[Message] = []
        if section not in self._open:
            times = self._begun[section] = self._begun.get(section, 0) + 1
            self._open[section] = section if times == 1 else f"{section}#{times}"
            begin = [_part("text-start", id=self._open[section])]
        delta = {"type": "text-delta", "id": self._open[section], "delta": text}
        return [*begin, Message(delta, chars=chars)]

    def _replace(self, section: str, text: str) -> list[Message]:
        """Write it as another part; a part can be ended, not taken back, so say which is void."""
        void = self._open.pop(section, None)
        ended = [] if void is None else [_part("text-end", id=void)]
        said = _part("data-replaced", data={"section": section, "id": void})
        return [*ended, said, *self._write(section, text)]

    def _put_out(self, event: RunEvent) -> list[Message]:
        name, phase = event.data["name"], event.data["phase"]
        told = [
            message
            for piece in self.pieces(event)
            for message in self._write(name, piece, len(piece))
        ]
        output = {"name": name, "phase": phase, "value": event.data["value"]}
        return [*told, _part("data-output", id=name, data=output)]

    def _end(self, data: dict[str, Any]) -> list[Message]:
        ends = [_part("text-end", id=part) for part in self._open.values()]
        if data["status"] == "cancelled":
            return [*ends, _part("abort"), _DONE]
        last = _part("finish", messageMetadata={"status": data["status"], "reuse": data["reuse"]})
        if data["status"] == "failed":
            return [*ends, _part("error", errorText=(data["error"] or {})["message"]), last, _DONE]
        return [*ends, _part("finish-step"), last, _DONE]


_DONE = Message("[DONE]")


def _part(type_: str, **fields: Any) -> Message:
    return Message({"type": type_, **fields})


def _progressed(data: dict[str, Any]) -> list[Message]:
    if not data["phase"]:
        return []
    shown = {
        "phase": data["phase"],
        "current_step": data["current_step"],
        "progress": data["progress"],
        "estimated_remaining_ms": data["eta_ms"],
    }
    return [_part("data-phase", id=data["phase"], data=shown)]
