"""Strings that match a regular expression, for the ``pattern`` of a JSON Schema.

Owns turning a parsed expression back into text. Leaves everything else about
schemas to ``simulated_json``. Pure.

Understands what schemas in use hold: literals, classes, groups, alternatives,
repeats, anchors, back references. Look-around is passed over, so a string made
for an expression with one may not match it.
"""

from __future__ import annotations

import re
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random

_PLAIN = "abcdefghijklmnopqrstuvwxyz0123456789"
_PRINTABLE = _PLAIN + "ABCDEFGHIJKLMNOPQRSTUVWXYZ _-.,:/"
_WIDEST_RANGE = 0x7F
MAX_CHARS = 50_000
"""No string gets longer than this, nor is a pattern's repeat gone through more often."""

_MORE = 3
"""An open repeat goes at most this far above its least."""


def matching(pattern: str, rng: random.Random, *, stretch: int = 0) -> str:
    """Return a string that ``pattern`` matches; its open repeats are longer by ``stretch``.

    Raises ``ValueError`` for an expression Python does not understand, or one that
    only what is longer than ``MAX_CHARS`` would match.
    """
    try:
        parsed = parser.parse(pattern)
    except (re.error, RecursionError) as error:
        message = f"the pattern {pattern!r} cannot be read: {error}"
        raise ValueError(message) from error
    return _Echo(rng, stretch).text(parsed)


def _without(banned: str) -> str:
    return "".join(char for char in _PRINTABLE if char not in banned)


_DIGITS = "0123456789"
_WORD = _PLAIN + _PLAIN[:26].upper() + "_"
_CATEGORIES = {
    sre.CATEGORY_DIGIT: _DIGITS,
    sre.CATEGORY_WORD: _WORD,
    sre.CATEGORY_SPACE: " ",
    sre.CATEGORY_NOT_DIGIT: _without(_DIGITS),
    sre.CATEGORY_NOT_WORD: _without(_WORD),
    sre.CATEGORY_NOT_SPACE: _without(" "),
}


class _Echo:
    """One walk over a parsed expression; remembers groups for back references."""

    def __init__(self, rng: random.Random, stretch: int) -> None:
        self._rng = rng
        self._stretch = stretch
        self._groups: dict[int, str] = {}
        self._walked = 0

    def text(self, parsed: Any) -> str:
        self._walked += 1 + len(parsed)
        if self._walked > MAX_CHARS:
            message = f"what the pattern matches is longer than {MAX_CHARS} characters"
            raise ValueError(message)
        return "".join(self._one(code, argument) for code, argument in parsed)

    def _one(self, code: object, argument: Any) -> str:
        if code is sre.LITERAL:
            return chr(argument)
        if code in (sre.IN, sre.NOT_LITERAL, sre.ANY):
            return self._rng.choice(_allowed(code, argument))
        if code is sre.BRANCH:
            return self.text(self._rng.choice(argument[1]))
        if code in (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT):
            return self._repeat(*argument)
        if code is sre.SUBPATTERN:
            return self._group(argument[0], argument[3])
        if code is sre.ATOMIC_GROUP:
            return self.text(argument)
        if code is sre.GROUPREF:
            return self._groups.get(argument, "")
        return ""

    def _repeat(self, least: int, most: Any, parsed: Any) -> str:
        extra = self._rng.randint(0, _MORE) + self._stretch
        times = min(least + extra, int(most)) if most is not sre.MAXREPEAT else least + extra
        return "".join(self.text(parsed) for _ in range(times))

    def _group(self, number: int | None, parsed: Any) -> str:
        made = self.text(parsed)
        if number is not None:
            self._groups[number] = made
        return made


def _allowed(code: object, argument: Any) -> str:
    """Return the characters a class allows; only the plain ones if there are any."""
    if code is sre.ANY:
        return _PLAIN
    members = [(sre.LITERAL, argument)] if code is sre.NOT_LITERAL else argument
    named = "".join(_members(*member) for member in members)
    if code is sre.NOT_LITERAL or members[0][0] is sre.NEGATE:
        return "".join(char for char in _PRINTABLE if char not in named)
    return "".join(char for char in _PLAIN if char in named) or named


def _members(code: object, argument: Any) -> str:
    if code is sre.LITERAL:
        return chr(argument)
    if code is sre.RANGE:
        low, high = argument
        return "".join(map(chr, range(low, min(high, low + _WIDEST_RANGE) + 1)))
    if code is sre.CATEGORY:
        return _CATEGORIES.get(argument, "")
    return ""
