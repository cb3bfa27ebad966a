"""What an endpoint's errors mean to us."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasten.errors import (
    ModelError,
    ModelRefused,
    ModelRejected,
    ModelTimeout,
    ModelUnavailable,
    RateLimited,
)
from hasten.model.openai_errors import error_for, error_in_answer, retry_after_s


def _body(**fields: Any) -> bytes:
    return orjson.dumps({"error": {"message": "so it is", **fields}})


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 409, 413, 422])
def test_a_wrong_request_is_rejected_with_its_status(status: int) -> None:
    """The status and the endpoint's words are kept."""
    error = error_for(status, _body(), model="m")
    assert isinstance(error, ModelRejected)
    assert (error.status, error.model) == (status, "m")
    assert "so it is" in str(error)
    assert not error.retryable


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (408, ModelTimeout),
        (429, RateLimited),
        (529, RateLimited),
        (500, ModelUnavailable),
        (502, ModelUnavailable),
        (503, ModelUnavailable),
    ],
)
def test_what_may_pass_is_retryable(status: int, kind: type[ModelError]) -> None:
    """Overload, time and failures of the other side."""
    error = error_for(status, _body(), model="m", retry_after_s=3.0)
    assert type(error) is kind
    assert error.retryable
    if isinstance(error, RateLimited):
        assert error.retry_after_s == 3.0


@pytest.mark.parametrize("code", ["content_filter", "content_policy_violation"])
def test_a_filter_is_a_refusal(code: str) -> None:
    """Azure and OpenAI say 400 for it."""
    assert isinstance(error_for(400, _body(code=code), model="m"), ModelRefused)


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        ({"message": "x", "code": 429}, RateLimited),
        ({"message": "x", "type": "rate_limit_exceeded"}, RateLimited),
        ({"message": "x", "type": "overloaded_error"}, RateLimited),
        ({"message": "x", "type": "invalid_request_error"}, ModelRejected),
        ({"message": "x", "type": "server_error"}, ModelUnavailable),
        ("just words", ModelUnavailable),
        ([], ModelUnavailable),
    ],
)
def test_an_error_inside_an_answer_is_read_by_its_code_or_type(
    told: Any, kind: type[ModelError]
) -> None:
    """Some endpoints answer 200 and put the error into the body or the stream."""
    assert type(error_in_answer(told, model="m")) is kind


@given(
    st.integers(300, 599), st.one_of(st.binary(max_size=200), st.text(max_size=50).map(str.encode))
)
def test_any_body_gives_an_error_of_the_tree(status: int, body: bytes) -> None:
    """HTML, nothing, half a JSON: never anything but a ``ModelError``."""
    assert isinstance(error_for(status, body, model="m"), ModelError)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "0.5"}, 0.5),
        ({"Retry-After": "7", "retry-after-ms": "250"}, 0.25),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-3"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "Thu, 01 Jan 2026 00:01:30 GMT"}, 90.0),
        ({"Retry-After": "Wed, 31 Dec 2025 23:00:00 GMT"}, 0.0),
        (
            {
                "Retry-After": "Thu, 01 Jan 2026 10:00:20 GMT",
                "Date": "Thu, 01 Jan 2026 10:00:00 GMT",
            },
            20.0,
        ),
    ],
)
def test_retry_after_in_seconds_or_as_a_date(
    headers: dict[str, str], expected: float | None
) -> None:
    """A date is measured from the endpoint's own clock where it tells it."""
    assert retry_after_s(headers, 1_767_225_600.0) == expected
