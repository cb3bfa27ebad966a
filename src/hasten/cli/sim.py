"""``hasten sim``: the simulated model in the protocols of the providers, on this machine."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hasten.app import DEFAULT_APP, find_apps, pick_app
from hasten.cli.serve import free_port, url_of
from hasten.cli.workers import Served, faint, listen, strong

if TYPE_CHECKING:
    from hasten.model.simulated import SimProfile

LOOPBACK = "127.0.0.1"


def add(command: typer.Typer, what: str) -> None:
    """Add the verb."""
    command.command("sim", help=what)(sim)


def sim(
    app: Annotated[str, typer.Option(help="The application whose profile it has.")] = DEFAULT_APP,
    port: Annotated[int, typer.Option(help="Port to bind; 0 picks one.")] = 8001,
    speed: Annotated[float, typer.Option(min=0.01, max=1000, help="How fast its time goes.")] = 1.0,
) -> None:
    """Answer until interrupted."""
    profile = pick_app(find_apps(), app).profile
    port = free_port(LOOPBACK, port)
    url = url_of(LOOPBACK, port)
    ready = (
        f"{strong('Simulated model')} {profile.name}, profile of {app}; "
        f"ANTHROPIC_BASE_URL={url} GEMINI_BASE_URL={url}/v1beta\n"
        + faint(f"OPENAI_BASE_URL={url}/v1 hasten run {app} --model {profile.name}")
    )
    listen(functools.partial(_load, profile, speed), LOOPBACK, port, ready)


def _load(profile: SimProfile, speed: float) -> Served:
    """Build the application inside the worker process; each request finds the sped-up clock."""
    from hasten.clock import Clock, use_clock
    from hasten.serve.sim import create_sim_app

    answer, clock = create_sim_app(profile), Clock(speed)
    answers: set[asyncio.Task[None]] = set()

    async def paced(scope: Any, receive: Any, send: Any) -> None:
        with use_clock(clock):
            if scope["type"] != "http":
                await answer(scope, receive, send)
                return
            task = asyncio.create_task(answer(scope, receive, send))
            answers.add(task)
            await asyncio.wait([task])
            answers.discard(task)
            if not task.cancelled():
                task.result()

    def stop() -> None:
        for task in answers:
            task.cancel()

    return Served(paced, stop)
