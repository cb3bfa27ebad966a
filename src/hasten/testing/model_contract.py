"""What every ``Model`` promises, as checks that run on any of them.

Owns the promises of ``hasten.model.base.Model`` in executable form. Each clause
takes a model that answers any request within seconds and raises
``AssertionError`` when it breaks its word::

    @pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.__name__)
    def test_my_model(clause):
        virtual.run(clause(MyModel()))
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import orjson

from hasten.clock import current_clock
from hasten.errors import ModelError
from hasten.model.base import Chunk, Message, Request, count_tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from hasten.model.base import Model, Response

    Clause = Callable[[Model], Coroutine[Any, Any, None]]

ASK = Request.ask("Focus: Chatbots\nSay what to do first.", system="You advise founders.")

_FEW_TOKENS = 5

STRANGE = "Å 漢字 🦊 \x00 \x1f \u2028 ' \" \\ {} %s data: [DONE]\n\ndata: {"
"""Text that wires have been known to lose, cut or choke on."""


async def read(model: Model, request: Request = ASK) -> tuple[list[Chunk], Response]:
    """Read a stream to its end; return its pieces and the whole answer."""
    async with aclosing(model.stream(request)) as chunks:
        found = [chunk async for chunk in chunks]
    last = found.pop()
    assert last.response is not None, "the last chunk carries the response"
    return found, last.response


async def has_a_name(model: Model) -> None:
    """Somebody answers when a request names no model."""
    assert model.name
    assert (await model.complete(ASK)).model


async def the_pieces_are_the_answer(model: Model) -> None:
    """Only the last chunk carries the response; what came before it is its text."""
    pieces, response = await read(model)
    assert pieces
    assert all((piece.text or piece.events) and piece.response is None for piece in pieces)
    assert "".join(piece.text for piece in pieces) == response.text


async def tokens_are_counted(model: Model) -> None:
    """Streamed or not, both directions have a count above zero."""
    for response in (await model.complete(ASK), (await read(model))[1]):
        assert response.usage.tokens_in > 0
        assert response.usage.tokens_out > 0
        assert response.usage.cached_tokens_in <= response.usage.tokens_in


async def a_whole_answer_says_stop(model: Model) -> None:
    """An answer that was not cut ends with ``stop``."""
    response = await model.complete(ASK)
    assert response.text
    assert response.finish_reason == "stop"
    assert response.tool_calls == ()


async def strange_text_is_carried(model: Model) -> None:
    """No text in a request breaks the call, streamed or not."""
    turns = (Message("user", STRANGE), Message("assistant", STRANGE), Message("user", STRANGE))
    request = Request(messages=turns)
    assert (await model.complete(request)).text
    assert (await read(model, request))[1].text


async def calls_do_not_mix(model: Model) -> None:
    """Many calls at once, streamed and plain, each end in one whole answer of their own."""
    asks = [Request.ask(f"Number {number}: say what to do first.") for number in range(8)]
    streams = await asyncio.gather(*(read(model, ask) for ask in asks))
    plain = await asyncio.gather(*(model.complete(ask) for ask in asks))
    for (pieces, response), whole in zip(streams, plain, strict=True):
        assert "".join(piece.text for piece in pieces) == response.text
        assert whole.text


async def a_reader_may_leave(model: Model) -> None:
    """After the first piece, and before any; the next call is none the worse."""
    async with aclosing(model.stream(ASK)) as chunks:
        assert (await anext(chunks)).text
    await model.stream(ASK).aclose()
    assert (await model.complete(ASK)).text


async def a_caller_may_be_cancelled(model: Model) -> None:
    """A cancelled call ends at once as cancelled, and the next is none the worse."""
    for call in (model.complete(ASK), read(model)):
        task: asyncio.Task[Any] = asyncio.ensure_future(call)
        await current_clock().sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
    assert (await model.complete(ASK)).text


async def foreign_errors_stay_inside(model: Model) -> None:
    """Whatever is asked, the answer is a response or a ``ModelError``."""
    for schema in ({"type": "object"}, {"$ref": "#/nowhere"}, {"type": 5}):
        try:
            await model.complete(Request(messages=ASK.messages, schema=schema))
        except ModelError:
            continue


async def a_closed_model_may_be_closed_again(model: Model) -> None:
    """Before its first call, after it, and twice."""
    await model.close()
    await model.complete(ASK)
    await model.close()
    await model.close()


async def max_tokens_limits_the_answer(model: Model) -> None:
    """A cut answer says ``length`` and is no longer than it may be."""
    request = Request(messages=ASK.messages, max_tokens=_FEW_TOKENS)
    for response in (await model.complete(request), (await read(model, request))[1]):
        assert response.finish_reason == "length"
        assert response.usage.tokens_out <= _FEW_TOKENS
        assert count_tokens(response.text) <= _FEW_TOKENS


async def a_schema_gives_json(model: Model) -> None:
    """An answer to a schema is JSON that has what the schema requires."""
    schema = {
        "type": "object",
        "properties": {"score": {"type": "integer"}},
        "required": ["score"],
    }
    request = Request(messages=ASK.messages, schema=schema)
    for response in (await model.complete(request), (await read(model, request))[1]):
        assert isinstance(orjson.loads(response.text)["score"], int)


CLAUSES: tuple[Clause, ...] = (
    has_a_name,
    the_pieces_are_the_answer,
    tokens_are_counted,
    a_whole_answer_says_stop,
    strange_text_is_carried,
    calls_do_not_mix,
    a_reader_may_leave,
    a_caller_may_be_cancelled,
    foreign_errors_stay_inside,
    a_closed_model_may_be_closed_again,
)
"""What any model keeps, also one that answers from a script."""

ANSWERING_CLAUSES: tuple[Clause, ...] = (max_tokens_limits_the_answer, a_schema_gives_json)
"""What a model keeps that heeds the request."""
