"""The API's documentation as a page: Swagger UI from a package, nothing from elsewhere.

Owns the page at ``/docs``; FastAPI makes the description at ``/openapi.json``.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from hasten.errors import MissingExtra

if TYPE_CHECKING:
    from fastapi import FastAPI

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Hasten API</title>
<link rel="stylesheet" href="/docs/files/swagger-ui.css">
<div id="docs"></div>
<script src="/docs/files/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
"""
START = 'SwaggerUIBundle({url: "/openapi.json", dom_id: "#docs", deepLinking: true})\n'

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Swagger UI sets styles inline; scripts still come from here alone."""


def add_docs(app: FastAPI) -> None:
    """Serve the page at ``/docs``. Raises ``MissingExtra`` without its package."""
    package = find_spec("fastapi_offline")
    if package is None or package.origin is None:
        part = "the page of the API's documentation"
        raise MissingExtra(part, "server")

    async def page() -> HTMLResponse:
        return HTMLResponse(PAGE, headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY})

    async def start() -> Response:
        return Response(START, media_type="text/javascript")

    app.get("/docs", include_in_schema=False)(page)
    app.get("/docs/start.js", include_in_schema=False)(start)
    app.mount("/docs/files", StaticFiles(directory=Path(package.origin).parent / "static"))
