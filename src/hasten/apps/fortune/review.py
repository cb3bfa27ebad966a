"""The validation stage: what is wrong with the sections of an interpretation.

Owns the checks. Pure; ``temple`` calls it and takes its time, ``report`` leaves out
what does not pass.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MIN_CHARS = 80
"""A section shorter than this says nothing."""

_TITLE = re.compile(r"\s*#{1,6}[ \t]*.+")
_PROMISE = re.compile(
    r"\b(?:guaranteed to|will certainly (?:die|win|heal)|stop taking your)\b"
    r"|保證(?:痊癒|獲利)|必死",
    re.IGNORECASE,
)


def body(text: str | None) -> str:
    """Return a section without its own title."""
    text = text or ""
    title = _TITLE.match(text)
    return (text[title.end() :] if title else text).strip()


def wrong_with(texts: Mapping[str, str | None]) -> dict[str, str]:
    """Return what is wrong with each section that is not fit to be given out, by name.

    A section says something, and promises nothing that a temple must not promise.
    """
    wrong = {}
    for name, text in texts.items():
        told = body(text)
        if len(told) < MIN_CHARS:
            wrong[name] = f"{len(told)} characters, at least {MIN_CHARS} wanted"
        elif promise := _PROMISE.search(told):
            wrong[name] = f"promises too much: {promise[0]!r}"
    return wrong
