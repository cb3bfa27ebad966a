"""The application object: routes, guards and errors put together.

Owns ``create_app``. Leaves the routes to their files and the work to
``wire.Runtime``, which lives exactly as long as the server does.
"""

from __future__ import annotations

from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.middleware.gzip import GZipMiddleware

from hasten.app import find_apps
from hasten.serve.admission import close_if_open
from hasten.serve.apps import add_apps
from hasten.serve.apps import router as apps_router
from hasten.serve.cache import router as cache_router
from hasten.serve.calls import router as calls_router
from hasten.serve.console import add_console
from hasten.serve.docs import add_docs
from hasten.serve.feedback import router as feedback_router
from hasten.serve.follow import router as follow_router
from hasten.serve.gateway.door import GatewayDoor
from hasten.serve.gateway.gateway import Gateway
from hasten.serve.guard import Guard
from hasten.serve.health import router as health_router
from hasten.serve.jobs import router as jobs_router
from hasten.serve.metrics import RequestCounts
from hasten.serve.metrics import router as metrics_router
from hasten.serve.problems import add_problems
from hasten.serve.quality import router as quality_router
from hasten.serve.runs import router as runs_router
from hasten.serve.stream.feed import Feeds
from hasten.wire import Runtime
from hasten.wire_jobs import RuntimeJobs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from hasten.app import App
    from hasten.settings import Settings

COMPRESSED_FROM_BYTES = 1_000
COMPRESSION = 4
"""Most of what level 9 saves, in a quarter of its time; event streams are never compressed."""

DESCRIPTION = "Runs LLM-backed graphs: measured, parallel, streamed."


def create_app(settings: Settings, apps: Mapping[str, App] | None = None) -> Any:
    """Return the server as an ASGI application; its ``Runtime`` opens with the lifespan.

    ``apps`` are the applications to serve; by default every installed one. Its start raises
    ``SettingsError`` for an address that is not this machine's while there are no keys.
    """
    served = find_apps() if apps is None else apps

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        runtime = app.state.runtime = await Runtime.open(settings, served)
        await close_if_open(runtime)
        jobs = app.state.jobs = RuntimeJobs(runtime)
        runtime.keep_house()
        gateway = app.state.gateway = Gateway(runtime)
        gateway.start()
        if settings.job_concurrency:
            jobs.work()
        try:
            yield
        finally:
            await jobs.drain()
            await gateway.close()
            await runtime.close()

    app = FastAPI(
        title="Hasten",
        version=_version(),
        description=DESCRIPTION,
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
    )
    app.state.request_counts = Counter()
    app.state.feeds = Feeds()
    app.add_middleware(
        GZipMiddleware, minimum_size=COMPRESSED_FROM_BYTES, compresslevel=COMPRESSION
    )
    app.add_middleware(RequestCounts, counts=app.state.request_counts)
    add_problems(app)
    routers = (apps_router, runs_router, follow_router, jobs_router, feedback_router, cache_router)
    for router in (*routers, calls_router, health_router, quality_router, metrics_router):
        app.include_router(router)
    add_apps(app, served)
    add_console(app)
    add_docs(app)
    return GatewayDoor(app, Guard(app, settings), lambda: app.state.gateway)


def _version() -> str:
    from importlib.metadata import version

    return version("hasten")
