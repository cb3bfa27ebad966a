"""Names and docstrings: nouns for classes, a docstring on everything public, no vague words."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

import hasten
from tests.architecture.sources import ROOT, SRC, Function, module_name, parse, place, python_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VAGUE = ("Manager", "Handler", "Service", "Engine", "Helper", "Util", "Utils")
PUBLIC_NAMES = 36
NOQA = re.compile(r"#\s*noqa\b(?!: [A-Z0-9, ]+ - \S)")


def public_nodes(body: list[ast.stmt]) -> Iterator[ast.ClassDef | Function]:
    """Yield the public classes and functions of a module, and the public methods of those."""
    for node in body:
        if isinstance(node, ast.ClassDef | Function) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public_nodes(node.body)


def is_overload(node: ast.AST) -> bool:
    """Tell whether ``node`` only declares a type, for the implementation after it."""
    marks = [ast.unparse(one) for one in getattr(node, "decorator_list", [])]
    return any(mark.endswith(("overload", ".setter", "override")) for mark in marks)


def undocumented(path: Path) -> list[str]:
    """Return the places in ``path`` where a docstring is missing."""
    tree = parse(path)
    nodes = [tree, *(node for node in public_nodes(tree.body) if not is_overload(node))]
    return [place(path, node) for node in nodes if not ast.get_docstring(node)]


def test_everything_public_has_a_docstring() -> None:
    """Modules, public classes, functions and methods say what they are for."""
    assert [where for path in python_files("src", "bench") for where in undocumented(path)] == []


def test_a_missing_docstring_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check sees a module, a class and a method without one, and lets private names be."""
    monkeypatch.setattr("tests.architecture.sources.ROOT", tmp_path)
    path = tmp_path / "bare.py"
    path.write_text("class A:\n    def b(self): ...\n    def _c(self): ...\ndef _d(): ...\n")
    assert undocumented(path) == ["bare.py:1", "bare.py:1", "bare.py:2"]


def test_every_test_says_what_it_proves() -> None:
    """Each test file and each test function has a docstring."""
    missing = []
    for path in python_files("tests"):
        tree = parse(path)
        tests = [
            node
            for node in ast.walk(tree)
            if isinstance(node, Function) and node.name.startswith("test_")
        ]
        missing += [place(path, node) for node in (tree, *tests) if not ast.get_docstring(node)]
    assert missing == []


def test_classes_are_named_by_nouns() -> None:
    """No class is a Manager, Handler, Service, Engine, Helper or Util."""
    vague = [
        f"{place(path, node)}: {node.name}"
        for path in python_files("src")
        for node in ast.walk(parse(path))
        if isinstance(node, ast.ClassDef) and node.name.endswith(VAGUE)
    ]
    assert vague == []


def test_no_module_is_named_for_nothing() -> None:
    """A module says what it owns; ``utils`` and ``common`` own nothing."""
    nothing = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "service"}
    names = [module_name(path) for path in python_files("src")]
    assert [name for name in names if name.rpartition(".")[2] in nothing] == []


def test_public_names_are_few_sorted_and_there() -> None:
    """``hasten.__all__`` has few names, in order, each loaded and documented."""
    names = hasten.__all__
    assert names == sorted(names)
    assert len(names) <= PUBLIC_NAMES
    assert set(names) <= set(dir(hasten))
    assert [name for name in names if not getattr(hasten, name).__doc__] == []
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = hasten.Nonsense


def test_public_names_are_the_same_to_a_type_checker() -> None:
    """What is imported for type checkers is what is loaded when it is used."""
    imports = {
        alias.name: node.module
        for node in ast.walk(parse(SRC / "__init__.py"))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hasten")
        for alias in node.names
    }
    assert imports == hasten._HOMES
    assert sorted(imports) == hasten.__all__


def test_every_noqa_has_its_reason() -> None:
    """A rule is switched off on a line by its code, with a reason: ``# noqa: CODE - reason``."""
    bare = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in python_files("src", "tests", "bench", "scripts")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if NOQA.search(line)
    ]
    assert bare == []
