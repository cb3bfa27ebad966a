"""A server whose application says a lot, as a process: ``python -m tests.talking PORT HOME``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server
from pydantic import BaseModel

from hasten import App, Graph, SimProfile, current_clock, step
from hasten.cli.workers import CONNECTION_BYTES
from hasten.serve import create_app
from hasten.settings import Settings
from hasten.trace.recorder import emit_text

PIECES = 6_000
PIECE = "x" * 2_000


class Patience(BaseModel):
    """How long it is silent first."""

    silent_s: float = 0.0


@step
async def talk(silent_s: float) -> str:
    """Say twelve megabytes."""
    await current_clock().sleep(silent_s)
    for number in range(PIECES):
        emit_text(f"section {number}", PIECE)
        if number % 50 == 0:
            await current_clock().sleep(0.01)
    return "done"


def main() -> None:
    """Serve until stopped, with the connections' bounds of ``hasten serve``."""
    port, home = int(sys.argv[1]), Path(sys.argv[2])
    graph = Graph("talking", [talk], outputs=["talk"], inputs=Patience)
    app = App(
        name="talking",
        title="Talking",
        about="",
        inputs=Patience,
        graphs={"hasten": graph},
        phases={},
        samples={"one": {}},
        profile=SimProfile(),
        rerun=None,
    )
    guard = create_app(Settings(home=home), {"talking": app})
    server = Server(
        guard,
        port=port,
        interface=Interfaces.ASGI,
        log_enabled=False,
        http1_settings=HTTP1Settings(max_buffer_size=CONNECTION_BYTES),
    )
    asyncio.run(server.serve())


if __name__ == "__main__":
    main()
