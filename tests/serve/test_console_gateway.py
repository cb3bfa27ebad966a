"""The console's page of the gateway in a real browser, with calls coming in while it is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

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
