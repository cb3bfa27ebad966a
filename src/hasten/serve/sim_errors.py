"""Errors of the simulated endpoint, with the status, body and headers of each protocol.

Owns which status an error gets. Leaves the shapes to the protocols' error files
in ``model``. ``sim`` hands every error over.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import orjson
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from hasten.errors import InvalidInput, ModelRejected, ModelTimeout, NotFound, RateLimited
from hasten.model import anthropic_errors, gemini_errors, openai_errors

if TYPE_CHECKING:
    from fastapi import Request


def protocol_of(request: Request) -> str:
    """Return whose protocol ``request`` is in."""
    path = request.url.path
    if path.startswith("/v1/messages") or "anthropic-version" in request.headers:
        return "anthropic"
    return "gemini" if path.startswith("/v1beta/") else "openai"


async def answer_error(request: Request, error: Exception) -> Response:
    """Answer one of ours."""
    status, told, headers = describe(error, protocol_of(request))
    return _json(told, status, headers)


async def answer_http_error(request: Request, error: Exception) -> Response:
    """Answer one of the framework's, such as a path that is not there."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    return _json(_told(str(error), status, "invalid_request_error", protocol_of(request)), status)


def describe(error: Exception, protocol: str) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Return the status, body and headers that the provider's server gives for ``error``."""
    status, kind, param, code = _named(error)
    headers: dict[str, str] = {}
    if isinstance(error, RateLimited):
        wait_s = error.retry_after_s or 0.0
        headers = {
            "Retry-After": str(math.ceil(wait_s)),
            "retry-after-ms": str(math.ceil(wait_s * 1e3)),
        }
    return status, _told(str(error), status, kind, protocol, param=param, code=code), headers


def _told(
    message: str, status: int, kind: str, protocol: str, **named: str | None
) -> dict[str, Any]:
    if protocol == "anthropic":
        return anthropic_errors.error_out(message, status)
    if protocol == "gemini":
        return gemini_errors.error_out(message, status)
    return openai_errors.error_out(message, kind, **named)


def _named(error: Exception) -> tuple[int, str, str | None, str | None]:
    """Return the status, and OpenAI's type, parameter and code."""
    if isinstance(error, InvalidInput):
        return 400, "invalid_request_error", error.field or None, None
    if isinstance(error, ModelRejected):
        return error.status, "invalid_request_error", "response_format", None
    if isinstance(error, NotFound):
        return 404, "invalid_request_error", None, None
    if isinstance(error, RateLimited):
        return 429, "requests", None, "rate_limit_exceeded"
    if isinstance(error, ModelTimeout):
        return 504, "server_error", None, None
    return 503, "server_error", None, None


def _json(body: dict[str, Any], status: int, headers: dict[str, str] | None = None) -> Response:
    content = orjson.dumps(body)
    return Response(content, status, headers=headers, media_type="application/json")
