"""Prompts with fewer tokens that still ask the same: rules that drop only what says nothing new.

Owns the rules and what each saves. Leaves when to use them to ``compacted`` (at every
call) and to ``hasten prompts compact`` (once, in a template). Pure. Code fences,
placeholders and what stands in quotes are never touched; a rule that saves nothing is
not applied.

| rule | what it does |
|---|---|
| ``spaces`` | runs of spaces and of empty lines become one |
| ``schema`` | a JSON Schema in the text goes when the request carries it anyway |
| ``repeated`` | a paragraph or line that was said before goes |
| ``bullets`` | instructions of several sentences become a list without filler words |
| ``context`` | a marked context keeps the paragraphs nearest to the question, up to a budget |
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hasten.model.base import count_tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

REPEATED_CHARS = 40
"""Shorter lines may be repeated for a reason: headings, separators, list items."""

_FENCE = re.compile(r"(```.*?```|~~~.*?~~~)", re.DOTALL)
_CONTEXT = re.compile(
    r"(?P<open><(?P<tag>context|documents?|background|passages?|retrieved)\b[^>]*>)"
    r"(?P<inside>.*?)(?P<close></(?P=tag)>)",
    re.DOTALL | re.IGNORECASE,
)
_CONTEXT_HEADING = re.compile(
    r"^(?:#+ *|\*\*)?[^\n:#*]{0,40}\b(?:context|background|documents|passages)\b[^\n:#*]{0,40}"
    r"(?::?\*\*:?|:)? *$",
    re.IGNORECASE | re.MULTILINE,
)
_HEADING = re.compile(r"^(?:#+ .+|\*\*[^*\n]+\*\*:?|[A-Z][^\n.]{0,60}:) *$", re.MULTILINE)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"'*{])")
_LEAST_SENTENCES = 3
_ASKING = re.compile(
    r"^(?:please|you (?:should|must|need|will|are)|make sure|be sure|ensure|always|never|do not|"
    r"don't|it is important|remember|try|use|write|give|create|provide|list|return|include|avoid|"
    r"keep|answer|explain|describe|generate|i would like|i want|your task)\b",
    re.IGNORECASE,
)
_FILLER = (
    (r"^please (?:note that |make sure (?:that |to )?|be sure to |ensure that )?", ""),
    (r"^(?:it is (?:very |extremely )?important (?:that you |to (?:note that )?))", ""),
    (r"^(?:i would like you to|i want you to|i need you to|your task is to) ", ""),
    (r"^(?:you (?:should|need to|have to|will need to)) (?!not\b|never\b)(?:always )?", ""),
    (r"^(?:you (?:should|must) (?:not|never)) ", "do not "),
    (r"^(?:make sure (?:that you |to )|be sure to |remember to )", ""),
    (r"\bin order to\b", "to"),
    (r"\bas well as\b", "and"),
    (r"\bdue to the fact that\b", "because"),
    (r"\bat this point in time\b", "now"),
    (r"\bin the event that\b", "if"),
    (r"\bfor the purpose of\b", "for"),
    (r"\ba large number of\b", "many"),
)
_FILLERS = tuple((re.compile(one, re.IGNORECASE), other) for one, other in _FILLER)
_WORD = re.compile(r"\w{3,}")


@dataclass(frozen=True, slots=True)
class RuleEffect:
    """What one rule did: the tokens before and after it."""

    rule: str
    tokens_before: int
    tokens_after: int


@dataclass(frozen=True, slots=True)
class Compaction:
    """A text that was made shorter, and what each rule did to it."""

    text: str
    effects: tuple[RuleEffect, ...]

    @property
    def tokens_saved(self) -> int:
        """How many tokens all rules together save."""
        return sum(one.tokens_before - one.tokens_after for one in self.effects)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactPolicy:
    """Which rules to use.

    ``context_tokens`` is the budget of each marked context (``None``: all of it stays).
    What a person wrote is theirs: instructions become bullets only in turns of the roles
    in ``own_roles``, and elsewhere only what an earlier turn said is dropped as repeated.
    """

    context_tokens: int | None = None
    drops_repeated: bool = True
    drops_schema: bool = True
    own_roles: frozenset[str] = frozenset({"system"})


def compact(
    text: str,
    policy: CompactPolicy,
    *,
    role: str = "system",
    schema: dict[str, Any] | None = None,
    said: set[str] | None = None,
    question: str = "",
) -> Compaction:
    """Return ``text`` under the rules of ``policy``.

    ``schema`` is what the request asks for besides. ``said`` are the paragraphs of turns
    before this one; those of this one are added. ``question`` is what the context is
    for; by default what stands around it.
    """
    rules: list[tuple[str, Callable[[str], str]]] = [("spaces", _tidy)]
    if policy.drops_schema and schema is not None:
        rules.append(("schema", lambda one: _without_schema(one, schema)))
    if policy.drops_repeated:
        known = set() if said is None else said
        is_own = role in policy.own_roles
        rules.append(("repeated", lambda one: _without_repeated(one, known, is_own=is_own)))
    if role in policy.own_roles:
        rules.append(("bullets", _as_bullets))
    if policy.context_tokens is not None:
        most = policy.context_tokens
        rules.append(("context", lambda one: _trimmed_contexts(one, question, most)))
    effects = []
    for name, rule in rules:
        changed = rule(text)
        before, after = count_tokens(text), count_tokens(changed)
        if after < before:
            effects.append(RuleEffect(name, before, after))
            text = changed
    return Compaction(text, tuple(effects))


def trim(context: str, question: str, most_tokens: int) -> str:
    """Return the paragraphs of ``context`` that are nearest to ``question``, in their order.

    As many as fit into ``most_tokens``; nearness is BM25 (Robertson and Zaragoza, "The
    Probabilistic Relevance Framework", 2009) over the paragraphs. What none of them
    touches keeps its beginning, as the plans do it.
    """
    if count_tokens(context) <= most_tokens:
        return context
    paragraphs = [one for one in re.split(r"\n\s*\n", context) if one.strip()]
    scores = nearness(question, paragraphs)
    kept: set[int] = set()
    left = most_tokens
    for place in sorted(range(len(paragraphs)), key=lambda one: (-scores[one], one)):
        needed = count_tokens(paragraphs[place]) + 1
        if needed <= left:
            kept.add(place)
            left -= needed
    if not kept and paragraphs:
        best = max(range(len(paragraphs)), key=lambda one: scores[one])
        return _beginning(paragraphs[best], most_tokens)
    return "\n\n".join(paragraphs[place] for place in sorted(kept))


def nearness(question: str, texts: Iterable[str]) -> list[float]:
    """Return how near each of ``texts`` is to ``question``: BM25 with its usual constants."""
    counts = [Counter(words(text)) for text in texts]
    lengths = [sum(one.values()) for one in counts]
    usual = (sum(lengths) / len(lengths) if lengths else 0.0) or 1.0
    found = Counter(word for one in counts for word in one)
    scores = []
    for one, length in zip(counts, lengths, strict=True):
        score = 0.0
        for word in set(words(question)) & one.keys():
            rarity = math.log(1 + (len(counts) - found[word] + 0.5) / (found[word] + 0.5))
            bulk = 1.5 * (1 - 0.75 + 0.75 * length / usual)
            score += rarity * one[word] * 2.5 / (one[word] + bulk)
        scores.append(score)
    return scores


def words(text: str) -> list[str]:
    """Return the words of ``text`` that can be compared."""
    return [word.lower() for word in _WORD.findall(text)]


def paragraphs_of(text: str) -> list[str]:
    """Return the parts of ``text`` that empty lines separate, without spaces around them."""
    return [one.strip() for one in re.split(r"\n\s*\n", text) if one.strip()]


def _outside_fences(text: str, change: Callable[[str], str]) -> str:
    parts = _FENCE.split(text)
    return "".join(part if place % 2 else change(part) for place, part in enumerate(parts))


def _tidy(text: str) -> str:
    def tidy(part: str) -> str:
        part = re.sub(r"[ \t]+(?=\n|$)", "", part)
        part = re.sub(r"(?<=\S)[ \t]{2,}(?=\S)", " ", part)
        return re.sub(r"\n{3,}", "\n\n", part)

    return _outside_fences(text, tidy).strip()


def _without_repeated(text: str, said: set[str], *, is_own: bool) -> str:
    """Drop each paragraph, or line if there is but one, that was said before word for word.

    Of what is not our own text only what was said in an earlier turn.
    """
    before = said if is_own else set(said)

    def drop(part: str, separator: str) -> str:
        kept = []
        for one in part.split(separator):
            told = " ".join(one.split())
            if len(told) >= REPEATED_CHARS and "{" not in told:
                if told in before:
                    continue
                said.add(told)
            kept.append(one)
        return separator.join(kept)

    def both(part: str) -> str:
        return drop(part, "\n\n") if "\n\n" in part.strip() else drop(part, "\n")

    return _outside_fences(text, both)


def _without_schema(text: str, schema: dict[str, Any]) -> str:
    """Drop JSON in ``text`` that says what ``schema`` says, with its fence."""

    def unless_schema(found: re.Match[str]) -> str:
        body = re.sub(r"^```\w*\n?|```$", "", found[0]).strip()
        return "" if _is_schema(body, schema) else found[0]

    text = re.sub(r"```.*?```", unless_schema, text, flags=re.DOTALL)
    decoder, place, kept = json.JSONDecoder(), 0, []
    for opening in re.finditer(r"\{", text):
        if opening.start() < place:
            continue
        try:
            _, end = decoder.raw_decode(text, opening.start())
        except (ValueError, RecursionError):
            continue
        if _is_schema(text[opening.start() : end], schema):
            kept.append(text[place : opening.start()])
            place = end
    kept.append(text[place:])
    return re.sub(r"\n{3,}", "\n\n", "".join(kept)).strip()


def _is_schema(text: str, schema: dict[str, Any]) -> bool:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return False
    if not isinstance(found, dict) or not isinstance(found.get("properties"), dict):
        return bool(found == schema)
    known = schema.get("properties")
    return isinstance(known, dict) and set(found["properties"]) <= set(known)


def _as_bullets(text: str) -> str:
    """Turn each paragraph of instructions into a list; other paragraphs stay as they are."""

    def listed(part: str) -> str:
        return "\n\n".join(_bullets(one) for one in part.split("\n\n"))

    return _outside_fences(text, listed)


def _bullets(paragraph: str) -> str:
    if "\n" in paragraph.strip() or '"' in paragraph:
        return paragraph
    sentences = _SENTENCE_END.split(paragraph.strip())
    asking = sum(bool(_ASKING.match(one)) for one in sentences)
    if len(sentences) < _LEAST_SENTENCES or asking * 2 < len(sentences):
        return paragraph
    made = "\n".join(f"- {_terse(one)}" for one in sentences)
    return made if count_tokens(made) < count_tokens(paragraph) else paragraph


def _terse(sentence: str) -> str:
    for pattern, instead in _FILLERS:
        sentence = pattern.sub(instead, sentence)
    return sentence.removesuffix(".")[:1].upper() + sentence.removesuffix(".")[1:]


def _trimmed_contexts(text: str, question: str, most_tokens: int) -> str:
    def tagged(found: re.Match[str]) -> str:
        about = question or text.replace(found[0], " ")
        return f"{found['open']}{trim(found['inside'], about, most_tokens)}{found['close']}"

    text = _CONTEXT.sub(tagged, text)
    heading = _CONTEXT_HEADING.search(text)
    if heading is None:
        return text
    after = _HEADING.search(text, heading.end())
    end = after.start() if after is not None else len(text)
    inside = text[heading.end() : end]
    about = question or text[: heading.start()] + text[end:]
    shorter = trim(inside, about, most_tokens)
    if shorter == inside:
        return text
    return f"{text[: heading.end()]}\n{shorter.strip()}\n\n{text[end:]}".rstrip()


def _beginning(text: str, most_tokens: int) -> str:
    """Return as many whole words of ``text`` as fit, with a mark that more was there."""
    cut = text.encode()[: max(0, most_tokens - 1) * 4].decode(errors="ignore")
    return cut.rpartition(" ")[0] + " …" if " " in cut else cut
