"""Which applications are served: names, inputs, modes, samples; their own routes and pages.

Owns ``GET /api/apps`` and where an application's routes and page are mounted.
Leaves what its routes work with to ``context``, the page around its own to ``console``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter

from hasten.serve.auth import CallerOf, RuntimeOf
from hasten.serve.console.console import ConsoleFiles
from hasten.serve.context import APPS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI

    from hasten.app import App

router = APIRouter(tags=["apps"])

PAGE = "page.js"
STYLE = "page.css"


@router.get("/api/apps")
async def list_apps(runtime: RuntimeOf, _caller: CallerOf) -> list[dict[str, Any]]:
    """Return every application: what it does, its inputs as a JSON Schema, samples to try."""
    is_simulated = runtime.settings.is_simulated
    return [
        {
            **_shown(app, is_simulated=is_simulated),
            "page": _page(app),
            "operations": [
                _shown(app.operation(name), is_simulated=is_simulated) for name in app.operations
            ],
        }
        for app in runtime.apps.values()
    ]


def add_apps(server: FastAPI, apps: Mapping[str, App]) -> None:
    """Mount the routes and the page of each application."""
    for app in apps.values():
        if app.routes is not None:
            prefix = f"{APPS}/{app.name}"
            server.include_router(app.routes(), prefix=prefix, tags=[app.name])
        if app.page is not None:
            server.mount(f"{APPS}/{app.name}/page", ConsoleFiles(directory=app.page))


def _page(app: App) -> dict[str, str | None] | None:
    """Return where the parts of an application's own page are, if it has one."""
    if app.page is None:
        return None
    below = f"{APPS}/{app.name}/page"
    has_style = (app.page / STYLE).is_file()
    return {"module": f"{below}/{PAGE}", "style": f"{below}/{STYLE}" if has_style else None}


def _shown(app: App, *, is_simulated: bool) -> dict[str, Any]:
    return {
        "name": app.name,
        "title": app.title,
        "about": app.about,
        "modes": list(app.graphs),
        "default_mode": app.default_mode,
        "phases": dict(app.phases),
        "inputs": app.inputs.model_json_schema(),
        "samples": {name: dict(sample) for name, sample in app.samples.items()},
        "simulated": is_simulated,
    }
