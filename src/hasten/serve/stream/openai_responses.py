"""The streaming events of OpenAI's Responses API, ``format=openai-responses``.

Follows https://platform.openai.com/docs/api-reference/responses-streaming. Each section
is an output item, a message with one text part. The protocol has no words for phases,
progress or structured outputs; those who want them follow the run in another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hasten.serve.stream.message import Encoder, Message

if TYPE_CHECKING:
    from hasten.trace.event import RunEvent


class OpenaiResponsesEncoder(Encoder):
    """Keeps the response as it grows: its items in order, and which item each section is."""

    def __init__(self) -> None:
        super().__init__()
        self._response: dict[str, Any] = {}
        self._items: list[dict[str, Any]] = []
        self._item_of: dict[str, int] = {}
        self._count = 0

    def tell(self, event: RunEvent) -> list[Message]:
        """Return the messages that tell of ``event``."""
        data = event.data
        match event.type:
            case "run.started":
                self._response = _response_of(event)
                whole = {"response": self._now("in_progress")}
                return [
                    self._event("response.created", whole),
                    self._event("response.in_progress", whole),
                ]
            case "text":
                return self._write(data["section"], data["text"])
            case "text.replaced":
                return self._replace(data["section"], data["text"])
            case "output":
                return [
                    message
                    for piece in self.pieces(event)
                    for message in self._write(data["name"], piece, len(piece))
                ]
            case "run.finished":
                return self._end(data)
        return []

    def gap(self, first: int, last: int | None) -> list[Message]:
        """Return nothing: the protocol has no word for it, its last event holds what there is."""
        del first, last
        return []

    def _event(self, type_: str, fields: dict[str, Any], chars: int = 0) -> Message:
        number, self._count = self._count, self._count + 1
        return Message({"type": type_, "sequence_number": number, **fields}, type_, chars)

    def _now(self, status: str) -> dict[str, Any]:
        """Return the response as it stands; items that were replaced are not part of it."""
        items = [self._items[place] for place in self._item_of.values()]
        return {**self._response, "status": status, "output": [_item(one) for one in items]}

    def _write(self, section: str, text: str, chars: int = 0) -> list[Message]:
        begin: list[Message] = []
        if section not in self._item_of:
            begin = self._begin_item(section)
        place = self._item_of[section]
        item = self._items[place]
        item["text"] += text
        where = {"item_id": item["id"], "output_index": place, "content_index": 0}
        delta = {**where, "delta": text, "logprobs": []}
        return [*begin, self._event("response.output_text.delta", delta, chars)]

    def _begin_item(self, section: str) -> list[Message]:
        place = self._item_of[section] = len(self._items)
        item = {"id": f"msg_{self._response['id']}_{place}", "text": "", "status": "in_progress"}
        self._items.append(item)
        where = {"item_id": item["id"], "output_index": place, "content_index": 0}
        empty = {**_item(item), "content": []}
        return [
            self._event("response.output_item.added", {"output_index": place, "item": empty}),
            self._event("response.content_part.added", {**where, "part": _part("")}),
        ]

    def _replace(self, section: str, text: str) -> list[Message]:
        """Write it as another item; the one begun stays incomplete and out of the response."""
        begun = self._item_of.pop(section, None)
        ended = [] if begun is None else self._end_item(begun, "incomplete")
        return [*ended, *self._write(section, text)]

    def _end_item(self, place: int, status: str) -> list[Message]:
        item = self._items[place]
        item["status"] = status
        where = {"item_id": item["id"], "output_index": place, "content_index": 0}
        text = item["text"]
        return [
            self._event("response.output_text.done", {**where, "text": text, "logprobs": []}),
            self._event("response.content_part.done", {**where, "part": _part(text)}),
            self._event("response.output_item.done", {"output_index": place, "item": _item(item)}),
        ]

    def _end(self, data: dict[str, Any]) -> list[Message]:
        if data["error"]:
            error = {"code": "server_error", "message": data["error"]["message"]}
            response = {**self._now("failed"), "error": error}
            return [self._event("response.failed", {"response": response})]
        places = self._item_of.values()
        ends = [end for place in places for end in self._end_item(place, "completed")]
        return [*ends, self._event("response.completed", {"response": self._now("completed")})]


def _response_of(event: RunEvent) -> dict[str, Any]:
    return {
        "id": event.run_id,
        "object": "response",
        "created_at": event.at_s,
        "model": event.data["app"],
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {"run_id": event.run_id, "mode": event.data["mode"]},
        "parallel_tool_calls": True,
        "temperature": None,
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
    }


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": []}


def _item(item: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": item["id"],
        "type": "message",
        "role": "assistant",
        "status": item["status"],
        "content": [_part(item["text"])],
    }
