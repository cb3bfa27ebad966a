"""The documentation's pages and the code blocks in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from markdown_it import MarkdownIt

from tests.architecture.sources import ROOT, tracked_files

if TYPE_CHECKING:
    from pathlib import Path

PAGES = [path for path in tracked_files() if path.suffix == ".md"]
DOCS = ROOT / "docs"


class Block(NamedTuple):
    """A fenced block: its language, the line its text starts on (from 1), and the text."""

    language: str
    line: int
    text: str


def blocks(page: Path, language: str) -> list[Block]:
    """Return the blocks of a page in ``language``."""
    fences = [one for one in MarkdownIt().parse(page.read_text(encoding="utf-8")) if one.map]
    return [
        Block(language, fence.map[0] + 2, fence.content)
        for fence in fences
        if fence.type == "fence" and fence.info.strip() == language and fence.map
    ]


def name_of(page: Path) -> str:
    """Return a page's path in the repository."""
    return page.relative_to(ROOT).as_posix()
