"""Server-sent events, read as bytes arrive (WHATWG HTML, "Server-sent events", 9.2.5 and 9.2.6).

Owns cutting bytes into the ``data`` of events: any line ending, frames and
characters split anywhere, comments, data of several lines. Leaves what the
data means to the wires. Pure.
"""

from __future__ import annotations

import re

MAX_EVENT_BYTES = 4 * 1024 * 1024
"""An event longer than this is not one."""

_LINE_END = re.compile(rb"\r\n|\n|\r(?!$)")
_BOM = b"\xef\xbb\xbf"


class EventReader:
    """Takes bytes as they come, gives the data of each event once it is whole.

    Fields other than ``data`` are passed over. An event that is not closed by
    an empty line is not given.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[str] = []
        self._is_start = True

    def feed(self, received: bytes) -> list[str]:
        """Return the data of the events that ``received`` completes, in order.

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
        return [data for data in found if data is not None]

    def _take(self, line: str) -> str | None:
        """Take one line; return the event's data if it ends one that has any."""
        if not line:
            data, self._data = self._data, []
            return "\n".join(data) if data else None
        field, _, value = line.partition(":")
        if field == "data":
            self._data.append(value.removeprefix(" "))
        return None
