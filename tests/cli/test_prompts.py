"""``hasten prompts``: recorded calls and template files, looked at and shortened."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.model.test_prompt import SCHEMA, WORDY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Said

TEMPLATE = f"You write for {{persona}}.\n\n{WORDY}\n\n## Task\nAnswer.\n\n{WORDY}\n"


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """Give a template file in the folder that commands run in."""
    path = tmp_path / "template.txt"
    path.write_text(TEMPLATE)
    return path


def test_recorded_calls_have_counts_and_text_only_if_asked(
    raced: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By default the text is nowhere, and the command says how to have it."""
    said = raced("prompts", "analyze")
    assert said.code == 0
    assert "HASTEN_RECORD_PROMPTS=true" in said.err
    assert "toy: " in said.out
    assert "Tokens by part" not in said.out
    monkeypatch.setenv("HASTEN_RECORD_PROMPTS", "true")
    raced("run", "toy", "--set", "topic=coffee")
    said = raced("prompts", "analyze", "--app", "toy")
    assert said.err == ""
    assert "Tokens by part" in said.out
    found = raced("prompts", "analyze", "--json").json
    assert found["has_text"]
    assert found["kinds"][0]["parts"]


def test_a_template_is_told_by_its_parts(hasten: Callable[..., Said], template: Path) -> None:
    """Parts, what it repeats, and where the provider's prefix ends."""
    said = hasten("prompts", "analyze", template.name)
    assert (said.code, said.err) == (0, "")
    assert "system: Task" in said.out
    assert "the placeholder {persona}" in said.out
    assert "Repeated across prompts" in said.out


def test_compact_shows_what_it_does_and_writes_only_if_asked(
    hasten: Callable[..., Said], template: Path
) -> None:
    """Before and after, tokens by rule; the file changes with --write, another with --output."""
    said = hasten("prompts", "compact", template.name)
    assert said.code == 0
    assert "system: repeated saves" in said.out
    assert "+- Do not invent any numbers" in said.out
    assert template.read_text() == TEMPLATE
    assert hasten("prompts", "compact", template.name, "-o", "short.txt").code == 0
    assert template.read_text() == TEMPLATE
    short = (template.parent / "short.txt").read_text()
    assert short.endswith("Answer.\n")
    assert "{persona}" in short
    assert hasten("prompts", "compact", template.name, "--write").code == 0
    assert template.read_text() == short
    again = hasten("prompts", "compact", template.name, "--json").json
    assert again[0]["tokens_before"] - again[0]["tokens_after"] <= 1


def test_a_schema_in_the_text_goes(hasten: Callable[..., Said], template: Path) -> None:
    """When the requests carry it."""
    template.write_text(f"Score it.\n\n```json\n{json.dumps(SCHEMA)}\n```\n")
    (template.parent / "schema.json").write_text(json.dumps(SCHEMA))
    said = hasten("prompts", "compact", template.name, "--schema", "schema.json", "--json")
    assert said.json[0]["turns"][0]["after"] == "Score it."


def test_recorded_calls_are_compacted_for_show(
    with_toy: None, hasten: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest of each kind; there is nothing to write."""
    monkeypatch.setenv("HASTEN_RECORD_PROMPTS", "true")
    hasten("run", "toy")
    said = hasten("prompts", "compact", "--app", "toy")
    assert said.code == 0
    assert "tokens" in said.out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("analyze", "nowhere.txt"), "nowhere.txt cannot be read: No such file"),
        (("analyze", "binary"), "binary cannot be read: it is not UTF-8"),
        (("analyze",), "no model calls are recorded"),
        (("compact", "--write"), "need template files"),
        (("compact", "binary", "binary", "-o", "x"), "--output takes the result of one"),
        (("compact", "template.txt", "--schema", "template.txt"), "is no JSON Schema"),
    ],
)
def test_wrong_usage_says_what_would_do(
    hasten: Callable[..., Said], template: Path, words: tuple[str, ...], told: str
) -> None:
    """Exit code 2, and one line."""
    (template.parent / "binary").write_bytes(b"\xff\xfe\x00")
    said = hasten("prompts", *words)
    assert said.code == 2
    assert told in said.err.replace("\n", " ")
