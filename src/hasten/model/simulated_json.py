"""Values that satisfy a JSON Schema, as the simulated model answers them.

Owns the walk over a schema. Leaves the words inside strings to
``simulated_words`` and patterns to ``simulated_pattern``. Pure: all chance
comes from the generator that is passed in. ``simulated`` calls it.

Covers what structured output uses (JSON Schema 2020-12): types, ``enum``,
``const``, ``$ref`` into the same document (recursive ones end as early as they
may), ``allOf``, ``anyOf``, ``oneOf`` (its first branch that is not null wins
when branches overlap), objects with ``required``, ``additionalProperties``,
``patternProperties``, ``propertyNames``, sizes; arrays with ``prefixItems``,
``items``, sizes, ``uniqueItems``; numbers with bounds and ``multipleOf``;
strings with ``format``, ``pattern``, lengths. ``not``, ``if`` and ``contains``
are passed over.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from hasten.model.simulated_words import Words

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping, Sequence

    from hasten.model.simulated_prompt import Fact

Schema = Any
"""A JSON Schema as decoded JSON: a mapping, or ``True`` for anything."""

ARRAY_ITEMS = 3
"""How many items an array gets when its schema leaves it open."""

MAP_ENTRIES = 2
"""How many entries an open map gets."""

MAX_DEPTH = 5
"""Below this depth optional parts are left out, so that recursive schemas end."""

MAX_VALUES = 2_000
MAX_NESTING = 60
CHARS_A_VALUE = 50
"""A schema that asks for more is refused: one of anybody's must not hold up a whole server.

