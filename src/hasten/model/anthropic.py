"""The wire to Anthropic's Messages, and to whoever speaks them.

Owns paths and headers. Leaves the fields to ``anthropic_wire``, HTTP and errors
to ``http``. ``hasten.wire`` builds it from the settings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from hasten.errors import ModelUnavailable
from hasten.model import anthropic_wire
from hasten.model.http import WireModel

if TYPE_CHECKING:
    from hasten.model.base import Request

VERSION = "2023-06-01"
"""The ``anthropic-version`` whose fields ``anthropic_wire`` knows."""


class _Count(msgspec.Struct):
    input_tokens: int


class AnthropicModel(WireModel):
    """Asks the endpoint at ``base_url`` (``https://host``, without ``/v1``) for ``model``."""

    @property
    def listing_url(self) -> str:
        """Where the provider lists its models."""
        return f"{self._base_url}/v1/models"

    def _sign(self, api_key: str) -> dict[str, str]:
        return {"x-api-key": api_key}

    def _headers(self) -> dict[str, str]:
        return {"anthropic-version": VERSION}

    def _url(self, request: Request, *, stream: bool) -> str:  # noqa: ARG002 - the same for all
        return f"{self._base_url}/v1/messages"

    def _body(self, request: Request, *, stream: bool) -> dict[str, Any]:
        return anthropic_wire.to_body(request, model=self._model, stream=stream)

    def _reading(self, request: Request) -> anthropic_wire.Reading:
        return anthropic_wire.Reading(request, model=self._model)

    async def count_tokens(self, request: Request) -> int:
        """Return how many tokens ``request`` is, by the provider's own count; it costs nothing.

        Raises ``ModelError`` as a call does.
        """
        url, body = (
            f"{self._base_url}/v1/messages/count_tokens",
            anthropic_wire.to_count_body(request, model=self._model),
        )
        async with self._connections.post(url, body, request.headers) as reply:
            try:
                return msgspec.json.decode(await reply.read(), type=_Count).input_tokens
            except (msgspec.DecodeError, msgspec.ValidationError) as error:
                message = f"{self._model} sent something that is not a count: {error}"
                raise ModelUnavailable(message, model=self._model) from error
