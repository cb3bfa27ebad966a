"""The pages lead where they say, and leave out no room."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

from tests.architecture.sources import SRC, Function, parse
from tests.docs.pages import DOCS, PAGES, name_of

if TYPE_CHECKING:
    from pathlib import Path

LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)(?:#[^)]*)?\)")
PLACE = re.compile(r"`([\w/]+\.py):([\w.]+)`")
WALK_PLACES = 15


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    """Every link to another file of the repository finds it."""
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_page_can_be_found_from_the_index() -> None:
    """Whoever follows the links from the index sees each page of the documentation."""
    seen: set[Path] = set()
    pending = [DOCS / "index.md"]
    while pending:
        page = pending.pop().resolve()
        if page not in seen and page.suffix == ".md":
            seen.add(page)
            pending += [page.parent / link for link in LINK.findall(page.read_text("utf-8"))]
    assert [name_of(page) for page in PAGES if DOCS in page.parents and page not in seen] == []


def defined(body: list[ast.stmt], prefix: str = "") -> set[str]:
    """Return the names a module defines, with ``Class.method`` and ``Class.field``."""
    names: set[str] = set()
    for node in body:
        if isinstance(node, ast.ClassDef | Function):
            names.add(prefix + node.name)
            if isinstance(node, ast.ClassDef):
                names |= defined(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {prefix + ast.unparse(target) for target in targets}
    return names


def missing_places(page: Path) -> list[str]:
    """Return the ``file:function`` references of a page that lead nowhere."""
    missing = []
    for file, name in PLACE.findall(page.read_text(encoding="utf-8")):
        path = SRC / file
        if not path.is_file() or name not in defined(parse(path).body):
            missing.append(f"{file}:{name}")
    return missing


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_file_and_function_references_exist(page: Path) -> None:
    """Each ``file:function`` on a page is a function, class or constant of that file."""
    assert missing_places(page) == []


def test_a_wrong_reference_is_found(tmp_path: Path) -> None:
    """The check sees a file that is not there and a function that is not in its file."""
    page = tmp_path / "page.md"
    page.write_text("`clock.py:Clock.sleep` `clock.py:Clock.nap` `cluck.py:Clock`")
    assert missing_places(page) == ["clock.py:Clock.nap", "cluck.py:Clock"]


def test_the_walk_names_its_places() -> None:
    """The walk of one request goes function by function, not in general terms."""
    walk = (DOCS / "one-request.md").read_text(encoding="utf-8")
    assert len(PLACE.findall(walk)) >= WALK_PLACES


def test_every_room_is_described() -> None:
    """The architecture page has each room of the package."""
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    rooms = [
        f"{path.name}/" if path.is_dir() else path.name
        for path in SRC.iterdir()
        if (path.is_dir() or path.suffix == ".py") and not path.name.startswith("_")
    ]
    assert [room for room in sorted(rooms) if f"`{room}`" not in page] == []