A longer string counts as several values.
"""

_UNIQUE_TRIES = 30
_EDGE = 1e-6


def answer(schema: Schema, facts: Sequence[Fact], rng: random.Random, *, name: str = "") -> Any:
    """Return a value that satisfies ``schema`` and uses ``facts`` where a name calls for one.

    Raises ``ValueError`` for a reference that leads nowhere or back to itself, a schema that
    nothing satisfies or that asks for too much, a pattern that cannot be read, or what is
    no schema at all.
    """
    try:
        return _Walk(schema, Words(facts, rng), rng).value(schema, name, 0)
    except (ArithmeticError, AttributeError, LookupError, TypeError) as error:
        message = f"it is no JSON Schema: {error}"
        raise ValueError(message) from error


class _Walk:
    """One walk: ``name`` is the property a value is for, ``depth`` how deep it is nested."""

    def __init__(self, root: Schema, words: Words, rng: random.Random) -> None:
        self._root = root
        self._words = words
        self._rng = rng
        self._made = 0

    def value(self, schema: Schema, name: str, depth: int) -> Any:
        self._made += 1
        if self._made > MAX_VALUES or depth > MAX_NESTING:
            message = f"it asks for more than {MAX_VALUES} values, or {MAX_NESTING} in each other"
            raise ValueError(message)
        found = self._flat(schema, depth)
        if "const" in found:
            return found["const"]
        if "enum" in found:
            return self._words.one_of(found["enum"], name)
        kind = _kind(found)
        if kind == "object":
            return self._object(found, name, depth)
        if kind == "array":
            return self._array(found, name, depth)
        if kind in ("integer", "number"):
            return self._number(found, name, is_integer=kind == "integer")
        if kind == "boolean":
            return self._rng.choice((True, False))
        if kind == "null":
            return None
        text = self._words.text(found, name)
        self._made += len(text) // CHARS_A_VALUE
        return text

    def _flat(self, schema: Schema, depth: int, joined: int = 0) -> dict[str, Any]:
        """Return ``schema`` with references followed and one branch of each choice taken.

        It is ``joined`` joins deep in the schema of the same value.
        """
        if joined > MAX_NESTING:
            message = "a reference leads back to itself"
            raise ValueError(message)
        if schema is True:
            return {}
        if schema is False:
            message = "nothing satisfies the schema false"
            raise ValueError(message)
        flat = {key: item for key, item in schema.items() if key not in _JOINS}
        parts = list(schema.get("allOf", ()))
        if "$ref" in schema:
            parts.append(self._resolve(schema["$ref"]))
        parts += [self._branch(schema[key], depth) for key in ("anyOf", "oneOf") if key in schema]
        for part in parts:
            flat = _merge(flat, self._flat(part, depth, joined + 1))
        return flat

    def _branch(self, branches: Sequence[Schema], depth: int) -> Schema:
        """Choose a branch; deep down the one that ends soonest, else one that is not null."""
        if depth >= MAX_DEPTH:
            return min(branches, key=self._height)
        filled = [branch for branch in branches if _kind_of(branch) != "null"]
        return self._rng.choice(filled or list(branches))

    def _height(self, branch: Schema) -> int:
        if not isinstance(branch, dict) or "$ref" in branch:
            return 2
        return 0 if _kind_of(branch) not in ("object", "array") else 1

    def _resolve(self, reference: str) -> Schema:
        found = self._root
        for step in reference.removeprefix("#").split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, dict) or key not in found:
                message = f"the schema has no {reference!r}"
                raise ValueError(message)
            found = found[key]
        return found

    def _object(self, schema: Mapping[str, Any], name: str, depth: int) -> dict[str, Any]:
        properties: Mapping[str, Schema] = schema.get("properties", {})
        required = list(schema.get("required", ()))
        optional = [key for key in properties if key not in required]
        most = schema.get("maxProperties", math.inf)
        least = schema.get("minProperties", 0)
        wanted = least if depth >= MAX_DEPTH else most
        chosen = {*required, *optional[: max(0, min(len(optional), wanted - len(required)))]}
        keys = [*(key for key in properties if key in chosen)]
        keys += [key for key in required if key not in properties]
        made = {key: self.value(properties.get(key, True), key, depth + 1) for key in keys}
        self._fill_map(made, schema, name, depth)
        return made

    def _fill_map(
        self, made: dict[str, Any], schema: Mapping[str, Any], name: str, depth: int
    ) -> None:
        """Add entries whose keys are free: as many as must be, or a few to an open map."""
        patterns: Mapping[str, Schema] = schema.get("patternProperties", {})
        pattern, item = next(iter(patterns.items()), (None, schema.get("additionalProperties")))
        is_open_map = not schema.get("properties") and isinstance(item, dict)
        wanted = MAP_ENTRIES if is_open_map and depth < MAX_DEPTH else 0
        wanted = max(wanted, schema.get("minProperties", 0))
        wanted = min(wanted, schema.get("maxProperties", math.inf))
        keys = schema.get("propertyNames", {} if pattern is None else {"pattern": pattern})
        for _ in range(_UNIQUE_TRIES):
            if len(made) >= wanted or item is False:
                return
            key = self._words.key(self._flat(keys, depth), name)
            made.setdefault(key, self.value(True if item is None else item, key, depth + 1))

    def _array(self, schema: Mapping[str, Any], name: str, depth: int) -> list[Any]:
        first = schema.get("prefixItems", ())
        least = schema.get("minItems", 0)
        most = schema.get("maxItems", max(least, ARRAY_ITEMS, len(first)))
        rest = schema.get("items", True)
        if rest is False:
            most = min(most, len(first))
        usual = max(least, min(most, ARRAY_ITEMS, least + 2))
        count = least if depth >= MAX_DEPTH else max(usual, min(len(first), most))
        made: list[Any] = []
        for _ in range(count + _UNIQUE_TRIES):
            if len(made) >= count:
                break
            part = first[len(made)] if len(made) < len(first) else rest
            item = self.value(part, _singular(name), depth + 1)
            if not (schema.get("uniqueItems") and item in made):
                made.append(item)
        return made

    def _number(self, schema: Mapping[str, Any], name: str, *, is_integer: bool) -> float:
        step = schema.get("multipleOf", 1 if is_integer else 0)
        low, high = self._words.usual_range(name, *_bounds(schema, step), step)
        known = self._words.number(name)
        if known is not None and low <= known <= high and not (step and known % step):
            return int(known) if is_integer else known
        if step:
            drawn = step * self._rng.randint(*_multiples(low, high, step))
            return int(drawn) if is_integer else drawn
        drawn = self._rng.uniform(low, high)
        rounded = round(drawn, 2)
        return rounded if low <= rounded <= high else drawn


_JOINS = ("allOf", "anyOf", "oneOf", "$ref", "$defs", "definitions")


def _kind_of(schema: Schema) -> str:
    return _kind(schema) if isinstance(schema, dict) else "string"


def _kind(schema: Mapping[str, Any]) -> str:
    """Return the type to answer with; a schema that names none tells by its other words."""
    named = schema.get("type")
    if isinstance(named, list):
        return next((kind for kind in named if kind != "null"), "null")
    if isinstance(named, str):
        return named
    if schema.keys() & {"properties", "required", "additionalProperties", "patternProperties"}:
        return "object"
    if schema.keys() & {"items", "prefixItems", "minItems", "maxItems"}:
        return "array"
    is_number = schema.keys() & {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
    return "number" if is_number or "multipleOf" in schema else "string"


def _merge(one: dict[str, Any], two: Mapping[str, Any]) -> dict[str, Any]:
    """Return what satisfies both: the union of demands, and of bounds the tighter."""
    merged = {**two, **one}
    for key in one.keys() & two.keys():
        if key == "properties":
            merged[key] = {**two[key], **one[key]}
        elif key == "required":
            merged[key] = [*one[key], *(name for name in two[key] if name not in one[key])]
        elif key == "enum":
            merged[key] = [item for item in one[key] if item in two[key]]
        elif key.lower().endswith(_LEAST):
            merged[key] = max(one[key], two[key])
        elif key.lower().endswith(_MOST):
            merged[key] = min(one[key], two[key])
    return merged


_LEAST = ("minimum", "minlength", "minitems", "minproperties")
_MOST = ("maximum", "maxlength", "maxitems", "maxproperties")


def _bounds(schema: Mapping[str, Any], step: float) -> tuple[float, float]:
    """Return the closed range of ``schema``; an open side is infinite.

    An exclusive bound moves inwards to the next multiple of ``step``, or by a hair.
    """
    low, high = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if above is not None:
        low = max(low, math.floor(above / step + 1) * step if step else _inside(above, below))
    if below is not None:
        high = min(high, math.ceil(below / step - 1) * step if step else -_inside(-below, above))
    return low, high


def _multiples(low: float, high: float, step: float) -> tuple[int, int]:
    """Return the first and last count of ``step`` between ``low`` and ``high``."""
    first, last = math.ceil(low / step), math.floor(high / step)
    if first > last:
        message = f"no multiple of {step:g} lies between {low:g} and {high:g}"
        raise ValueError(message)
    return first, last


def _inside(edge: float, other: float | None) -> float:
    span = abs((edge + 1 if other is None else other) - edge) or 1.0
    return edge + min(_EDGE * max(1.0, abs(edge)), span / 4)


def _singular(name: str) -> str:
    return name.removesuffix("s") if name.endswith("s") and not name.endswith("ss") else name
