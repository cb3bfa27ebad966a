"""What surrounds the writing: the poem, related passages, and the report that is given out.

Owns the two tools with what may be kept of their answers, and the last step, with
the validation stage. Both modes use them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hasten import CachePolicy, HastenError, step, tool
from hasten.apps.fortune.inputs import Language, language_of
from hasten.apps.fortune.report import assemble
from hasten.apps.fortune.review import wrong_with
from hasten.apps.fortune.temple import Passage, Poem, Temple

if TYPE_CHECKING:
    from collections.abc import Mapping

DAY_S = 86_400.0


@tool(
    phase="RAG",
    label="Finding the poem",
    log_fields=("deity_id", "fortune_number"),
    timeout_s=5.0,
    cache=CachePolicy(
        use="poem",
        ttl_s=30 * DAY_S,
        scope="public",
        fields=("deity_id", "fortune_number"),
        ignore=("temple",),
        tags=("poem:{deity_id}",),
    ),
)
async def poem(temple: Temple, deity_id: str, fortune_number: int) -> Poem:
    """Look the poem up by deity and number."""
    return await temple.poem(deity_id, fortune_number)


@tool(
    phase="RAG",
    label="Looking for related passages",
    timeout_s=5.0,
    cache=CachePolicy(
        use="passages",
        ttl_s=DAY_S,
        scope="user",
        fields=("question",),
        ignore=("temple",),
    ),
)
async def passages(temple: Temple, question: str) -> tuple[Passage, ...]:
    """Find what other poems say to the question; a question is its asker's own."""
    return await temple.passages(question)


@step(phase="RAG", label="Choosing the language")
async def spoken(question: str, language: Language | None) -> Language:
    """Choose the language to answer in."""
    return language_of(question, language)


async def give_out(
    temple: Temple, poem: Poem, spoken: Language, texts: Mapping[str, str | None]
) -> str:
    """Return the report once the sections that came have passed the validation stage.

    Raises ``HastenError`` that says which do not, and why.
    """
    if wrong := await temple.review({name: text for name, text in texts.items() if text}):
        message = "; ".join(f"{name}: {why}" for name, why in wrong.items())
        raise HastenError(message)
    return assemble(poem, texts, spoken)


def give_out_the_rest(poem: Poem, spoken: Language, texts: Mapping[str, str | None]) -> str:
    """Return the report without the sections that do not pass."""
    wrong = wrong_with(texts)
    return assemble(poem, {name: texts[name] for name in texts if name not in wrong}, spoken)
