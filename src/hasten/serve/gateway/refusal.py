"""Errors in the protocol of whoever asked: OpenAI's shape or Anthropic's.

Owns the status, the words and the headers of each error (the shapes:
platform.openai.com/docs/guides/error-codes, platform.claude.com/docs/en/api/errors).
What an upstream says is passed on as it is and never comes here. Pure.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import orjson

from hasten import errors
from hasten.model.anthropic_errors import error_out as anthropic_error_out
from hasten.model.openai_errors import error_out as openai_error_out
from hasten.serve.gateway.limits import BudgetSpent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hasten.serve.admission import Refusal

STATUS: Mapping[type[errors.HastenError], int] = {
    errors.InvalidInput: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.ModelTimeout: 504,
    errors.ModelRefused: 400,
    errors.ModelRejected: 400,
    errors.RateLimited: 429,
    BudgetSpent: 429,
    errors.NotCached: 504,
    errors.MissingExtra: 501,
    errors.ModelError: 502,
    errors.StoreError: 503,
    errors.StoredFailure: 502,
    errors.HastenError: 500,
}
"""The status of an error is that of its nearest class here."""

_OPENAI_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_RETRYABLE = frozenset({408, 429, 502, 503})
_SERVER_ERRORS = 500

Lines = list[tuple[str, str]]


class BodyRefused(errors.HastenError):
    """A body is too large or comes too slowly; ``status`` is what to say."""

    code = "body_refused"

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Told(NamedTuple):
    """An answer that is no answer: status, headers, body."""

    status: int
    headers: Lines
    body: bytes


def told_error(error: errors.HastenError, protocol: str) -> Told:
    """Return how ``error`` is told in ``protocol``."""
    status = status_of(error)
    headers: Lines = []
    if isinstance(error, errors.RateLimited) and error.retry_after_s is not None:
        headers.append(("retry-after", str(max(1, math.ceil(error.retry_after_s)))))
        headers.append(("retry-after-ms", str(max(1, math.ceil(error.retry_after_s * 1e3)))))
    if isinstance(error, errors.Unauthenticated):
        headers.append(("www-authenticate", "Bearer"))
    is_worth = status in _RETRYABLE and not isinstance(error, BudgetSpent)
    field = error.field if isinstance(error, errors.InvalidInput) else None
    return _told(
        protocol, status, error.for_callers, error.code, headers, param=field, is_worth=is_worth
    )


def told_refusal(refusal: Refusal, protocol: str) -> Told:
    """Return how a request that may not pass is told so in ``protocol``."""
    return _told(protocol, refusal.status, refusal.reason, refusal.code, [])


def status_of(error: errors.HastenError) -> int:
    """Return the HTTP status of ``error``; the upstream's own where it rejected the request."""
    if isinstance(error, BodyRefused):
        return error.status
    if isinstance(error, errors.ModelRejected):
        return error.status if 400 <= error.status < _SERVER_ERRORS else 400  # noqa: PLR2004 - HTTP
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def _told(
    protocol: str,
    status: int,
    message: str,
    code: str,
    headers: Lines,
    param: str | None = None,
    is_worth: bool = False,  # noqa: FBT001, FBT002 - whether to try again
) -> Told:
    if protocol == "anthropic":
        body = anthropic_error_out(message, status)
    else:
        default = "server_error" if status >= _SERVER_ERRORS else "invalid_request_error"
        kind = _OPENAI_TYPES.get(status, default)
        body = openai_error_out(message, kind, param=param or None, code=code)
    lines = [("content-type", "application/json"), ("x-should-retry", str(is_worth).lower())]
    return Told(status, [*lines, *headers], orjson.dumps(body))
