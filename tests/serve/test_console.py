"""The console's files: served with strict headers, nothing inline, nothing from elsewhere."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from hasten.serve.console import add_console
from hasten.serve.console.console import CONTENT_SECURITY_POLICY, STATIC

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE_LINES = 500
LINE_CHARS = 105
IMPORT = re.compile(r"""(?:from|import)\s*["']([^"']+)["']""")


def own(suffix: str) -> list[Path]:
    """Return our own files of a kind; what is vendored is not ours."""
    return sorted(STATIC.glob(f"*{suffix}"))


@pytest.fixture
def client() -> Iterator[TestClient]:
    """A server with the console alone."""
    app = FastAPI()
    add_console(app)
    with TestClient(app) as client:
        yield client


@pytest.mark.parametrize("path", ["/", "/console/app.js", "/console/vendor/preact.js"])
def test_every_file_carries_the_strict_headers(client: TestClient, path: str) -> None:
    """Scripts, styles and data come from the server itself; nothing may frame the page."""
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-cache"


def test_the_policy_has_no_hole() -> None:
    """Nothing is allowed by default, and nowhere is ``unsafe``, a wildcard or another host."""
    rules = dict(rule.split(" ", 1) for rule in CONTENT_SECURITY_POLICY.split("; "))
    assert rules["default-src"] == rules["base-uri"] == rules["frame-ancestors"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == "'self'"
    assert not re.search(r"unsafe|\*|https?:", CONTENT_SECURITY_POLICY)


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/", "text/html"),
        ("/console/app.js", "text/javascript"),
        ("/console/base.css", "text/css"),
        ("/console/icon.svg", "image/svg+xml"),
    ],
)
def test_files_are_what_they_say(client: TestClient, path: str, media_type: str) -> None:
    """With ``nosniff`` a wrong type is a module that does not load."""
    assert client.get(path).headers["content-type"].partition(";")[0] == media_type


def test_an_unchanged_file_is_not_sent_again(client: TestClient) -> None:
    """A browser that asks with the tag it has gets 304, headers included."""
    tag = client.get("/console/app.js").headers["etag"]
    again = client.get("/console/app.js", headers={"If-None-Match": tag})
    assert again.status_code == 304
    assert "content-security-policy" in again.headers


@pytest.mark.parametrize("path", ["/console/../console.py", "/console/%2e%2e/console.py", "/nope"])
def test_nothing_else_is_served(client: TestClient, path: str) -> None:
    """Only the static files are there, and an unknown path stays unknown."""
    assert client.get(path).status_code == 404


def test_everything_asked_for_is_there(client: TestClient) -> None:
    """What the page and its modules import exists, relative to who imports it."""
    wanted = re.findall(r'(?:href|src)="([^"]+)"', (STATIC / "index.html").read_text())
    for module in [*own(".js"), *(STATIC / "vendor").glob("*.js")]:
        below = "/console/vendor/" if module.parent.name == "vendor" else "/console/"
        names = IMPORT.findall(module.read_text()) if below == "/console/" else []
        wanted += [below + name.removeprefix("./") for name in names]
    assert len(wanted) > 20
    assert [path for path in wanted if client.get(path).status_code != 200] == []


def test_the_page_has_nothing_inline_and_nothing_from_elsewhere() -> None:
    """The policy would refuse it; here it fails before a browser is needed."""
    page = (STATIC / "index.html").read_text()
    assert not re.search(r"<style|\son\w+=|\sstyle=|javascript:", page)
    assert re.findall(r"<script[^>]*>([^<]*)</script>", page) == [""]
    foreign = re.compile(r"""(?:url\(|@import|["'`(])\s*(?:https?:)?//""")
    files = [STATIC / "index.html", *own(".css"), *own(".js")]
    assert [path.name for path in files if foreign.search(path.read_text())] == []


def test_markup_is_made_from_text_in_one_place() -> None:
    """Only the sanitiser turns a model's words into elements, and nothing evaluates code."""
    risky = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|Function\(")
    assert [path.name for path in own(".js") if risky.search(path.read_text())] == []
    users = [path.name for path in own(".js") if "purify.js" in path.read_text()]
    assert users == ["markdown.js"]


def test_our_modules_stay_small_and_say_what_they_own() -> None:
    """The house rules hold for the page, too: short files and lines, a comment on top."""
    for path in [*own(".js"), *own(".css")]:
        text = path.read_text()
        assert text.startswith("/*"), path.name
        lines = text.splitlines()
        assert len(lines) <= FILE_LINES, path.name
        assert max(map(len, lines)) <= LINE_CHARS, path.name


def test_what_is_vendored_is_listed_with_its_licence() -> None:
    """Each vendored module has a row in the table and a licence beside it."""
    vendor = STATIC / "vendor"
    row = re.compile(r"^\| `(\w+\.js)` \| (\w+) \| \d+\.\d+\.\d+ \|", re.MULTILINE)
    rows = row.findall((vendor / "README.md").read_text())
    assert sorted(name for name, _ in rows) == sorted(path.name for path in vendor.glob("*.js"))
    assert all((vendor / "licences" / f"{package}.txt").is_file() for _, package in rows)


APPS = STATIC.parents[2] / "apps"
NAMED = re.compile(r"""import\s*\{([^}]+)\}\s*from\s*["']/console/([^"']+)["']""")


@pytest.mark.parametrize("page", sorted(APPS.glob("*/page/*.js")), ids=lambda page: page.parts[-3])
def test_an_applications_page_imports_what_there_is(page: Path) -> None:
    """Each name it takes from the console is exported by the module it names."""
    for names, module in NAMED.findall(page.read_text(encoding="utf-8")):
        source = (STATIC / module).read_text(encoding="utf-8")
        for name in names.replace("\n", " ").split(","):
            word = name.split(" as ")[0].strip()
            if word:
                assert re.search(rf"export\b[^;]*\b{word}\b", source), f"{word} of {module}"
