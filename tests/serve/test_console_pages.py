"""The console in a real browser: an application's own page, opinions, what was found out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec import to_builtins

from hasten import Target
from hasten.caller import Caller
from hasten.quality.target import reading as read_as
from hasten.testing.sink_contract import run_record
from tests.serve.browsing import choose, finish, run, running

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Locator, Page, Route

    from hasten.wire import Runtime

pytestmark = pytest.mark.browser


def test_an_application_has_a_page_of_its_own(page: Page) -> None:
    """At its address, with its style, in the console; the races are one button away."""
    from playwright.sync_api import expect

    page.goto("/apps/notebook")
    heading = page.get_by_role("heading", name="Notebook by itself")
    heading.wait_for()
    expect(page.locator(".app-page h2")).to_have_css("color", "rgb(102, 51, 153)")
    page.get_by_role("button", name="Race", exact=True).click()
    page.wait_for_selector("button.run")
    assert heading.count() == 0
    page.get_by_role("button", name="Page").click()
    heading.wait_for()


def test_choosing_an_application_puts_it_into_the_address(page: Page) -> None:
    """Reloading finds its page, made from its inputs; an operation is chosen like one."""
    choose(page, "toy")
    page.wait_for_url("**/apps/toy?view=race")
    page.reload()
    page.wait_for_selector("button.run")
    assert page.get_by_label("Application").input_value() == "toy"
    choose(page, "notebook.count")
    page.get_by_label("begins").fill("f")


def test_the_address_says_which_view_is_shown(page: Page) -> None:
    """A view can be linked to and is there after a reload; Back shows the one before."""
    from playwright.sync_api import expect

    views = page.get_by_role("navigation", name="Views")
    cache = views.get_by_role("button", name="Cache", exact=True)
    choose(page, "toy")
    cache.click()
    expect(cache).to_have_attribute("aria-current", "page")
    assert page.url.endswith("/apps/toy?view=cache")
    page.reload()
    expect(cache).to_have_attribute("aria-current", "page")
    assert page.get_by_label("Application").input_value() == "toy"
    page.go_back()
    expect(views.locator("[aria-current]")).to_have_text("Race")
    page.wait_for_selector("button.run")


def test_an_answer_is_rated_and_made_anew(page: Page) -> None:
    """The thumb is noted; Regenerate puts a new run in the place of the old one."""
    choose(page, "toy")
    run(page)
    finish(page)
    page.get_by_role("button", name="Like the answer", exact=True).click()
    page.get_by_text("Noted").first.wait_for()
    before = page.url
    page.get_by_role("tab", name="Answer").click()
    page.get_by_role("button", name="Regenerate the part answer").click()
    page.wait_for_url(lambda url: url != before)
    finish(page)
    assert page.url.partition(",")[0] == before.partition(",")[0]


def test_what_was_found_out_is_shown(browser: Browser, tmp_path: Path) -> None:
    """A check and an experiment with their figures, what people say, no alert."""

    async def found(runtime: Runtime) -> None:
        reading = Target(name="cold", about="a cold run", measure=unmeasured, at_most=5.0)
        readings = {"readings": [to_builtins(read_as("toy", reading, 4.2, 9.0))]}
        await runtime.results.add("check", "toy", "targets", readings, is_held=True)
        made = run_record("r1", app="toy")
        await runtime.feedback.add(made, ("local", "local"), rating=8)

    with running(tmp_path, found) as url:
        page = browser.new_page(base_url=url)
        page.goto("/apps/toy")
        page.get_by_role("button", name="Quality").click()
        page.get_by_role("row", name="a cold run").wait_for()
        assert "9.0" in page.get_by_role("row", name="a cold run").inner_text()
        assert "8.0" in page.get_by_role("row", name="fresh").inner_text()
        assert "None." in page.locator("section", has_text="Alerts").first.inner_text()
        page.close()


async def unmeasured(_trial: Any) -> float:
    """Measure nothing."""
    return 0.0


def test_the_pages_of_the_applications_open(page: Page) -> None:
    """Each module loads and draws something; a complaint of the browser fails the test."""
    apps = page.evaluate("fetch('/api/apps').then((answer) => answer.json())")
    for app in (one for one in apps if one["page"]):
        page.goto(f"/apps/{app['name']}")
        page.locator(".app-page > *").first.wait_for()


def test_jobs_are_listed_followed_cancelled_and_retried(page: Page) -> None:
    """What runs is cancelled, what is dead says why and goes again, each job's run is one click."""
    from playwright.sync_api import expect

    tea = {"topic": "tea"}
    hanging = submit(page, {**tea, "trouble": "hang"}, speed=50)
    dead = submit(page, {**tea, "trouble": "answer"}, attempts=1, speed=500)
    done = submit(page, {**tea, "note": "to be done"}, speed=500)
    choose(page, "toy")
    page.get_by_role("button", name="Jobs").click()
    expect(row_of(page, done).locator(".status")).to_have_text("done")
    expect(row_of(page, dead).locator(".status")).to_have_text("dead")
    expect(row_of(page, dead)).to_contain_text("the answer broke")
    expect(row_of(page, hanging).locator(".status")).to_have_text("running")
    row_of(page, hanging).get_by_role("button", name="Cancel").click()
    expect(row_of(page, hanging).locator(".status")).to_have_text("cancelled")
    expect(row_of(page, hanging).get_by_role("button", name="Cancel")).to_have_count(0)

    page.get_by_label("State").select_option("dead")
    expect(row_of(page, done)).to_have_count(0)
    row_of(page, dead).get_by_role("button", name="Retry").click()
    page.wait_for_function(DIED_AGAIN, arg=dead)
    page.get_by_label("State").select_option("")
    expect(row_of(page, dead).locator(".status")).to_have_text("dead")

    row_of(page, done).get_by_role("button", name="Waterfall").click()
    page.wait_for_url(lambda url: done["run_id"] in url)
    page.get_by_role("tab", name="Answer").click()
    page.get_by_text("facts about tea").first.wait_for()


