"""Which retriever finds the passage that answers a question: the test that chose ours."""

from __future__ import annotations

import functools
import sqlite3
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import wordllama

from hasten.apps.fortune.temple import deities, related

if TYPE_CHECKING:
    from collections.abc import Callable

CASES = tomllib.loads((Path(__file__).parent / "recall.toml").read_text(encoding="utf-8"))["cases"]
POEMS = {
    f"{deity.name[1].partition(',')[0]} {poem.number}": f"{deity.id}.{poem.number}"
    for deity in deities().values()
    for poem in deity.poems
}
FIRST = 3


def pairs(question: str) -> list[str]:
    """Ask what the application uses."""
    return [POEMS[passage.source] for passage in related(question, FIRST)]


def trigrams(question: str) -> list[str]:
    """Ask SQLite's trigram index over the same texts."""
    index = sqlite3.connect(":memory:")
    index.execute("CREATE VIRTUAL TABLE t USING fts5(poem UNINDEXED, body, tokenize='trigram')")
    index.executemany(
        "INSERT INTO t VALUES (?, ?)",
        (
            (f"{deity.id}.{poem.number}", " ".join((*poem.title, *poem.gist)))
            for deity in deities().values()
            for poem in deity.poems
        ),
    )
    text = question.replace('"', "")
    parts = " OR ".join(f'"{text[at : at + 3]}"' for at in range(len(text) - 2))
    rows = index.execute("SELECT poem FROM t WHERE t MATCH ? ORDER BY rank LIMIT 3", (parts,))
    return [row[0] for row in rows]


@functools.cache
def _vectors() -> tuple[Any, list[str], Any]:
    model = wordllama.WordLlama.load(
        cache_dir=Path(wordllama.__file__).parent, disable_download=True
    )
    poems = [poem for deity in deities().values() for poem in deity.poems]
    texts = [" ".join((*poem.title, *poem.gist)) for poem in poems]
    names = [f"{poem.deity_id}.{poem.number}" for poem in poems]
    return model, names, model.embed(texts, norm=True)


def vectors(question: str) -> list[str]:
    """Ask small sentence vectors of the same texts."""
    model, names, known = _vectors()
    nearness = known @ model.embed([question], norm=True)[0]
    return [names[place] for place in nearness.argsort()[::-1][:FIRST]]


def found(retrieve: Callable[[str], list[str]], *, chinese: bool) -> tuple[int, int]:
    """Return in how many cases one of the wanted poems was among the first, and of how many."""
    cases = [case for case in CASES if case["question"].isascii() is not chinese]
    return sum(bool({*retrieve(case["question"])} & {*case["poems"]}) for case in cases), len(cases)


def test_pairs_of_characters_find_what_others_miss_in_chinese() -> None:
    """Most Chinese words have two characters, so a trigram rarely is one."""
    (ours, asked), (grams, _), (near, _) = (
        found(one, chinese=True) for one in (pairs, trigrams, vectors)
    )
    assert ours >= 0.95 * asked
    assert max(grams, near) < 0.8 * asked


def test_english_is_found_too() -> None:
    """By its words, whatever their ending."""
    ours, asked = found(pairs, chinese=False)
    assert ours >= 0.75 * asked


@pytest.mark.parametrize("question", ["", "??", '"; DROP TABLE passage; --', "的", "\x00", "🙏"])
def test_odd_questions_find_something_or_nothing(question: str) -> None:
    """And never fail."""
    assert len(related(question)) <= FIRST + 1
