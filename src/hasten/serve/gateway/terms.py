"""What a request's headers say, read once for all requests that have the same.

Owns which headers the gateway heeds: the credential, ``Cache-Control`` (RFC 9111
section 5.2.1), ``Hasten-Cache-*`` and ``Hasten-Session``, and which go along upstream.
A caller may only tighten what the cache does. Leaves what any request must pass to
``serve/admission`` and who the caller is to ``gateway``.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from hasten.cache.key import Scope
from hasten.cache.policy import PLAIN, Directives, parse_cache_control
from hasten.serve.admission import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hasten.serve.admission import Admission

Headers = tuple[tuple[Any, Any], ...]
"""A request's headers as the server gives them: pairs of bytes (ASGI) or of text (RSGI)."""

REMEMBERED = 2_048
REMEMBERED_BYTES = 8_192
"""So many sets of headers are remembered, none larger than this."""

MOST_TAGS = 20
MODES = ("on", "off", "read", "refresh")
_SCOPES = get_args(Scope)[1:4]
_TAG = re.compile(r"[\w.:/=@+-]{1,100}")
_PASSED = frozenset(
    {
        "accept",
        "idempotency-key",
        "traceparent",
        "tracestate",
        "user-agent",
        "x-client-request-id",
        "x-request-id",
    }
)
_PROVIDERS = ("anthropic-", "openai-")
_SDK = "x-stainless-"
_ONCE = ("authorization", "x-api-key", "host", "content-length", "content-type")


@dataclass(eq=False, slots=True)
class Terms:
    """What headers say. ``refusal`` is why no request with them may pass.

    ``secret`` is the credential. ``passed`` are header lines that go along upstream, and
    ``keyed`` those of them that may change the answer. ``is_off`` keeps the cache out
    altogether, ``is_plain`` asks nothing special of it.
    """

    refusal: Refusal | None = None
    secret: str = ""
    passed: bytes = b""
    keyed: tuple[tuple[str, str], ...] = ()
    directives: Directives = PLAIN
    scope: Scope | None = None
    ttl_s: float | None = None
    tags: tuple[str, ...] = ()
    session: str = ""
    is_off: bool = False
    is_plain: bool = True
    is_anthropic: bool = False


class TermsRead:
    """Headers read so far, so that a client that repeats itself costs one look."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._known: dict[tuple[str, Headers], Terms] = {}

    def of(self, method: str, headers: Headers) -> Terms:
        """Return what ``headers`` say."""
        known = self._known.get((method, headers))
        if known is not None:
            return known
        found = read_terms(self._admission, method, _as_text(headers))
        if sum(len(name) + len(value) for name, value in headers) <= REMEMBERED_BYTES:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[method, headers] = found
        return found


def read_terms(admission: Admission, method: str, pairs: list[tuple[str, str]]) -> Terms:
    """Return what a request's headers say, their names in lower case."""
    headers: dict[str, str] = {}
    for name, value in pairs:
        if name not in headers:
            headers[name] = value
        elif name in _ONCE and headers[name] != value:
            return Terms(refusal=Refusal(400, "invalid_header", f"{name} is given twice"))
        else:
            headers[name] = f"{headers[name]}, {value}"
    refusal = admission.refusal(method, headers)
    if refusal is not None:
        return Terms(refusal=refusal)
    try:
        return _terms(headers)
    except ValueError as error:
        return Terms(refusal=Refusal(400, "invalid_header", str(error)))


def _terms(headers: Mapping[str, str]) -> Terms:
    passed = [one for one in headers.items() if _goes_along(one[0])]
    terms = Terms(
        secret=_secret(headers),
        passed="".join(f"{name}: {value}\r\n" for name, value in passed).encode("latin-1"),
        keyed=tuple(sorted(one for one in passed if one[0].startswith(_PROVIDERS))),
        directives=parse_cache_control(headers.get("cache-control", "")),
        scope=_scope(headers),
        ttl_s=_ttl_s(headers),
        tags=_tags(headers),
        session=headers.get("hasten-session", ""),
        is_anthropic="anthropic-version" in headers,
    )
    _apply_mode(terms, headers.get("hasten-cache-mode", "on").lower())
    if terms.scope == "session" and not terms.session:
        message = "Hasten-Cache-Scope: session needs a Hasten-Session header"
        raise ValueError(message)
    if terms.session:
        if not _TAG.fullmatch(terms.session):
            message = "Hasten-Session is up to 100 letters, digits and ._:/=@+-"
            raise ValueError(message)
        terms.tags = (*terms.tags, f"session:{terms.session}")
    asks = (terms.scope, terms.ttl_s, terms.session, terms.is_off)
    terms.is_plain = terms.directives == PLAIN and not any(asks) and not terms.tags
    if terms.is_plain:
        terms.directives = PLAIN
    return terms


def _secret(headers: Mapping[str, str]) -> str:
    scheme, _, secret = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and secret.strip():
        return secret.strip()
    return headers.get("x-api-key", "").strip()


def _goes_along(name: str) -> bool:
    return name in _PASSED or name.startswith((*_PROVIDERS, _SDK))


def _apply_mode(terms: Terms, mode: str) -> None:
    if mode not in MODES:
        message = f"Hasten-Cache-Mode is one of {', '.join(MODES)}, not {mode[:100]!r}"
        raise ValueError(message)
    asked = terms.directives
    is_bypass = asked.no_cache and asked.no_store
    terms.is_off = mode == "off" or (is_bypass and not asked.only_if_cached)
    if mode in {"read", "refresh"}:
        terms.directives = Directives(
            no_cache=asked.no_cache or mode == "refresh",
            no_store=asked.no_store or mode == "read",
            only_if_cached=asked.only_if_cached,
            max_age_s=asked.max_age_s,
            min_fresh_s=asked.min_fresh_s,
            max_stale_s=asked.max_stale_s,
        )


def _scope(headers: Mapping[str, str]) -> Scope | None:
    asked = headers.get("hasten-cache-scope", "").lower()
    if not asked:
        return None
    for one in _SCOPES:
        if asked == one:
            return one  # type: ignore[no-any-return]  # it is one of the literals
    message = f"Hasten-Cache-Scope is one of {', '.join(_SCOPES)}, not {asked[:100]!r}"
    raise ValueError(message)


def _ttl_s(headers: Mapping[str, str]) -> float | None:
    text = headers.get("hasten-cache-ttl")
    if text is None:
        return None
    try:
        ttl_s = float(text)
    except ValueError:
        ttl_s = math.nan
    if not 0 < ttl_s < math.inf:
        message = f"Hasten-Cache-TTL is a number of seconds above 0, not {text[:100]!r}"
        raise ValueError(message)
    return ttl_s


def _tags(headers: Mapping[str, str]) -> tuple[str, ...]:
    names = [one.strip() for one in headers.get("hasten-cache-tags", "").split(",")]
    tags = tuple(dict.fromkeys(filter(None, names)))
    wrong = [one for one in tags if not _TAG.fullmatch(one)]
    if wrong or len(tags) > MOST_TAGS:
        message = (
            f"Hasten-Cache-Tags is up to {MOST_TAGS} tags with commas between, each up to 100 "
            "letters, digits and ._:/=@+-"
        )
        raise ValueError(message)
    return tags


def _as_text(headers: Iterable[tuple[Any, Any]]) -> list[tuple[str, str]]:
    return [(_text(name).lower(), _text(value)) for name, value in headers]


def _text(word: bytes | str) -> str:
    return word.decode("latin-1") if isinstance(word, bytes) else word
