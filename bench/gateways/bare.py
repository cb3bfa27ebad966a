"""Bare Granian: the least a server can do over each interface, with a stored answer's bytes."""

from __future__ import annotations

import sys
from typing import Any

from bench.gateways.upstream import PLAIN


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Read the request and answer."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    await receive()
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": PLAIN})


async def rsgi(_scope: Any, protocol: Any) -> None:
    """Read the request and answer."""
    await protocol()
    protocol.response_bytes(200, [("content-type", "application/json")], PLAIN)


if __name__ == "__main__":
    from granian import Granian
    from granian.constants import Interfaces
    from granian.log import LogLevels

    kind, port = sys.argv[1:]
    Granian(
        f"bench.gateways.bare:{kind}",
        port=int(port),
        interface=Interfaces[kind.upper()],
        log_level=LogLevels.error,
    ).serve()
