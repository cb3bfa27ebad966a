"""A model, a length and a temperature for each task; what a request says itself holds."""

from __future__ import annotations

from typing import Any

import pytest

from hasten import virtual
from hasten.model.base import Request
from hasten.model.chain import ChainPolicy, build_chain
from hasten.model.tasked import ANY_TASK, TaskPolicy
from hasten.testing.model import FakeModel

TASKS = {
    "score": TaskPolicy(model="small", max_tokens=100, temperature=0.0),
    ANY_TASK: TaskPolicy(max_tokens=2_000),
}


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ({"task": "score"}, ("small", 100, 0.0)),
        ({"task": "score", "model": "large", "temperature": 0.7}, ("large", 100, 0.7)),
        ({"task": "score", "max_tokens": 50}, ("small", 50, 0.0)),
        ({"task": "score", "max_tokens": 500}, ("small", 100, 0.0)),
        ({"task": "other"}, ("", 2_000, None)),
        ({}, ("", 2_000, None)),
    ],
)
def test_what_a_request_leaves_open_is_filled_in(
    said: dict[str, Any], asked: tuple[str, int, float | None]
) -> None:
    """By its task; a budget bounds, a model and a temperature give way."""
    wire = FakeModel("ok")
    virtual.run(build_chain(wire, ChainPolicy(tasks=TASKS)).complete(Request.ask("x", **said)))
    found = wire.requests[0]
    assert (found.model, found.max_tokens, found.temperature) == asked
