"""What Anthropic's errors mean to us, and what ours look like in its format.

Owns the table below (platform.claude.com/docs/en/api/errors). Leaves statuses
without a body to ``openai_errors``, which says the same for every provider. Pure.

| type | error |
|---|---|
| ``rate_limit_error``, ``overloaded_error`` | ``RateLimited`` |
| ``timeout_error`` | ``ModelTimeout`` |
| ``api_error`` | ``ModelUnavailable`` |
| any other | ``ModelRejected`` |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hasten.model.openai_errors import error_of_status

if TYPE_CHECKING:
    from hasten.errors import ModelError

_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
_KIND = {status: kind for kind, status in _STATUS.items()}


def error_in_answer(told: Any, *, model: str) -> ModelError:
    """Return the error for an ``error`` object that came where an answer was expected."""
    kind = told.get("type") if isinstance(told, dict) else None
    return error_of_status(_STATUS.get(str(kind), 500), told, model=model)


def error_out(message: str, status: int) -> dict[str, Any]:
    """Return the body of an error of that HTTP status."""
    server_error = 500
    kind = _KIND.get(status, "api_error" if status >= server_error else "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": message}}
