"""Which applications are served: names, inputs, modes, samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter

from hasten.serve.auth import CallerOf, RuntimeOf

if TYPE_CHECKING:
    from hasten.app import App

router = APIRouter(tags=["apps"])


@router.get("/api/apps")
async def list_apps(runtime: RuntimeOf, _caller: CallerOf) -> list[dict[str, Any]]:
    """Return every application: what it does, its inputs as a JSON Schema, samples to try."""
    is_simulated = runtime.settings.is_simulated
    return [_shown(app, is_simulated=is_simulated) for app in runtime.apps.values()]


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
