"""What prompts are made of: tokens by part, what they repeat, where a provider's cache ends.

Owns the figures over a set of prompts, recorded or written as templates. Leaves the
rules that shorten them to ``prompt`` and showing to ``cli/prompts``. Pure.

A provider's prompt cache holds the beginning that calls share, to the first character
that differs, and only from ``CACHED_FROM_TOKENS`` on (OpenAI, "Prompt caching";
Anthropic, "Prompt caching": 1,024 tokens for most models). So whatever changes from
call to call belongs after everything that stays.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import msgspec

from hasten.model.base import count_tokens
from hasten.model.price import PRICES, PriceTable, price_of
from hasten.model.prompt import REPEATED_CHARS, CompactPolicy, compact, paragraphs_of

if TYPE_CHECKING:
    from collections.abc import Sequence

CACHED_FROM_TOKENS = 1_024
"""Shorter beginnings are not kept by the providers' prompt caches."""

SHOWN_CHARS = 60
PER_TOKENS = 1_000_000

_PART = re.compile(r"^(?:#+ +(?P<a>.+)|\*\*(?P<b>[^*\n]+?):?\*\*:?|<(?P<c>\w+)>) *$", re.MULTILINE)
_PLACEHOLDER = re.compile(r"\{\{.*?\}\}|\{\w+\}|\$\{?\w+\}?|<<\w+>>")
_VOLATILE = (
    ("a date or time", re.compile(r"\d{4}-\d\d-\d\d|\d\d:\d\d")),
    ("an id", re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-|[0-9a-f]{16,}", re.IGNORECASE)),
    ("a number", re.compile(r"^\W*\d")),
)


class Prompt(msgspec.Struct, frozen=True):
    """One prompt: ``name`` groups those of one kind, ``turns`` are roles with their texts.

    ``tokens_in`` is the provider's count, if it was asked; ``cached_tokens_in`` came from
    its prompt cache. Without turns only the counts are known.
    """

    name: str
    turns: tuple[tuple[str, str], ...] = ()
    model: str = ""
    tokens_in: int = 0
    cached_tokens_in: int = 0

    @property
    def text(self) -> str:
        """All turns, in the order a provider reads them."""
        return "\n\n".join(text for _, text in self.turns)

    @property
    def tokens(self) -> int:
        """The provider's count, else the estimate."""
        return self.tokens_in or sum(count_tokens(text) for _, text in self.turns)


class PartTokens(msgspec.Struct, frozen=True):
    """A part of prompts of one kind: the mean of its tokens, and whether it changes by call."""

    part: str
    tokens: float
    changes: bool


class PromptKind(msgspec.Struct, frozen=True):
    """Prompts of one name: means per call, and what a provider's cache makes of them.

    ``prefix_tokens`` is the beginning all of them share, ``broken_by`` what ends it, and
    ``constant_tokens`` what they share anywhere: the prefix there could be.
    ``saved_tokens`` and ``saved_usd`` are what that order would have saved over all
    calls, at the price of their model. ``compacted_tokens`` is the mean after the rules.
    """

    name: str
    calls: int
    tokens: float
    cached_tokens: float
    parts: tuple[PartTokens, ...]
    prefix_tokens: int
    constant_tokens: int
    broken_by: str
    saved_tokens: int
    saved_usd: float
    compacted_tokens: float


class Repeated(msgspec.Struct, frozen=True):
    """A paragraph that stands in several places: how often, in which kinds, and its tokens."""

    text: str
    times: int
    names: tuple[str, ...]
    tokens: int
    tokens_again: int


class PromptReport(msgspec.Struct, frozen=True):
    """All kinds, the heaviest first, and what is repeated, the costliest first."""

    calls: int
    has_text: bool
    kinds: tuple[PromptKind, ...]
    repeated: tuple[Repeated, ...]


def report(
    prompts: Sequence[Prompt],
    *,
    policy: CompactPolicy | None = None,
    prices: PriceTable = PRICES,
    is_template: bool = False,
) -> PromptReport:
    """Return the figures over ``prompts``; a template stands for all calls made with it."""
    groups: dict[str, list[Prompt]] = defaultdict(list)
    for prompt in prompts:
        groups[prompt.name].append(prompt)
    rules = policy or CompactPolicy()
    kinds = [_kind(name, group, rules, prices, is_template) for name, group in groups.items()]
    return PromptReport(
        calls=len(prompts),
        has_text=any(prompt.turns for prompt in prompts),
        kinds=tuple(sorted(kinds, key=lambda one: -one.tokens * one.calls)),
        repeated=_repeated(prompts),
    )


def parts_of(prompt: Prompt) -> list[tuple[str, str]]:
    """Return a prompt's parts in order: its roles, divided at headings and tags."""
    found = []
    for role, text in prompt.turns:
        begin, name = 0, role
        for heading in _PART.finditer(text):
            if text[begin : heading.start()].strip():
                found.append((name, text[begin : heading.start()]))
            title = next(one for one in heading.groups() if one)
            begin, name = heading.start(), f"{role}: {title[:SHOWN_CHARS]}"
        if text[begin:].strip():
            found.append((name, text[begin:]))
    return found


def _kind(
    name: str,
    group: list[Prompt],
    rules: CompactPolicy,
    prices: PriceTable,
    is_template: bool,  # noqa: FBT001 - passed on by report alone
) -> PromptKind:
    texts = [prompt.text for prompt in group if prompt.turns]
    prefix, broken_by = _template_prefix(texts) if is_template else _shared_prefix(texts)
    constant = _constant_tokens(texts, is_template=is_template)
    prefix_tokens = count_tokens(prefix)
    saved_tokens = 0
    if constant >= CACHED_FROM_TOKENS and not is_template:
        kept = prefix_tokens if prefix_tokens >= CACHED_FROM_TOKENS else 0
        saved_tokens = max(0, constant - kept) * (len(group) - 1)
    price = price_of(group[0].model, prices)
    spared_usd = 0.0 if price is None else (price.in_usd - price.cached_in_usd) / PER_TOKENS
    return PromptKind(
        name=name,
        calls=len(group),
        tokens=sum(one.tokens for one in group) / len(group),
        cached_tokens=sum(one.cached_tokens_in for one in group) / len(group),
        parts=_parts(group),
        prefix_tokens=prefix_tokens,
        constant_tokens=constant,
        broken_by=broken_by,
        saved_tokens=saved_tokens,
        saved_usd=saved_tokens * spared_usd,
        compacted_tokens=sum(_compacted(one, rules) for one in group) / len(group),
    )


def _parts(group: list[Prompt]) -> tuple[PartTokens, ...]:
    texts: dict[str, list[str]] = defaultdict(list)
    for prompt in group:
        for part, text in parts_of(prompt):
            texts[part].append(text)
    return tuple(
        PartTokens(part, sum(map(count_tokens, found)) / len(group), len(set(found)) > 1)
        for part, found in texts.items()
    )


def _shared_prefix(texts: list[str]) -> tuple[str, str]:
    """Return the beginning that all ``texts`` share, and what ends it."""
    if len(texts) < 2:  # noqa: PLR2004 - two are the fewest that can share anything
        return "", ""
    if len(set(texts)) == 1:
        return texts[0], ""
    first, last = min(texts), max(texts)
    pairs = enumerate(zip(first, last, strict=False))
    same = next((place for place, (a, b) in pairs if a != b), min(len(first), len(last)))
    prefix = first[:same]
    prefix = prefix[: max(prefix.rfind(" "), prefix.rfind("\n")) + 1]
    ends = [text[len(prefix) :].split("\n", 1)[0][:SHOWN_CHARS].strip() for text in texts]
    what = next((kind for kind, one in _VOLATILE if any(one.search(end) for end in ends)), "")
    line = prefix.rpartition("\n")[2].strip()[-SHOWN_CHARS:]
    where = f" after {line!r}" if line else " at the very beginning" if not prefix else ""
    return prefix, f"{what or 'text that differs'}{where}: {ends[0]!r}"


def _template_prefix(texts: list[str]) -> tuple[str, str]:
    """Return what stands before a template's first placeholder, and the placeholder."""
    text = texts[0] if texts else ""
    found = _PLACEHOLDER.search(text)
    if found is None:
        return text, ""
    return text[: found.start()], f"the placeholder {found[0]}"


def _constant_tokens(texts: list[str], *, is_template: bool) -> int:
    """Return the tokens of the paragraphs that all ``texts`` have in common."""
    if is_template and texts:
        paragraphs = [one for one in paragraphs_of(texts[0]) if not _PLACEHOLDER.search(one)]
        return sum(map(count_tokens, paragraphs))
    if len(texts) < 2:  # noqa: PLR2004 - as above
        return 0
    shared = set(paragraphs_of(texts[0]))
    for text in texts[1:]:
        shared &= set(paragraphs_of(text))
    return max(sum(map(count_tokens, shared)), count_tokens(_shared_prefix(texts)[0]))


def _compacted(prompt: Prompt, rules: CompactPolicy) -> float:
    said: set[str] = set()
    made = [compact(text, rules, role=role, said=said) for role, text in prompt.turns]
    return prompt.tokens - sum(one.tokens_saved for one in made)


def _repeated(prompts: Sequence[Prompt]) -> tuple[Repeated, ...]:
    times: Counter[str] = Counter()
    names: dict[str, dict[str, None]] = defaultdict(dict)
    for prompt in prompts:
        for paragraph in paragraphs_of(prompt.text):
            if len(paragraph) >= REPEATED_CHARS:
                times[paragraph] += 1
                names[paragraph][prompt.name] = None
    found = [
        Repeated(
            text=" ".join(text.split())[:SHOWN_CHARS],
            times=count,
            names=tuple(names[text]),
            tokens=count_tokens(text),
            tokens_again=count_tokens(text) * (count - 1),
        )
        for text, count in times.items()
        if count > 1
    ]
    return tuple(sorted(found, key=lambda one: -one.tokens_again))
