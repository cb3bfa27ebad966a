"""The console in a real browser against a real server: a race from its start to its report."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from hasten.caller import Caller
from tests.serve.browsing import choose, finish, run, running

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page, Route

    from hasten.wire import Runtime

pytestmark = pytest.mark.browser

CANARY = '<img src=x onerror="window.canary = 1"><script>window.canary = 1</script>'


def board_of(page: Page) -> str:
    """Return the board's words and counts; seconds differ by when the page heard of them."""
    return re.sub(r"[\d.]+\s*(s|×)", r"\1", page.locator(".board").inner_text())


def elapsed_s(page: Page, mode: str) -> float:
    """Return the seconds the board shows for ``mode``."""
    return float(page.get_by_role("region", name=mode, exact=True).locator(".digits").inner_text())


@pytest.mark.measured
def test_a_race_is_run_and_won(page: Page) -> None:
    """Both runs end on the first screen, three times as fast and more; simulation is said."""
    run(page, "10×")
    assert finish(page) > 3
    assert elapsed_s(page, "Baseline") > 85
    assert elapsed_s(page, "Hasten") < 30
    bars = page.locator(".track").locator("g.bar")
    assert bars.count() > 30
    page.wait_for_selector(".weighed .bar.critical")
    assert 0 < page.locator(".track").nth(1).locator(".bar.critical").count() < 15
    assert page.locator(".bar.tool").count() == 22
    assert page.locator(".axis").bounding_box()["y"] < 880
    assert page.evaluate("scrollY") == 0
    report = page.get_by_role("tabpanel")
    assert len(report.inner_text()) > 1_000
    assert page.get_by_role("tab").count() == 3
    assert page.get_by_text("figures are simulated seconds").is_visible()
    said = page.locator("[aria-live=polite]").inner_text()
    assert "complete after" in said
    assert "as fast" in said
    assert page.locator(".recent li").first.get_by_text("×").is_visible()


def test_text_arrives_while_the_run_goes_on(page: Page) -> None:
    """The report is read while it is written, the clock runs at the chosen pace, Cancel ends it."""
    run(page, "4×")
    page.wait_for_selector(".tabs .writing")
    assert page.get_by_role("tabpanel").inner_text()
    first_s = page.get_by_role("region", name="Hasten", exact=True).locator("dd").first.inner_text()
    assert float(first_s.split()[0]) < 3
    page.locator(".score .digits", has_text=re.compile(r"^[1-9]\d\.")).first.wait_for(timeout=5_000)
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_text("cancelled").first.wait_for()
    assert page.get_by_role("button", name="Run", exact=True).is_enabled()


def test_a_models_words_are_never_run(page: Page) -> None:
    """What an input smuggles into the report is shown as text or dropped, never executed."""
    choose(page, "toy")
    page.get_by_label("Note").fill(CANARY)
    run(page)
    finish(page)
    prose = page.get_by_role("tabpanel")
    prose.wait_for()
    assert page.evaluate("window.canary") is None
    assert page.locator(".prose :is(img, script, [onerror])").count() == 0


