"""The Agent-User Interaction protocol, ``format=ag-ui``.

Follows https://docs.ag-ui.com/concepts/events (protocol 1.0). Phases are its steps,
each section is an assistant's message, outputs and progress are its shared state, told as
JSON patches (RFC 6902); what it has no word for comes as ``CUSTOM``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hasten.serve.stream.message import Encoder, Message

if TYPE_CHECKING:
    from hasten.trace.event import RunEvent


class AgUiEncoder(Encoder):
    """Keeps the messages written so far and which steps are open."""

    def __init__(self) -> None:
        super().__init__()
        self._texts: dict[str, str] = {}
        self._steps: dict[str, bool] = {}

    def tell(self, event: RunEvent) -> list[Message]:
        """Return the messages that tell of ``event``."""
        data = event.data
        match event.type:
            case "run.started":
                nothing: dict[str, Any] = {
                    "progress": 0,
                    "eta_ms": None,
                    "current_step": "",
                    "outputs": {},
                }
                started = _event("RUN_STARTED", threadId=event.run_id, runId=event.run_id)
                return [started, _event("STATE_SNAPSHOT", snapshot=nothing)]
            case "span.started":
                return self._begin_step(data.get("phase", ""))
            case "text":
                return self._write(event.run_id, data["section"], data["text"])
            case "text.replaced":
                return self._replace(event.run_id, data["section"], data["text"])
            case "progress":
                told = ("progress", "eta_ms", "current_step")
                return [_patch(*(("replace", f"/{name}", data[name]) for name in told))]
            case "output":
                return self._put_out(event)
            case "degraded":
                return [_event("CUSTOM", name="degraded", value=data)]
            case "run.finished":
                return self._end(event)
        return []

    def gap(self, first: int, last: int | None) -> list[Message]:
        """Return what says that events are gone."""
        return [_event("CUSTOM", name="gap", value={"first": first, "last": last})]

    def _begin_step(self, phase: str) -> list[Message]:
        if not phase or phase in self._steps:
            return []
        self._steps[phase] = True
        return [_event("STEP_STARTED", stepName=phase)]

    def _end_step(self, phase: str) -> list[Message]:
        if not self._steps.get(phase):
            return []
        self._steps[phase] = False
        return [_event("STEP_FINISHED", stepName=phase)]

    def _write(self, run_id: str, section: str, text: str, chars: int = 0) -> list[Message]:
        message_id = _id(run_id, section)
        begin: list[Message] = []
        if section not in self._texts:
            begin = [_event("TEXT_MESSAGE_START", messageId=message_id, role="assistant")]
        self._texts[section] = self._texts.get(section, "") + text
        delta = {"type": "TEXT_MESSAGE_CONTENT", "messageId": message_id, "delta": text}
        return [*begin, Message(delta, chars=chars)]

    def _replace(self, run_id: str, section: str, text: str) -> list[Message]:
        if section not in self._texts:
            return self._write(run_id, section, text)
        self._texts[section] = text
        messages = [
            {"id": _id(run_id, one), "role": "assistant", "content": content}
            for one, content in self._texts.items()
        ]
        return [_event("MESSAGES_SNAPSHOT", messages=messages)]

    def _put_out(self, event: RunEvent) -> list[Message]:
        name = event.data["name"]
        told = [
            message
            for piece in self.pieces(event)
            for message in self._write(event.run_id, name, piece, len(piece))
        ]
        path = "/outputs/" + name.replace("~", "~0").replace("/", "~1")
        return [
            *told,
            _patch(("add", path, event.data["value"])),
            *self._end_step(event.data["phase"]),
        ]

    def _end(self, event: RunEvent) -> list[Message]:
        data = event.data
        if data["status"] == "failed":
            error = data["error"] or {}
            return [_event("RUN_ERROR", message=error["message"], code=error["code"])]
        ends = [
            _event("TEXT_MESSAGE_END", messageId=_id(event.run_id, section))
            for section in self._texts
        ]
        steps = [end for phase in list(self._steps) for end in self._end_step(phase)]
        outcome = {"type": "cancelled" if data["status"] == "cancelled" else "success"}
        ids = {"threadId": event.run_id, "runId": event.run_id}
        return [*ends, *steps, _event("RUN_FINISHED", **ids, outcome=outcome)]


def _id(run_id: str, section: str) -> str:
    return f"{run_id}/{section}"


def _event(type_: str, **fields: Any) -> Message:
    return Message({"type": type_, **fields})


def _patch(*operations: tuple[str, str, Any]) -> Message:
    delta = [{"op": op, "path": path, "value": value} for op, path, value in operations]
    return _event("STATE_DELTA", delta=delta)
