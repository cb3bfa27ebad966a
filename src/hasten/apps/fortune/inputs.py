"""What a person brings to the temple: whom they ask, the stick they drew, their question.

Owns what is valid and inputs to try. Leaves the poems to ``temple``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

DeityId = Literal["guan_yin", "guan_yu", "mazu", "wen_chang", "yue_lao"]
Language = Literal["en", "zh"]

DEITY_IDS: tuple[DeityId, ...] = get_args(DeityId)
POEMS_EACH = 20
MAX_QUESTION_CHARS = 500


class FortuneInputs(BaseModel):
    """A question to a deity about the poem that was drawn.

    ``language`` is that of the answer; without it, the language of the question.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    deity_id: DeityId = Field(title="Deity")
    fortune_number: int = Field(ge=1, le=POEMS_EACH, title="Number of the poem")
    question: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_QUESTION_CHARS)
    ] = Field(title="Your question")
    language: Language | None = Field(None, title="Language of the answer")


def language_of(question: str, language: Language | None) -> Language:
    """Return the language to answer in: the one asked for, else Chinese for Chinese text."""
    is_chinese = any("\u4e00" <= letter <= "\u9fff" for letter in question)
    return language or ("zh" if is_chinese else "en")


SAMPLES: dict[str, dict[str, Any]] = {
    "love": {
        "deity_id": "yue_lao",
        "fortune_number": 1,
        "question": "Will I meet somebody this year, and what should I do until then?",
    },
    "工作": {
        "deity_id": "guan_yu",
        "fortune_number": 6,
        "question": "我想辭職換工作,現在是好時機嗎?",
    },
    "journey": {
        "deity_id": "mazu",
        "fortune_number": 5,
        "question": "We think of moving abroad with two children. Is it the right time?",
    },
}
