"""A span for every call on the wire."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from hasten import virtual
from hasten.errors import ModelUnavailable
from hasten.model.base import Model, Request, Response, Usage
from hasten.model.traced import TracedModel
from hasten.testing.model import BrokenAnswer, FakeModel
from tests.model.recording import recorded

if TYPE_CHECKING:
    from hasten.trace.span import Span

ASK = Request.ask("Hello there", model="gpt-4o-mini", task="greeting")
ANSWER = Response(text="Hi you all", model="gpt-4o-mini", usage=Usage(1_000_000, 500_000, 200_000))


async def _read(model: Model, request: Request = ASK) -> None:
    async with aclosing(model.stream(request)) as chunks:
        async for _ in chunks:
            pass


def _spans(*script: object, read: bool = True, fails: bool = False) -> list[Span]:
    async def main() -> list[Span]:
        with recorded() as recorder:
            model = TracedModel(FakeModel(*script, first_s=1.0, piece_s=0.5))  # type: ignore[arg-type]
            call = _read(model) if read else model.complete(ASK)
            if fails:
                with pytest.raises(ModelUnavailable):
                    await call
            else:
                await call
        return recorder.spans[1:]

    return virtual.run(main())


def test_a_stream_leaves_tokens_money_and_first_token() -> None:
    """All that the report reads is on the span; its length is the call's."""
    (span,) = _spans(ANSWER)
    assert (span.kind, span.name, span.status) == ("model", "greeting", "ok")
    assert span.duration_s == pytest.approx(2.0)
    found = span.attributes
    assert found["first_token_s"] == pytest.approx(1.0)
    assert (found["tokens_in"], found["tokens_out"], found["cached_tokens_in"]) == (
        1_000_000,
        500_000,
        200_000,
    )
    assert found["cost_usd"] == pytest.approx(0.8 * 0.15 + 0.2 * 0.075 + 0.5 * 0.60)
    assert (found["model"], found["task"], found["simulated"]) == ("gpt-4o-mini", "greeting", False)


def test_a_reader_may_leave_once_it_has_the_whole_answer() -> None:
    """Not reading past the last chunk is no cancellation."""

    async def main() -> list[Span]:
        with recorded() as recorder:
            async with aclosing(TracedModel(FakeModel(ANSWER)).stream(ASK)) as chunks:
                async for chunk in chunks:
                    if chunk.response is not None:
                        break
        return recorder.spans[1:]

    (span,) = virtual.run(main())
    assert span.status == "ok"


def test_a_plain_call_leaves_the_same_without_a_first_token() -> None:
    """Nothing came piece by piece, so there is no first piece to time."""
    (span,) = _spans(ANSWER, read=False)
    assert span.attributes["tokens_out"] == 500_000
    assert "first_token_s" not in span.attributes


def test_a_model_without_a_price_says_so() -> None:
    """A cost of 0 that stands for *unknown* is marked."""
    (span,) = _spans(Response(text="x", model="nobody-knows"))
    assert span.attributes["cost_usd"] == 0.0
    assert span.attributes["cost_unknown"]


def test_a_broken_stream_leaves_a_failed_span() -> None:
    """The error's code and message are there, its first piece too."""
    (span,) = _spans(BrokenAnswer("one two", ModelUnavailable("gone")), fails=True)
    assert span.status == "failed"
    assert span.attributes["error"] == {"code": "model_unavailable", "message": "gone"}
    assert span.attributes["first_token_s"] == pytest.approx(1.0)


def test_a_stream_left_early_closes_upstream_and_its_span() -> None:
    """Whoever stops reading ends the call on the wire."""

    async def main() -> tuple[Span, FakeModel]:
        with recorded() as recorder:
            wire = FakeModel("one two three", piece_s=1.0)
            async with aclosing(TracedModel(wire).stream(ASK)) as chunks:
                await anext(chunks)
        return recorder.spans[1], wire

    span, wire = virtual.run(main())
    assert wire.left == 1
    assert wire.open_calls == 0
    assert span.end_s is not None


def test_outside_a_run_it_only_passes_on() -> None:
    """No recorder, no span, the same answer."""
    model = TracedModel(FakeModel("hello", name="fake"))
    assert virtual.run(model.complete(ASK)).text == "hello"
    assert model.name == "fake"
