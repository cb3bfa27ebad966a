"""The console's page of the gateway in a real browser, with calls coming in while it is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hasten.caller import Caller
from tests.serve.browsing import running

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from hasten.wire import Runtime

pytestmark = pytest.mark.browser

ASK = """
(text) => fetch("/v1/chat/completions", {
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify({ model: "sim-standard", messages: [{ role: "user", content: text }] }),
}).then((answer) => answer.json())
"""


def test_calls_are_shown_as_they_come(page: Page) -> None:
    """A miss, then a hit, with the rate, the picture by result, the upstream and a filter."""
    from playwright.sync_api import expect

    page.goto("/?view=gateway")
    page.get_by_text("None yet: point a client here.").wait_for()
    page.evaluate(ASK, "tea?")
    page.get_by_role("row", name="miss").wait_for()
    page.evaluate(ASK, "tea?")
    hit = page.get_by_role("row", name="hit")
    hit.wait_for()
    expect(hit).to_contain_text("sim-standard")
    expect(page.locator(".tiles")).to_contain_text("50.0 %")
    picture = page.locator(".latency svg")
    assert "hit: 1" in (picture.get_attribute("aria-label") or "")
    assert picture.locator("rect[height]:not([height='0'])").count() >= 2
    upstream = page.get_by_role("row", name="sim simulated")
    expect(upstream).to_contain_text("ready")
    page.get_by_label("Result").select_option("hit")
    expect(page.get_by_role("row", name="miss")).to_have_count(0)


def test_it_goes_on_when_the_server_is_back(page: Page) -> None:
    """What went wrong is said, and no longer once a look succeeds."""
    page.goto("/?view=gateway")
    page.get_by_role("row", name="sim simulated").wait_for()
    page.route("**/api/gateway*", lambda route: route.fulfill(status=429, body="{}"))
    page.locator(".note.bad").wait_for()
    page.unroute("**/api/gateway*")
    page.locator(".note.bad").wait_for(state="detached")


def test_who_is_no_admin_sees_their_own_calls_alone(browser: Browser, tmp_path: Path) -> None:
    """After the key was asked for: the calls, and no figures of all."""
    secrets: list[str] = []

    async def keyed(runtime: Runtime) -> None:
        _, secret = await runtime.keys.create(Caller("acme", "ann"))
        secrets.append(secret)

    with running(tmp_path, keyed) as url:
        page = browser.new_page(base_url=url)
        page.goto("/?view=gateway")
        page.get_by_label("Bearer key").fill(secrets[0])
        page.get_by_role("button", name="Use").click()
        page.get_by_text("None yet: point a client here.").wait_for()
        shown = f'"x-api-key": "{secrets[0]}", "content-type"'
        page.evaluate(ASK.replace('"content-type"', shown), "tea?")
        page.get_by_role("row", name="ann").wait_for()
        assert page.locator(".tiles").count() == 0
        page.close()


def test_the_lines_to_copy_point_here(page: Page) -> None:
    """Each client's own way; the button copies what is shown."""
    page.get_by_role("button", name="Gateway").click()
    assert "view=gateway" in page.url
    origin = page.evaluate("location.origin")
    shown = page.locator(".snippet")
    for name, line in (
        ("openai", f'base_url="{origin}/v1"'),
        ("anthropic", f'base_url="{origin}"'),
        ("curl", f"curl {origin}/v1/chat/completions"),
    ):
        page.get_by_role("button", name=name, exact=True).click()
        assert line in shown.inner_text()
    page.get_by_role("button", name="Copy").click()
    page.get_by_text("Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == shown.inner_text()
