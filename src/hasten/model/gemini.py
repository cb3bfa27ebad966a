"""The wire to Gemini.

Owns paths and headers. Leaves the fields to ``gemini_wire``, HTTP and errors to
``http``. ``hasten.wire`` builds it from the settings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from hasten.model import gemini_wire
from hasten.model.http import WireModel

if TYPE_CHECKING:
    from hasten.model.base import Request


class GeminiModel(WireModel):
    """Asks the endpoint at ``base_url`` (``https://host/v1beta``) for ``model``."""

    def _sign(self, api_key: str) -> dict[str, str]:
        return {"x-goog-api-key": api_key}

    def _url(self, request: Request, *, stream: bool) -> str:
        name = quote(request.model or self._model, safe="")
        call = "streamGenerateContent?alt=sse" if stream else "generateContent"
        return f"{self._base_url}/models/{name}:{call}"

    def _body(self, request: Request, *, stream: bool) -> dict[str, Any]:  # noqa: ARG002 - the same
        return gemini_wire.to_body(request)

    def _reading(self, request: Request) -> gemini_wire.Reading:
        return gemini_wire.Reading(request, model=self._model)
