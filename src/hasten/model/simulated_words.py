"""Words and numbers that suit a field's name, as the simulated model fills JSON.

Owns what goes into a string or number: a fact of that name if the prompt has
one, else something its name, description or format calls for. Leaves the walk
over the schema to ``simulated_json``. Pure.
"""

from __future__ import annotations

import math
import re
import uuid
from typing import TYPE_CHECKING, Any

from hasten.model.simulated_pattern import MAX_CHARS, matching
from hasten.model.simulated_phrases import OFFERS
from hasten.model.simulated_prompt import Fact, words_in
from hasten.model.simulated_text import Prose

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping, Sequence

_SHORT = re.compile(r"(^|_)(name|title|label|brand|idea|company|competitor)s?$")
_OFFER = re.compile(r"(^|_)(offer|pitch|tagline|product|solution|service|value_proposition)s?$")
_ABOUT = re.compile(r"interest|area|focus|industry|field|topic|product|market|company")
_LONG = re.compile(r"summary|description|analysis|report|text|content|message|detail|body")
_WORDS_USUAL, _WORDS_LONG = 14, 28
_STRETCHES = 40
_SHORT_CHARS = 32

_RANGES: tuple[tuple[str, float, float], ...] = (
    (r"probability|confidence|fraction|ratio|likelihood", 0.2, 0.9),
    (r"score|rating", 5, 9),
    (r"percent|pct|share|rate|growth|margin", 5, 45),
    (r"year", 2025, 2030),
    (r"month|week|day|hour|duration|period", 2, 12),
    (r"price|fee|monthly", 19, 149),
    (r"cost|budget|revenue|income|amount|usd|total|size", 400, 9_000),
    (r"age", 24, 58),
    (r"count|number|quantity|customer|user", 3, 60),
    (r"rank|priority|level|step|index", 1, 5),
)
_ANY_RANGE = (1.0, 100.0)
_WIDE_ENOUGH = 1.0
_OPEN_SPAN = 100.0

_FIRST = ("Clear", "Steady", "Bright", "Swift", "Quiet", "Plain", "Open", "Warm", "Sure", "Good")
_SECOND = (
    "Desk",
    "Path",
    "Note",
    "Bridge",
    "Compass",
    "Loop",
    "Bench",
    "Ledger",
    "Signal",
    "Pilot",
)
_PEOPLE = ("Maya", "Jonas", "Elena", "Samir", "Ruth", "Tomas", "Ines", "Karl", "Nadia", "Owen")
_PLACES = ("Utrecht", "Leeds", "Porto", "Graz", "Lyon", "Tampere", "Ghent", "Brno", "Cork")


