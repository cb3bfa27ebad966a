"""A server and a headless Chromium, driven by Playwright, and what its tests do often."""

from __future__ import annotations

import asyncio
import os
import queue
import shutil
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from hasten.app import find_apps
from hasten.apps.discovery import app as discovery
from hasten.serve import create_app
from hasten.settings import Settings
from hasten.testing.http import serving
from tests.notebook import notebook_app
from tests.toy import toy_app

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from hasten.wire import Runtime

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WITHIN_MS = 60_000


@contextmanager
def running(
    home: Path, prepare: Callable[[Runtime], Awaitable[object]] | None = None
) -> Iterator[str]:
    """Serve discovery, two of our own and all with a page; gives the URL, once prepared."""
    urls: queue.Queue[str] = queue.Queue()
    stop = asyncio.Event()
    loop = asyncio.new_event_loop()

    async def main() -> None:
        ours = {"discovery": discovery, "notebook": notebook_app(), "toy": toy_app()}
        apps = {**ours, **{name: app for name, app in find_apps().items() if app.page}}
        guard = create_app(Settings(home=home), apps)
        async with serving(guard) as url:
            if prepare is not None:
                await prepare(guard.app.state.runtime)
            urls.put(url)
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=[main()])
    thread.start()
    try:
        yield urls.get(timeout=20)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running server's URL."""
    with running(tmp_path_factory.mktemp("console")) as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium; without one the tests are skipped, in CI they fail."""
    from playwright.sync_api import sync_playwright

    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        why = f"no Chromium on PATH (looked for {', '.join(names)})"
        if os.environ.get("CI") or os.environ.get("HASTEN_REQUIRE_BROWSER"):
            pytest.fail(why)
        pytest.skip(why)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, server: str) -> Iterator[Page]:
    """The console just opened; whatever the browser complains of fails the test."""
    context = browser.new_context(
        base_url=server,
        viewport={"width": 1440, "height": 900},
        permissions=["clipboard-read", "clipboard-write"],
    )
    page = context.new_page()
    page.set_default_timeout(WITHIN_MS)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type != "log" else None)
    page.add_init_script(
        "addEventListener('securitypolicyviolation', (e) => console.error(e.violatedDirective))"
    )
    page.goto("/")
    page.wait_for_selector("button.run")
    yield page
    context.close()
    assert [said for said in complaints if "status of 4" not in said] == []


def choose(page: Page, app: str) -> None:
    """Choose an application."""
    page.get_by_label("Application").select_option(app)


def run(page: Page, speed: str = "40×", *, reuse: str = "Nothing") -> None:
    """Press Run at a speed, and let it reuse what an earlier test has computed, or nothing."""
    page.get_by_text(reuse, exact=True).click()
    page.get_by_text(speed, exact=True).click()
    page.get_by_role("button", name="Run", exact=True).click()


def finish(page: Page) -> float:
    """Wait until both runs are done; return the speed-up the page shows."""
    faster = page.locator(".faster.final .digits")
    faster.wait_for()
    return float(faster.inner_text().rstrip("×"))
