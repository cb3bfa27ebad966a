"""Errors as HTTP answers, in the form of RFC 9457 (problem details).

Owns the status of each error. A problem names the field that is wrong and what
is allowed; it never repeats a value back, and an error nobody foresaw says
nothing about itself. Routes raise ``HastenError``; nothing else maps them.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocket

from hasten import errors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fastapi import FastAPI
    from starlette.requests import Request

_log = logging.getLogger(__name__)

STATUS: Mapping[type[errors.HastenError], int] = {
    errors.InvalidInput: 422,
    errors.NotFound: 404,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.RunCancelled: 409,
    errors.StepTimeout: 504,
    errors.DeadlineExceeded: 504,
    errors.NotCached: 504,
    errors.ModelTimeout: 504,
    errors.RateLimited: 503,
    errors.StepError: 502,
    errors.ModelError: 502,
    errors.ServerUnavailable: 503,
    errors.StoreError: 503,
    errors.StoredFailure: 502,
    errors.BudgetSpent: 503,
    errors.FreshnessRefused: 503,
    errors.HastenError: 500,
}
"""The status of an error is that of its nearest class here."""

TITLES = {
    400: "Bad request",
    401: "Who are you?",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Cancelled",
    413: "Body too large",
    415: "Unsupported media type",
    421: "Misdirected request",
    422: "Invalid input",
    500: "Internal error",
    502: "A step or model failed",
    503: "Unavailable",
    504: "Out of time",
}


CALLERS_FAULTS = (errors.InvalidInput, errors.NotFound, errors.Forbidden)
"""What a step may find wrong with what it was asked."""

POLICY_VIOLATION = 1008
SERVER_ERROR = 1011
"""Close codes of RFC 6455, section 7.4.1, for an error that leaves a WebSocket's route."""

REASON = 30
"""Characters of a close frame's reason; it has room for 123 bytes."""


def status_of(error: errors.HastenError) -> int:
    """Return the HTTP status of ``error``."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def problem_response(
    status: int,
    code: str,
    detail: str,
    *,
    fields: Sequence[Mapping[str, Any]] = (),
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> Response:
    """Return an ``application/problem+json`` answer; ``more`` are extension members."""
    body: dict[str, Any] = {
        "type": f"urn:hasten:problem:{code}",
        "title": TITLES.get(status, "Error"),
        "status": status,
        "detail": detail,
        **more,
    }
    if fields:
        body["errors"] = list(fields)
    media_type = "application/problem+json"
    return JSONResponse(body, status, dict(headers or {}), media_type)


def problem_of(error: errors.HastenError, **more: Any) -> Response:
    """Return ``error`` as a problem; a step's that is the caller's own fault as that fault."""
    if isinstance(error, errors.StepFailed) and isinstance(error.__cause__, CALLERS_FAULTS):
        error = error.__cause__
    headers: dict[str, str] = {}
    fields: list[Mapping[str, Any]] = []
    if isinstance(error, errors.StoreError):
        _log.warning("a request failed: %s", error)
    if isinstance(error, errors.InvalidInput):
        fields = [_field(one) for one in (error, *error.others)]
    if isinstance(error, errors.Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, errors.RateLimited) and error.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    return problem_response(
        status_of(error), error.code, error.for_callers, fields=fields, headers=headers, **more
    )


def add_problems(app: FastAPI) -> None:
    """Make every error of ``app`` leave as a problem."""
    app.add_exception_handler(errors.HastenError, _hasten_error)  # type: ignore[arg-type]  # a socket has no answer
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unforeseen)


def _field(error: errors.InvalidInput) -> Mapping[str, Any]:
    return {"field": error.field, "message": str(error), "allowed": list(error.allowed)}


async def _hasten_error(request: Request | WebSocket, error: Exception) -> Response | None:
    assert isinstance(error, errors.HastenError)  # noqa: S101 - registered for this class only
    if isinstance(request, WebSocket):
        is_theirs = status_of(error) < 500  # noqa: PLR2004 - the field's own number
        await request.close(
            POLICY_VIOLATION if is_theirs else SERVER_ERROR, error.for_callers[:REASON]
        )
        return None
    return problem_of(error)


async def _validation_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class only
    found = error.errors()
    if any(one["type"] == "json_invalid" for one in found):
        reason = found[0].get("ctx", {}).get("error", "it cannot be read")
        return problem_response(400, "invalid_json", f"the body is not JSON: {reason}")
    fields = [
        {
            "field": ".".join(map(str, one["loc"][1:])) or "body",
            "message": one["msg"].removeprefix("Value error, "),
            "allowed": [],
        }
        for one in found
    ]
    detail = "; ".join(f"{one['field']}: {one['message']}" for one in fields)
    return problem_response(422, "invalid_input", detail, fields=fields)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class only
    if isinstance(error.__cause__, (RecursionError, UnicodeError)):  # of a body that was parsed
        is_deep = isinstance(error.__cause__, RecursionError)
        reason = "it is nested too deep" if is_deep else "it is no UTF-8"
        return problem_response(400, "invalid_json", f"the body is not JSON: {reason}")
    detail = str(error.detail)
    if detail == HTTPStatus.NOT_FOUND.phrase:  # no route; a route that finds nothing says what
        detail = f"there is nothing at {request.method} {request.url.path[:200]}"
    return problem_response(error.status_code, "http", detail, headers=error.headers)


async def _unforeseen(_request: Request, error: Exception) -> Response:
    _log.error("a request failed", exc_info=error)
    return problem_response(500, "internal", "this is our fault; the server's log says more")
