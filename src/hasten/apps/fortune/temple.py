"""The temple: five deities, a hundred numbered poems, and the passages related to a question.

Owns the poems (``poems/*.toml``, written for this application), looking one up
by deity and number, and finding passages by what they say. Leaves what is made
of them to ``prompts``. A graph takes a ``Temple`` as a resource.
"""

from __future__ import annotations

import re
import sqlite3
import tomllib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from hasten import current_clock
from hasten.apps.fortune.review import wrong_with

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hasten.apps.fortune.inputs import Language

LATENCY_S = {"poem": 0.020, "passages": 1.025, "review": 0.234}
"""Seconds for a poem by its number, for a search (together the plan's 1,045 ms of RAG), and for
its validation stage."""

PASSAGES = 4
"""How many passages a search gives at most."""

_WORD = re.compile(r"[a-z0-9]+|[\u4e00-\u9fff]+")
_TOO_COMMON = frozenset(
    _WORD.findall(
        "a all am an and are as at be but by can could do does for from have how i if in is it "
        "me my not of on or our shall should that the them they this to until was we what when "
        "where which who will with would you your 我 你 他 她 的 了 嗎 是 會 在 有 我的 可以"
    )
)


class Poem(BaseModel):
    """One numbered poem of a deity, in Chinese and English (pairs in this order)."""

    model_config = ConfigDict(frozen=True)

    deity_id: str
    number: int
    luck: str
    title: tuple[str, str]
    zh: tuple[str, ...]
    en: tuple[str, ...]
    gist: tuple[str, str]

    @property
    def label(self) -> str:
        """How logs name it: ``YueLao_1``."""
        return f"{self.deity_id.title().replace('_', '')}_{self.number}"

    def lines(self, language: Language) -> tuple[str, ...]:
        """Return its four lines."""
        return self.zh if language == "zh" else self.en


class Deity(BaseModel):
    """Who is asked; ``themes`` are what people ask them about."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: tuple[str, str]
    about: tuple[str, str]
    themes: tuple[str, ...]
    poems: tuple[Poem, ...]


class Passage(BaseModel):
    """What another poem says to a question; ``source`` is deity and number."""

    model_config = ConfigDict(frozen=True)

    source: str
    text: tuple[str, str]


class Temple:
    """Answers what the tools ask; ``latency_s`` is how long each kind of answer takes."""

    def __init__(self, latency_s: Mapping[str, float] | None = None) -> None:
        self._latency_s = latency_s or {}
        self.is_slow = bool(latency_s)
        _index()  # reading the books takes 20 ms, once: not in a search, while others wait

    async def poem(self, deity_id: str, number: int) -> Poem:
        """Return one poem by its place: no search, so nothing to wait for but the read."""
        await self._wait("poem")
        return deities()[deity_id].poems[number - 1]

    async def passages(self, question: str) -> tuple[Passage, ...]:
        """Return what other poems say to ``question``, the closest first."""
        await self._wait("passages")
        return related(question)

    async def review(self, texts: Mapping[str, str]) -> dict[str, str]:
        """Return what is wrong with each section that is not fit to be given out, by name."""
        await self._wait("review")
        return wrong_with(texts)

    async def _wait(self, what: str) -> None:
        await current_clock().sleep(self._latency_s.get(what, 0.0))


@cache
def deities() -> dict[str, Deity]:
    """Return everybody who can be asked, by id."""
    found = {}
    for path in sorted(files(__package__).joinpath("poems").iterdir(), key=lambda path: path.name):
        told = tomllib.loads(path.read_text(encoding="utf-8"))
        poems = [{"deity_id": told["id"], **poem} for poem in told["poems"]]
        found[told["id"]] = Deity.model_validate({**told, "poems": poems})
    return found


def related(question: str, limit: int = PASSAGES) -> tuple[Passage, ...]:
    """Return the passages that share the most telling words with ``question`` (BM25).

    Words are English words and pairs of neighbouring Chinese characters: most Chinese
    words are two characters long, so trigrams miss them (8 of the 26 Chinese questions of
    the recall test find what answers them), and small sentence vectors find 18; pairs
    find all (``tests/apps/fortune/test_recall.py``).
    """
    words = [word for word in dict.fromkeys(_words(question)) if word not in _TOO_COMMON]
    if not words:
        return ()
    wanted = " OR ".join(f'"{word}"' for word in words)
    rows = _index().execute(
        "SELECT deity_id, number FROM passage WHERE passage MATCH ? ORDER BY rank LIMIT ?",
        (wanted, limit),
    )
    return tuple(_passage(deities()[deity_id].poems[number - 1]) for deity_id, number in rows)


def _passage(poem: Poem) -> Passage:
    names = deities()[poem.deity_id].name
    text = (f"{poem.title[0]}:{poem.gist[0]}", f"{poem.title[1]}: {poem.gist[1]}")
    return Passage(source=f"{names[1].partition(',')[0]} {poem.number}", text=text)


@cache
def _index() -> sqlite3.Connection:
    """Return the full-text index, in memory: a hundred rows, made and searched in microseconds."""
    index = sqlite3.connect(":memory:", check_same_thread=False)
    index.execute(
        "CREATE VIRTUAL TABLE passage USING "
        "fts5(deity_id UNINDEXED, number UNINDEXED, words, tokenize='porter unicode61')"
    )
    index.executemany(
        "INSERT INTO passage VALUES (?, ?, ?)",
        (
            (poem.deity_id, poem.number, " ".join(_words(" ".join((*poem.title, *poem.gist)))))
            for deity in deities().values()
            for poem in deity.poems
        ),
    )
    return index


def _words(text: str) -> Iterator[str]:
    for run in _WORD.findall(text.lower()):
        if run.isascii() or len(run) == 1:
            yield run
        else:
            yield from (run[at : at + 2] for at in range(len(run) - 1))
