"""Serving the console's files, with headers that let the page do only what it must.

Owns the routes ``/`` and ``/apps/<name>``, which is the same page with an application
chosen, and the files below ``/console``. Leaves what the page does to its modules in
``static/`` and the data it shows to ``/api``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import Request  # noqa: TC002 - FastAPI reads the annotation
from starlette.responses import FileResponse
from starlette.staticfiles import StaticFiles

from hasten.app import pick_app

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from fastapi import FastAPI
    from starlette.responses import Response

STATIC = Path(__file__).parent / "static"

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types dompurify"
)
"""Nothing inline, nothing from elsewhere; markup is made from text by DOMPurify alone."""

HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
"""``no-cache`` asks each time and mostly gets 304: a page never mixes files of two releases."""


class ConsoleFiles(StaticFiles):
    """Static files that carry the console's headers."""

    def file_response(
        self,
        full_path: Any,
        stat_result: Any,
        scope: MutableMapping[str, Any],
        status_code: int = 200,
    ) -> Response:
        """Return the file with the headers."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers.update(HEADERS)
        return response


def add_console(app: FastAPI) -> None:
    """Serve the page at ``/`` and ``/apps/<name>``, its modules and styles below ``/console``."""

    async def page() -> FileResponse:
        return FileResponse(STATIC / "index.html", headers=HEADERS)

    async def page_of_app(name: str, request: Request) -> FileResponse:
        pick_app(request.app.state.runtime.apps, name)
        return await page()

    app.get("/", include_in_schema=False)(page)
    app.get("/apps/{name}", include_in_schema=False)(page_of_app)
    app.mount("/console", ConsoleFiles(directory=STATIC), name="console")
