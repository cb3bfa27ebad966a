"""What an OpenAI-compatible endpoint's errors mean to us: the one place where they are mapped.

Owns the table below. Leaves connections and deadlines to ``openai``. Pure.

| status, or the error object in an answer | error |
|---|---|
| 429, 529 | ``RateLimited``, with ``Retry-After`` in seconds |
| 408, 504 | ``ModelTimeout`` |
| code ``content_filter`` or ``content_policy_violation`` | ``ModelRefused`` |
| other 3xx and 4xx | ``ModelRejected``, with the status |
| anything else | ``ModelUnavailable`` |
"""

from __future__ import annotations

import math
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import orjson

from hasten.errors import (
    ModelError,
    ModelRefused,
    ModelRejected,
    ModelTimeout,
    ModelUnavailable,
    RateLimited,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_RATE_LIMITED = (429, 529)
_TIMEOUTS = (408, 504)
_REDIRECTS, _SERVER_ERRORS = 300, 500
_REFUSALS = ("content_filter", "content_policy_violation")
_MESSAGE_CHARS = 500
_BY_TYPE = {"rate_limit": 429, "overloaded": 529, "timeout": 408, "invalid_request": 400}


def error_for(
    status: int, body: bytes, *, model: str, retry_after_s: float | None = None
) -> ModelError:
    """Return the error that an answer of ``status`` with ``body`` stands for."""
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        told = body[:_MESSAGE_CHARS].decode(errors="replace")
    told = told.get("error", told) if isinstance(told, dict) else told
    return error_of_status(status, told, model=model, retry_after_s=retry_after_s)


def error_of_status(
    status: int, told: Any, *, model: str, retry_after_s: float | None = None
) -> ModelError:
    """Return the error that ``status`` stands for; ``told`` is its error object or its text."""
    code = told.get("code") if isinstance(told, dict) else None
    said = told.get("message") if isinstance(told, dict) else told
    message = f"{model} answered {status}: {str(said or told)[:_MESSAGE_CHARS]}"
    if status in _RATE_LIMITED:
        return RateLimited(message, model=model, retry_after_s=retry_after_s)
    if status in _TIMEOUTS:
        return ModelTimeout(message, model=model)
    if code in _REFUSALS:
        return ModelRefused(message, model=model)
    if _REDIRECTS <= status < _SERVER_ERRORS:
        return ModelRejected(message, model=model, status=status)
    return ModelUnavailable(message, model=model)


def error_in_answer(told: Any, *, model: str) -> ModelError:
    """Return the error for an ``error`` object that came where an answer was expected."""
    code = told.get("code") if isinstance(told, dict) else None
    if isinstance(code, int):
        return error_of_status(code, told, model=model)
    kind = f"{told.get('type')} {code}" if isinstance(told, dict) else str(told)
    status = next((status for word, status in _BY_TYPE.items() if word in kind), _SERVER_ERRORS)
    return error_of_status(status, told, model=model)


def retry_after_s(headers: Mapping[str, str], now_s: float) -> float | None:
    """Return how many seconds the endpoint asks to wait, if it says so.

    ``Retry-After`` in seconds or as a date (RFC 9110, section 10.2.3), measured
    from the endpoint's own ``Date`` where there is one, else from ``now_s``,
    seconds since the Unix epoch; ``retry-after-ms``, which is finer, goes first.
    """
    in_ms = _number(headers.get("retry-after-ms"))
    if in_ms is not None:
        return in_ms / 1e3
    told = headers.get("Retry-After")
    in_s = _number(told)
    if in_s is not None:
        return in_s
    at_s = _date_s(told)
    if at_s is None:
        return None
    sent_s = _date_s(headers.get("Date"))
    return max(0.0, at_s - (now_s if sent_s is None else sent_s))


def _number(told: str | None) -> float | None:
    try:
        number = float(told or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _date_s(told: str | None) -> float | None:
    try:
        return parsedate_to_datetime(told).timestamp() if told else None
    except ValueError:
        return None


def error_out(
    message: str, kind: str, *, param: str | None = None, code: str | None = None
) -> dict[str, Any]:
    """Return the body of an error in OpenAI's format."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
