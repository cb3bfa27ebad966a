"""Reading server-sent events in tests, by the words of the HTML standard."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import aiohttp


class Sent(NamedTuple):
    """One event as a browser would see it."""

    name: str
    id: str
    data: Any


async def read_events(response: aiohttp.ClientResponse) -> AsyncIterator[Sent]:
    """Yield the events of a stream until it ends."""
    fields: dict[str, str] = {}
    async for raw in response.content:
        line = raw.decode().rstrip("\r\n")
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "data" in fields:
            data = json.loads(fields["data"])
            yield Sent(fields.get("event", "message"), fields.get("id", ""), data)
            fields = {}
        else:
            fields = {}