class Words:
    """Draws values for one answer; the same name asked twice gets different words."""

    def __init__(self, facts: Sequence[Fact], rng: random.Random) -> None:
        self._facts = facts
        self._rng = rng
        self._short = [fact for fact in facts if len(fact.value) <= _SHORT_CHARS]
        self._offers: list[str] = []
        self._prose: dict[str, Prose] = {}

    def one_of(self, allowed: Sequence[Any], name: str) -> Any:
        """Choose from an enum: the value the prompt gives under ``name``, else any."""
        if not allowed:
            message = f"no value of {name!r} is allowed"
            raise ValueError(message)
        known = self._known(name)
        return known if known in allowed else self._rng.choice(allowed)

    def number(self, name: str) -> float | None:
        """Return the number the prompt gives under ``name``, if it gives one."""
        try:
            known = float(self._known(name) or "")
        except ValueError:
            return None
        return known if math.isfinite(known) else None

    def usual_range(self, name: str, low: float, high: float, step: float) -> tuple[float, float]:
        """Return the part of ``low`` to ``high`` that is usual for a number called ``name``.

        An open side gets an end, and the part is wide enough for a multiple of
        ``step`` (0: any number) wherever ``low`` and ``high`` leave room for one.
        """
        usual = (range_ for stem, *range_ in _RANGES if re.search(stem, name, re.IGNORECASE))
        usual_low, usual_high = next(usual, _ANY_RANGE)
        within_low, within_high = max(low, usual_low), min(high, usual_high)
        enough = step or min(_WIDE_ENOUGH, usual_high - usual_low)
        if within_high - within_low >= enough:
            return within_low, within_high
        span = max(_OPEN_SPAN, 2 * step)
        if math.isinf(low):
            low = min(usual_low, high - span)
        return low, high if math.isfinite(high) else low + span

    def key(self, schema: Mapping[str, Any], name: str) -> str:
        """Draw the key of a free entry in the map called ``name``."""
        if schema.keys() & {"enum", "const", "pattern", "format", "minLength", "maxLength"}:
            if "enum" in schema:
                return str(self.one_of(schema["enum"], name))
            return self.text(schema, f"{name}_name")
        return "_".join(self._rng.choice(_FIRST + _SECOND).lower() for _ in range(2))

    def text(self, schema: Mapping[str, Any], name: str) -> str:
        """Write a string for ``name`` that keeps the format, pattern and lengths of ``schema``."""
        least, most = schema.get("minLength", 0), schema.get("maxLength", math.inf)
        if least > MAX_CHARS:
            message = f"minLength {least} is more than {MAX_CHARS}"
            raise ValueError(message)
        if "pattern" in schema:
            return self._patterned(schema["pattern"], least, most)
        made = _FORMATS.get(schema.get("format", ""))
        if made is not None:
            return made(self._rng)
        return self._fitted(self._written(schema, name), name, least, most)

    def _known(self, name: str) -> str | None:
        """Return the fact called ``name``, whatever way its words are joined."""
        plain = _plain(name)
        return next((fact.value for fact in self._facts if _plain(fact.label) == plain), None)

    def _written(self, schema: Mapping[str, Any], name: str) -> str:
        known = self._known(name)
        if known is not None:
            return known
        lowered = _plain(name).replace(" ", "_")
        for stem, make in _NAMED.items():
            if re.search(stem, lowered):
                return make(self._rng)
        if _SHORT.search(lowered):
            return self._name()
        if _OFFER.search(lowered):
            return self._offer()
        description = f"{schema.get('title', '')} {schema.get('description', '')}"
        usual = _WORDS_LONG if _LONG.search(lowered) else _WORDS_USUAL
        return self._prose_on(name).write(words_in(description) or usual)

    def _prose_on(self, name: str) -> Prose:
        topic = f"the {_plain(name) or 'matter at hand'}"
        return self._prose.setdefault(topic, Prose(topic, self._short, self._rng))

    def _name(self) -> str:
        """Invent a name; some of them carry a word of what the prompt is about."""
        about = [fact.value.split()[0] for fact in self._short if _ABOUT.search(fact.label)]
        first = self._rng.choice([*about, *self._rng.sample(_FIRST, len(_FIRST) // 2)])
        return f"{first.strip(',;:')} {self._rng.choice(_SECOND)}"

    def _offer(self) -> str:
        """Say what a product does, each time another."""
        self._offers = self._offers or self._rng.sample(OFFERS, len(OFFERS))
        return self._offers.pop()

    def _fitted(self, text: str, name: str, least: float, most: float) -> str:
        while len(text) < least:
            text = f"{text} {self._prose_on(name).write(_WORDS_USUAL)}".strip()
        if len(text) <= most:
            return text
        cut = text[: int(most)]
        at_word = cut.rpartition(" ")[0].rstrip(" ,;:")
        return at_word if len(at_word) >= max(least, most // 2) else cut

    def _patterned(self, pattern: str, least: float, most: float) -> str:
        """Try longer and longer matches until one has the wanted length; else the nearest."""
        made = matching(pattern, self._rng)
        for stretch in range(_STRETCHES):
            if least <= len(made) <= most:
                break
            longer = max(stretch, int(least) - len(made)) if len(made) < least else stretch // 8
            made = matching(pattern, self._rng, stretch=longer)
        return made


def _plain(name: str) -> str:
    """Return ``interestArea``, ``interest_area`` and ``Interest area`` as ``interest area``."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return re.sub(r"[\W_]+", " ", spaced).strip().lower()


def _slug(rng: random.Random) -> str:
    return f"{rng.choice(_FIRST)}-{rng.choice(_SECOND)}".lower()


def _date(rng: random.Random) -> str:
    return f"2026-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"


def _time(rng: random.Random) -> str:
    return f"{rng.randint(0, 23):02}:{rng.randint(0, 59):02}:00Z"


def _ipv6(rng: random.Random) -> str:
    return "2001:db8::" + ":".join(f"{rng.randrange(1, 1 << 16):x}" for _ in range(4))


_FORMATS: dict[str, Callable[[random.Random], str]] = {
    "date": _date,
    "time": _time,
    "date-time": lambda rng: f"{_date(rng)}T{_time(rng)}",
    "duration": lambda rng: f"P{rng.randint(1, 30)}D",
    "email": lambda rng: f"{rng.choice(_PEOPLE).lower()}@{_slug(rng)}.example",
    "idn-email": lambda rng: f"{rng.choice(_PEOPLE).lower()}@{_slug(rng)}.example",
    "hostname": lambda rng: f"{_slug(rng)}.example",
    "ipv4": lambda rng: f"192.0.2.{rng.randint(1, 254)}",
    "ipv6": _ipv6,
    "uri": lambda rng: f"https://{_slug(rng)}.example/{rng.randint(1, 99)}",
    "uri-reference": lambda rng: f"/{_slug(rng)}/{rng.randint(1, 99)}",
    "uuid": lambda rng: str(uuid.UUID(int=rng.getrandbits(128), version=4)),
}

_NAMED: dict[str, Callable[[random.Random], str]] = {
    r"(^|_)(url|link|website)$": _FORMATS["uri"],
    r"(^|_)(domain|hostname)$": _FORMATS["hostname"],
    r"(^|_)email$": _FORMATS["email"],
    r"(^|_)(date|deadline)$": _date,
    r"(^|_)(id|slug|key)$": _slug,
    r"(^|_)currency$": lambda _rng: "USD",
    r"(first_name|persona_name|customer_name|person)$": lambda rng: rng.choice(_PEOPLE),
    r"(^|_)(city|location|place)$": lambda rng: rng.choice(_PLACES),
}
