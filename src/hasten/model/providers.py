"""Which wire asks which provider, by the word before a model's name.

Owns the list of protocols and the way a name such as ``anthropic/claude-haiku-4-5``
is taken apart. Leaves addresses and keys to ``hasten.wire``, which builds with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

if TYPE_CHECKING:
    from hasten.model.http import Endpoint, WireModel

Protocol = Literal["openai", "responses", "anthropic", "gemini"]

PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)


class Named(NamedTuple):
    """A model as its provider calls it, and the protocol it is asked by."""

    protocol: Protocol
    model: str


def named(model: str) -> Named:
    """Return the protocol and the name in ``model``.

    Only a protocol's own word is taken off; without one it is OpenAI's, whose
    compatible endpoints have slashes in their names (``meta-llama/llama-4``).
    """
    word, _, rest = model.partition("/")
    for protocol in PROTOCOLS:
        if word == protocol and rest:
            return Named(protocol, rest)
    return Named("openai", model)


def provider_model(
    protocol: Protocol,
    *,
    base_url: str,
    model: str,
    api_key: str = "",
    endpoint: Endpoint | None = None,
) -> WireModel:
    """Return the wire that asks ``base_url`` for ``model`` in ``protocol``."""
    kind = _wire_of(protocol)
    return kind(base_url=base_url, model=model, api_key=api_key, endpoint=endpoint)


def _wire_of(protocol: Protocol) -> type[WireModel]:
    from hasten.model.openai import OpenAIModel, ResponsesModel

    if protocol == "anthropic":
        from hasten.model.anthropic import AnthropicModel

        return AnthropicModel
    if protocol == "gemini":
        from hasten.model.gemini import GeminiModel

        return GeminiModel
    return ResponsesModel if protocol == "responses" else OpenAIModel
