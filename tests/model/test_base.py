"""The interface and its records."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasten import virtual
from hasten.errors import ModelUnavailable
from hasten.model.base import Chunk, Message, Model, Request, Response, count_tokens

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class _Streaming(Model):
    """Has only what a model must have."""

    def __init__(self, *chunks: Chunk) -> None:
        self._chunks = chunks
        self.is_left = False

    @property
    def name(self) -> str:
        return "streaming"

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        assert request.messages
        try:
            for chunk in self._chunks:
                yield chunk
        finally:
            self.is_left = True


def test_a_plain_call_is_the_end_of_the_stream() -> None:
    """A model that only streams answers whole, too, and its stream is closed."""
    response = Response(text="Hi", model="m")
    model = _Streaming(Chunk(text="Hi"), Chunk(response=response))
    assert virtual.run(model.complete(Request.ask("Hello"))) is response
    assert model.is_left
    virtual.run(model.close())


def test_a_stream_without_an_end_is_unavailable() -> None:
    """The error names the model."""
    with pytest.raises(ModelUnavailable, match="streaming") as caught:
        virtual.run(_Streaming(Chunk(text="Hi")).complete(Request.ask("Hello")))
    assert caught.value.model == "streaming"


def test_ask_builds_the_common_request() -> None:
    """One user turn, after a system turn only if there is one."""
    assert Request.ask("Hello").messages == (Message("user", "Hello"),)
    both = Request.ask("Hello", system="Be brief.", max_tokens=5)
    assert [turn.role for turn in both.messages] == ["system", "user"]
    assert both.max_tokens == 5


@given(st.text(), st.text())
def test_tokens_are_about_a_quarter_of_the_bytes(one: str, two: str) -> None:
    """None for nothing, at least one for something, and never fewer for more."""
    assert count_tokens("") == 0
    assert (count_tokens(one) >= 1) == bool(one)
    assert count_tokens(one) <= count_tokens(one + two)
    assert abs(count_tokens(one) - len(one.encode()) / 4) < 1
