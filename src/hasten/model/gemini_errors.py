"""What Gemini's errors mean to us, and what ours look like in its format.

Owns the reading of ``google.rpc.Status`` (ai.google.dev/gemini-api/docs/troubleshooting),
whose code is the HTTP status. Leaves what a status means to ``openai_errors``,
which says the same for every provider. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hasten.model.openai_errors import error_of_status

if TYPE_CHECKING:
    from hasten.errors import ModelError

_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def error_in_answer(told: Any, *, model: str) -> ModelError:
    """Return the error for an ``error`` object that came where an answer was expected."""
    code = told.get("code") if isinstance(told, dict) else None
    return error_of_status(code if isinstance(code, int) else 500, told, model=model)


def error_out(message: str, status: int) -> dict[str, Any]:
    """Return the body of an error of that HTTP status."""
    told = {"code": status, "message": message, "status": _STATUS.get(status, "UNKNOWN")}
    return {"error": told}
