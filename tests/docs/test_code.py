"""Every code block of the documentation runs, and every command it shows is there."""

from __future__ import annotations

import re
import sqlite3
import sys
from contextlib import closing
from types import ModuleType
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateTable

from hasten.store.sql.schema import metadata
from tests.architecture.sources import ROOT
from tests.docs.pages import PAGES, blocks, name_of

if TYPE_CHECKING:
    from pathlib import Path

    import click

TARGET = re.compile(r"^([a-z-]+):", re.MULTILINE)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=name_of)
def test_python_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page's blocks run in order, in one namespace and an empty folder."""
    monkeypatch.chdir(tmp_path)
    module = ModuleType(f"page_{page.stem}".replace("-", "_"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for block in blocks(page, "python"):
        lines_before = "\n" * (block.line - 1)
        code = compile(lines_before + block.text, str(page), "exec", dont_inherit=True)
        exec(code, module.__dict__)  # noqa: S102 - running the page is the test


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "sql")], ids=name_of)
def test_sql_blocks_run(page: Path) -> None:
    """A page's queries fit the tables there are."""
    with closing(sqlite3.connect(":memory:")) as database:
        for table in metadata.sorted_tables:
            database.execute(str(CreateTable(table).compile(dialect=sqlite.dialect())))
        for block in blocks(page, "sql"):
            assert database.execute(block.text).fetchall() == []


def commands(page: Path) -> list[list[str]]:
    """Return the words of each command in a page's shell blocks, comments left out."""
    lines = [
        line.partition(" #")[0].removeprefix("$ ").split()
        for block in blocks(page, "bash")
        for line in block.text.replace("\\\n", " ").splitlines()
        if not line.startswith("#")
    ]
    return [words[is_assigned(words[0]) :] for words in lines if words]


def is_assigned(word: str) -> bool:
    """Tell whether a command's first word only sets a variable for it."""
    return re.fullmatch(r"[A-Z_]+=\S*", word) is not None


def unknown_word(command: click.Command, words: list[str]) -> str | None:
    """Return the first verb or option of a ``hasten`` command line that does not exist."""
    while words and (verbs := getattr(command, "commands", None)) is not None:
        if words[0] not in verbs:
            return words[0]
        command, words = verbs[words[0]], words[1:]
    if command.ignore_unknown_options:
        return None
    known = {"--help"}.union(*(one.opts + one.secondary_opts for one in command.params))
    given = (word.partition("=")[0] for word in words if word.startswith("-"))
    return next((word for word in given if word not in known), None)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "bash")], ids=name_of)
def test_commands_exist(page: Path) -> None:
    """Shell blocks call targets of the Makefile and verbs and options of ``hasten`` that exist."""
    targets = set(TARGET.findall((ROOT / "Makefile").read_text(encoding="utf-8")))
    for words in commands(page):
        program = words[0].removeprefix(".venv/bin/")
        if program == "make":
            asked = {word for word in words[1:] if "=" not in word}
            assert asked <= targets, f"no such target: {asked - targets}"
        elif program == "hasten":
            import typer

            from hasten.cli import build

            wrong = unknown_word(typer.main.get_command(build()), words[1:])
            assert wrong is None, f"{' '.join(words)}: there is no {wrong}"
