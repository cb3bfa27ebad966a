"""What people do in a load test: look around, draw a poem, ask, read, ask the same again.

Owns the mix. The manifest gives it as ``App.load``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hasten.apps.fortune.inputs import DEITY_IDS, POEMS_EACH

if TYPE_CHECKING:
    from collections.abc import Generator
    from random import Random

AT = "/apps/fortune"
ASK = f"{AT}/api/v1/async-chat/ask-question"

AGAIN = 0.3
"""The share of visits at whose end the same is asked once more."""

WHAT = (
    "Should I move to another town in {}?",
    "Will my exam in {} go well?",
    "Is {} a year to marry?",
    "Can my shop bear a second one in {}?",
    "我{}年可以換工作嗎?",
)


def visit(profile: str, chance: Random) -> Generator[tuple[str, str, Any], Any, None]:
    """Ask one question and read its answer; unless in a burst, see deity, poem and history."""
    deity, number = chance.choice(DEITY_IDS), chance.randint(1, POEMS_EACH)
    question = chance.choice(WHAT).format(chance.randint(2027, 2099))
    asked = {"deity_id": deity, "fortune_number": number, "question": question}
    if profile != "burst":
        yield "GET", f"{AT}/deities", None
        yield "GET", f"{AT}/deities/{deity}/poems/{number}", None
    for _ in range(2 if chance.random() < AGAIN else 1):
        task = yield "POST", ASK, asked
        yield "GET", task["events"], None
        yield "GET", task["task"], None
    if profile != "burst":
        yield "GET", f"{AT}/history", None
