"""The wires to any OpenAI-compatible endpoint: chat completions, and OpenAI's own Responses.

Own paths and headers. Leave the fields to ``openai_wire`` and ``responses_wire``,
HTTP and errors to ``http``. ``hasten.wire`` builds them from the settings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hasten.model import openai_wire, responses_wire
from hasten.model.http import WireModel

if TYPE_CHECKING:
    from hasten.model.base import Request


def bearer(api_key: str) -> dict[str, str]:
    """Return the header that carries an OpenAI key."""
    return {"Authorization": f"Bearer {api_key}"}


class OpenAIModel(WireModel):
    """Asks the endpoint at ``base_url`` (``https://host/v1``) for ``model``, as a chat."""

    def _sign(self, api_key: str) -> dict[str, str]:
        return bearer(api_key)

    def _url(self, request: Request, *, stream: bool) -> str:  # noqa: ARG002 - the same for all
        return f"{self._base_url}/chat/completions"

    def _body(self, request: Request, *, stream: bool) -> dict[str, Any]:
        limit = self._endpoint.max_tokens_field
        return openai_wire.to_body(
            request, model=self._model, max_tokens_field=limit, stream=stream
        )

    def _reading(self, request: Request) -> openai_wire.Reading:
        return openai_wire.Reading(request, model=self._model)


class ResponsesModel(WireModel):
    """Asks the endpoint at ``base_url`` (``https://host/v1``) for ``model``, by Responses."""

    def _sign(self, api_key: str) -> dict[str, str]:
        return bearer(api_key)

    def _url(self, request: Request, *, stream: bool) -> str:  # noqa: ARG002 - the same for all
        return f"{self._base_url}/responses"

    def _body(self, request: Request, *, stream: bool) -> dict[str, Any]:
        return responses_wire.to_body(request, model=self._model, stream=stream)

    def _reading(self, request: Request) -> responses_wire.Reading:
        return responses_wire.Reading(request, model=self._model)
