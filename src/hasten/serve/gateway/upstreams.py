"""Which upstreams there are, and which one a call goes to.

Owns the list made from the settings, what an upstream is sent along with every
request, and choosing: by model, then protocol, then weight, passing over those that
asked for patience. Leaves connections to ``forward``. An address comes from the
settings only: nothing a caller sends can name one.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal

from hasten.errors import NotFound, SettingsError
from hasten.serve.gateway.forward import Forwarder
from hasten.settings import UpstreamSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hasten.model.base import Model
    from hasten.model.embed import EmbeddingModel
    from hasten.settings import Settings

Protocol = Literal["openai", "anthropic", "gemini", "simulated"]

OPENAI_URL = "https://api.openai.com/v1"
COOL_DOWN_S = 5.0
"""How long an upstream that failed is passed over while there are others."""

MOST_COOL_DOWN_S = 300.0
_FAILING = frozenset({408, 429, 500, 502, 503, 504, 529})


@dataclass(eq=False)
class Upstream:
    """One upstream. ``debt`` is what it was given of late, by weight; the least indebted is next.

    ``model`` answers for it where its protocol is not the caller's, ``embedding`` where
    embeddings do not go through untouched; each is made at first use.
    ``listed`` is what it last said of its models.
    """

    settings: UpstreamSettings
    api_key: str = ""
    rests_until_s: float = 0.0
    debt: float = 0.0
    calls: dict[str, int] = field(default_factory=dict)
    model: Model | None = None
    embedding: EmbeddingModel | None = None
    listed: list[dict[str, Any]] = field(default_factory=list)
    listed_until_s: float = 0.0
    _forwarder: Forwarder | None = None

    @property
    def name(self) -> str:
        """Its name in settings, metrics and traces."""
        return self.settings.name

    @property
    def protocol(self) -> Protocol:
        """What it speaks."""
        return self.settings.protocol

    @property
    def forwarder(self) -> Forwarder:
        """Its connections, made on the loop that first asks."""
        if self._forwarder is None:
            self._forwarder = Forwarder(self.settings)
        return self._forwarder

    def head(self, method: str, path: str, passed: bytes, body_bytes: int) -> bytes:
        """Return the head of a request for ``path`` below ``/v1``, ending with its empty line.

        ``passed`` are header lines of the caller's that go along untouched.
        """
        forwarder = self.forwarder
        if self.protocol == "anthropic":
            where, credential = f"{forwarder.base_path}/v1{path}", f"x-api-key: {self.api_key}"
        else:
            where = f"{forwarder.base_path}{path}"
            credential = f"authorization: Bearer {self.api_key}"
        lines = f"{method} {where} HTTP/1.1\r\nhost: {forwarder.authority}\r\n"
        if self.api_key:
            lines += f"{credential}\r\n"
        if self.protocol == "anthropic" and b"anthropic-version:" not in passed:
            lines += "anthropic-version: 2023-06-01\r\n"
        lines += "accept-encoding: identity\r\n"
        if body_bytes:
            lines += f"content-type: application/json\r\ncontent-length: {body_bytes}\r\n"
        return lines.encode("latin-1") + passed + b"\r\n"

    def note(self, status: int, retry_after_s: float | None = None) -> None:
        """Note how it answered (0: not at all); one that fails rests for a while."""
        word = str(status) if status else "none"
        self.calls[word] = self.calls.get(word, 0) + 1
        if not status or status in _FAILING:
            rest_s = COOL_DOWN_S if retry_after_s is None else min(retry_after_s, MOST_COOL_DOWN_S)
            self.rests_until_s = asyncio.get_running_loop().time() + rest_s
        else:
            self.rests_until_s = 0.0

    def serves(self, model: str) -> bool:
        """Whether it names ``model``."""
        return any(fnmatchcase(model, pattern) for pattern in self.settings.models)

    async def close(self) -> None:
        """Give its connections back."""
        if self._forwarder is not None:
            self._forwarder.close()
        for asked in (self.model, self.embedding):
            if asked is not None:
                await asked.close()


def no_upstream(model: str) -> NotFound:
    """Return the error for a model nobody has."""
    return NotFound(f"no upstream has the model {model!r}")


def is_failing(status: int) -> bool:
    """Whether another upstream may do better than one that answered ``status``."""
    return status in _FAILING


class Upstreams:
    """All upstreams of a gateway."""

    def __init__(self, all_: Sequence[Upstream]) -> None:
        self.all = tuple(all_)
        self._known: dict[tuple[str, str], tuple[Upstream, ...]] = {}

    def order(self, model: str, protocol: str) -> list[Upstream]:
        """Return who may answer for ``model``, whom to ask first in front; empty if nobody.

        Those that name the model go before those that take any, and those that speak the
        caller's protocol before others; only the best such group is returned.
        """
        group = self._group(model, protocol)
        if len(group) == 1:
            return list(group)
        now_s = asyncio.get_running_loop().time()
        found = sorted(group, key=lambda one: (max(one.rests_until_s - now_s, 0.0), one.debt))
        if found:
            first = found[0]
            first.debt += 1 / first.settings.weight
            least = min(one.debt for one in group)
            for one in group:
                one.debt -= least
        return found

    def maker(self, model: str, protocol: str) -> str:
        """Return who may answer for ``model``, as part of a key: addresses and protocols.

        Raises ``NotFound`` if nobody may.
        """
        group = self._group(model, protocol)
        if not group:
            raise no_upstream(model)
        return " ".join(sorted({f"{one.protocol}:{one.settings.base_url}" for one in group}))

    def _group(self, model: str, protocol: str) -> tuple[Upstream, ...]:
        asked = (model, protocol)
        group = self._known.get(asked)
        if group is None:
            named = [one for one in self.all if one.serves(model)]
            open_to_all = [one for one in self.all if not one.settings.models]
            able = named or open_to_all
            group = tuple([one for one in able if one.protocol == protocol] or able)
            if len(self._known) > 1_000:  # noqa: PLR2004 - callers choose the names
                self._known.clear()
            self._known[asked] = group
        return group

    async def close(self) -> None:
        """Give every connection back."""
        for one in self.all:
            await one.close()


def upstreams_of(settings: Settings) -> Upstreams:
    """Return the upstreams that the settings name, or those their keys make, or the simulated one.

    Raises ``SettingsError`` for a name used twice, an address that is missing, and a
    variable that holds no key.
    """
    if settings.upstreams:
        names = [one.name for one in settings.upstreams]
        for name in names:
            if names.count(name) > 1:
                message = f"two upstreams are called {name!r}"
                raise SettingsError(message)
        return Upstreams([_declared(one) for one in settings.upstreams])
    found = []
    key = settings.openai_api_key.get_secret_value()
    if key or settings.openai_base_url != OPENAI_URL:
        plain = UpstreamSettings(
            name="openai", base_url=settings.openai_base_url, api_key_env="OPENAI_API_KEY"
        )
        found.append(Upstream(plain, key))
    if key := settings.anthropic_api_key.get_secret_value():
        claude = UpstreamSettings(
            name="anthropic",
            protocol="anthropic",
            base_url=settings.anthropic_base_url,
            api_key_env="ANTHROPIC_API_KEY",
            models=("claude-*",),
        )
        found.append(Upstream(claude, key))
    if key := settings.gemini_api_key.get_secret_value():
        gemini = UpstreamSettings(
            name="gemini",
            protocol="gemini",
            base_url=settings.gemini_base_url,
            api_key_env="GEMINI_API_KEY",
            models=("gemini-*",),
        )
        found.append(Upstream(gemini, key))
    return Upstreams(found or [Upstream(UpstreamSettings(name="sim", protocol="simulated"))])


def _declared(one: UpstreamSettings) -> Upstream:
    if not one.base_url and one.protocol != "simulated":
        message = f"upstream {one.name!r} needs a base_url"
        raise SettingsError(message)
    key = os.environ.get(one.api_key_env, "") if one.api_key_env else ""
    if one.api_key_env and not key:
        message = f"upstream {one.name!r}: the variable {one.api_key_env} holds no key"
        raise SettingsError(message)
    return Upstream(one, key)