def test_the_report_is_copied_and_saved(page: Page) -> None:
    """Copy puts Markdown on the clipboard, Save gives the same as a file."""
    choose(page, "toy")
    run(page)
    finish(page)
    page.get_by_role("button", name="Copy").click()
    page.get_by_text("Copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("*Toy, hasten,")
    assert "simulated" in copied.splitlines()[0]
    assert "# facts about tea" in copied
    with page.expect_download() as download:
        page.get_by_role("button", name="Save .md").click()
    assert download.value.suggested_filename.startswith("toy-hasten-run_")
    assert download.value.suggested_filename.endswith(".md")
    assert download.value.path().read_text(encoding="utf-8") == copied


def test_everything_can_be_done_from_the_keyboard(page: Page) -> None:
    """Run, find Cancel by Esc, change tabs by arrows, leave the dialog by Esc."""
    choose(page, "toy")
    page.get_by_role("radio", name="Nothing").focus()
    page.keyboard.press("Space")
    page.get_by_role("radio", name="1×", exact=True).focus()
    page.keyboard.press("Space")
    page.keyboard.press("Control+Enter")
    page.get_by_role("button", name="Cancel", exact=True).wait_for()
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.textContent") == "Cancel"
    page.keyboard.press("Enter")
    page.get_by_text("cancelled").first.wait_for()

    page.get_by_role("radio", name="1×", exact=True).focus()
    page.keyboard.press("ArrowLeft")
    assert page.get_by_role("radio", name="40×").is_checked()
    page.keyboard.press("Control+Enter")
    finish(page)
    first = page.get_by_role("tab").first
    first.focus()
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("tab").nth(1).get_attribute("aria-selected") == "true"

    page.get_by_role("button", name="Key").focus()
    page.keyboard.press("Enter")
    page.get_by_label("Bearer key").wait_for()
    page.keyboard.press("Escape")
    page.get_by_label("Bearer key").wait_for(state="hidden")


def test_what_can_be_reached_shows_that_it_is(page: Page) -> None:
    """Tab goes through header, form, runs and race, and each stop has a visible outline."""
    seen = []
    for _ in range(18):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate(
                """() => {
                    const here = document.activeElement;
                    const shown = here.type === 'radio' ? here.nextElementSibling : here;
                    return [here.tagName, getComputedStyle(shown).outlineStyle];
                }"""
            )
        )
    stops = [stop for stop in seen if stop[0] != "BODY"]
    assert {tag for tag, _ in stops} >= {"SELECT", "BUTTON", "TEXTAREA", "INPUT"}
    assert [stop for stop in stops if stop[1] == "none"] == []


def test_a_wrong_input_is_shown_at_its_field(page: Page) -> None:
    """The server's words stand below the field they name, which has the focus."""
    page.get_by_label("Experience summary").fill("   ")
    run(page)
    field = page.get_by_label("Experience summary")
    page.wait_for_selector("[aria-invalid=true]")
    assert field.get_attribute("aria-invalid") == "true"
    message = page.locator(f"#{field.get_attribute('aria-describedby')}")
    assert "say something" in message.inner_text()
    assert page.evaluate("document.activeElement.name") == "experience_summary"


def test_what_went_wrong_is_named(page: Page) -> None:
    """A degraded run says what it went on without; a failed one says why."""
    choose(page, "toy")
    page.get_by_label("Trouble").select_option("tool")
    run(page)
    finish(page)
    assert "facts" in page.locator(".note.warn").inner_text()
    assert page.locator(".status.degraded").first.is_visible()
    page.get_by_label("Trouble").select_option("answer")
    run(page)
    page.locator(".score .status.failed").wait_for()
    assert "the answer broke" in page.locator(".report .note.bad").inner_text()


def test_reloading_finds_the_runs_again(page: Page) -> None:
    """In mid-run a reload loses nothing: the same runs are followed to their end."""
    choose(page, "toy")
    run(page, "1×")
    page.wait_for_url(re.compile(r"#runs=\w+,\w+$"))
    ids = page.evaluate("location.hash")
    page.reload()
    page.wait_for_selector(".bar.running")
    assert page.evaluate("location.hash") == ids
    assert page.get_by_label("Application").input_value() == "toy"
    finish(page)
    assert page.get_by_role("tab", name="Answer").is_visible()


