"""Server-sent events, read as bytes arrive (WHATWG HTML, "Server-sent events", 9.2.5 and 9.2.6).

Owns cutting bytes into events: any line ending, frames and characters split anywhere,
comments, data of several lines. Leaves what the data means to the wires and to
``client``. Pure.
"""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_EVENT_BYTES = 4 * 1024 * 1024
"""An event longer than this is not one."""

_LINE_END = re.compile(rb"\r\n|\n|\r(?!$)")
_BOM = b"\xef\xbb\xbf"


class SentEvent(NamedTuple):
    """One event: its data, its name if it has one, and the last id that was told by then."""

    data: str
    name: str
    id: str


class EventReader:
    """Takes bytes as they come, gives each event once it is whole.

    Fields other than ``data``, ``event``, ``id`` and ``retry`` are passed over. An event that is
    not closed by an empty line is not given. ``retry_ms`` is how long the sender wants
    a reader to wait before it comes back, if it said so.
    """

    def __init__(self) -> None:
        self.retry_ms: int | None = None
        self._rest = b""
        self._data: list[str] = []
        self._name = self._id = ""
        self._is_start = True

    def feed(self, received: bytes) -> list[str]:
        """Return the data of the events that ``received`` completes, in order. As ``events``."""
        return [event.data for event in self.events(received)]

    def events(self, received: bytes) -> list[SentEvent]:
        """Return the events that ``received`` completes, in order.

        Raises ``ValueError`` for bytes that are not UTF-8 or never end a line.
        """
        self._rest += received
        if self._is_start:
            if len(self._rest) < len(_BOM) and _BOM.startswith(self._rest):
                return []
            self._rest = self._rest.removeprefix(_BOM)
            self._is_start = False
        *lines, self._rest = _LINE_END.split(self._rest)
        if len(self._rest) > MAX_EVENT_BYTES:
            message = f"a line of more than {MAX_EVENT_BYTES} bytes"
            raise ValueError(message)
        found = (self._take(line.decode()) for line in lines)
        return [event for event in found if event is not None]

    def _take(self, line: str) -> SentEvent | None:
        """Take one line; return the event if it ends one that has any data."""
        if not line:
            data, self._data = self._data, []
            name, self._name = self._name, ""
            return SentEvent("\n".join(data), name, self._id) if data else None
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            self._data.append(value)
        elif field == "event":
            self._name = value
        elif field == "id" and "\0" not in value:
            self._id = value
        elif field == "retry" and value.isascii() and value.isdigit():
            self.retry_ms = int(value)
        return None