def test_who_is_no_admin_sees_the_cache_without_its_figures(
    browser: Browser, tmp_path: Path
) -> None:
    """The figures are everybody's together; that they are refused is no error of the page."""
    secrets: list[str] = []

    async def prepare(runtime: Runtime) -> None:
        _, secret = await runtime.keys.create(Caller("acme", "ann"))
        secrets.append(secret)

    with running(tmp_path, prepare) as url:
        page = browser.new_page(base_url=url)
        page.add_init_script(f"sessionStorage.setItem('hasten.key', '{secrets[0]}')")
        with page.expect_response("**/api/cache/stats"):
            page.goto("/?view=cache")
        page.get_by_role("heading", name="Entries").wait_for()
        page.get_by_text("None.").wait_for()
        assert page.get_by_text("role admin").count() == 0
        page.close()


def test_a_late_list_of_jobs_does_not_replace_a_later_one(page: Page) -> None:
    """What is shown is what was asked for last, however slow the answer before was."""
    from playwright.sync_api import expect

    done = submit(page, {"topic": "tea", "note": "shown"}, speed=500)
    choose(page, "toy")
    late: list[Route] = []
    page.route("**/api/jobs?status=dead", lambda route: late.append(route))  # noqa: PLW0108 - a builtin takes no mark
    page.get_by_role("button", name="Jobs").click()
    expect(row_of(page, done).locator(".status")).to_have_text("done")
    with page.expect_request("**/api/jobs?status=dead"):
        page.get_by_label("State").select_option("dead")
    with page.expect_response("**/api/jobs?status=done"):
        page.get_by_label("State").select_option("done")
    with page.expect_response("**/api/jobs?status=dead"):
        late[0].fulfill(json={"jobs": []})
    page.evaluate("new Promise((resolve) => setTimeout(resolve, 50))")
    expect(row_of(page, done)).to_be_visible()


DIED_AGAIN = """dead => fetch(`/api/jobs/${dead.job_id}`).then((answer) => answer.json())
    .then((job) => job.status === "dead" && job.run_id !== dead.run_id)"""


def submit(page: Page, inputs: dict[str, str], **asked: float) -> dict[str, str]:
    """Keep a job of the toy's; return its line."""
    body = {"app": "toy", "inputs": inputs, **asked}
    line: dict[str, str] = page.evaluate(
        """body => fetch("/api/jobs", {
            method: "POST",
            headers: {"Content-Type": "application/json"},
            body: JSON.stringify(body),
        }).then((answer) => answer.json())""",
        body,
    )
    return line


def row_of(page: Page, job: dict[str, str]) -> Locator:
    """Return a job's row."""
    return page.get_by_role("row").filter(has_text=job["job_id"])