def test_a_stream_that_breaks_is_taken_up_again(page: Page) -> None:
    """A connection cut in the middle is followed by another from the last event that came."""
    choose(page, "toy")
    resumed: list[str | None] = []
    page.on(
        "request",
        lambda request: (
            "/events" in request.url and resumed.append(request.header_value("last-event-id"))
        ),
    )

    def cut(route: Route) -> None:
        whole = route.fetch()
        route.fulfill(response=whole, body=whole.body()[: len(whole.body()) // 2])

    page.route("**/api/run/stream", cut)
    run(page)
    assert finish(page) > 1
    assert len(resumed) == 2
    assert all(float(number or 0) > 3 for number in resumed)
    page.get_by_role("tab", name="Answer").click()
    assert "facts about tea" in page.get_by_role("tabpanel").inner_text()


def test_the_cache_is_seen_and_dropped(page: Page) -> None:
    """A rerun says so, the cache page counts and lists it, and a preview comes before the drop."""
    choose(page, "toy")
    page.get_by_label("Note").fill("seen again")
    for _ in range(2):
        run(page, reuse="What is fresh")
        page.get_by_role("button", name="Run", exact=True).wait_for()
    page.get_by_text("The same inputs as before").wait_for()
    page.get_by_role("button", name="Cache", exact=True).click()
    uses = page.get_by_role("region", name="Use", exact=True)
    uses.get_by_role("row", name=re.compile("rerun")).wait_for()
    page.get_by_role("button", name="Explain").click()
    page.get_by_text("hit in memory").wait_for()
    page.get_by_label("Drop by").select_option("pattern")
    page.get_by_label("What to drop").fill("rerun*")
    page.get_by_role("button", name="Preview").click()
    page.locator(".tree", has_text="rerun app=toy").wait_for()
    listed = page.get_by_role("row", name=re.compile("rerun app=toy")).first
    assert listed.is_visible()
    page.get_by_role("button", name=re.compile(r"Drop \d")).click()
    listed.wait_for(state="hidden")
    page.get_by_role("button", name="Race", exact=True).click()
    page.get_by_label("Note").wait_for()


def test_a_past_race_is_shown_again(page: Page) -> None:
    """A click on a recent race shows its waterfalls and its report as they were."""
    choose(page, "toy")
    run(page)
    finish(page)
    shown = board_of(page)
    choose(page, "discovery")
    choose(page, "toy")
    assert page.locator("g.bar").count() == 0
    page.locator(".recent li button").first.click()
    finish(page)
    assert board_of(page) == shown


def test_a_key_is_asked_for_and_kept(browser: Browser, tmp_path: Path) -> None:
    """Where keys exist, the page asks, takes a typed one with Enter, and works with it."""
    made: list[str] = []

    async def make_key(runtime: Runtime) -> None:
        _, secret = await runtime.keys.create(Caller(tenant="acme", user="ann"))
        made.append(secret)

    with running(tmp_path, make_key) as url, browser.new_context(base_url=url) as context:
        page = context.new_page()
        page.goto("/")
        page.get_by_label("Bearer key").fill(made[0])
        page.keyboard.press("Enter")
        choose(page, "toy")
        run(page)
        finish(page)
        page.reload()
        page.get_by_role("button", name="Run", exact=True).wait_for()
        assert not page.get_by_label("Bearer key").is_visible()


@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_is_wider_than_the_screen(page: Page, width: int) -> None:
    """On a phone, too, the page scrolls down only."""
    page.set_viewport_size({"width": width, "height": 800})
    choose(page, "toy")
    run(page)
    finish(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_dark_mode_is_dark_and_readable(page: Page) -> None:
    """The colours follow the system, and text keeps its contrast (WCAG 2.2, 1.4.3) in both."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        colours = page.evaluate(
            """() => {
                const rgb = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map(Number);
                const style = getComputedStyle(document.querySelector('.panel'));
                const quiet = getComputedStyle(document.querySelector('.about'));
                return [rgb(style.backgroundColor), rgb(style.color), rgb(quiet.color)];
            }"""
        )
        ground, text, quiet = map(_luminance, colours)
        assert (ground > 0.5) is (scheme == "light")
        assert min(_contrast(ground, text), _contrast(ground, quiet)) > 4.5


def _luminance(rgb: list[float]) -> float:
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (value / 255 for value in rgb)
    ]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _contrast(one: float, other: float) -> float:
    light, dark = max(one, other), min(one, other)
    return (light + 0.05) / (dark + 0.05)
