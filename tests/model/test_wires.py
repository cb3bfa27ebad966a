"""The wire formats: what comes in goes out the same, and each is understood by the others."""

from __future__ import annotations

from typing import Any, get_type_hints

import msgspec
import orjson
import pytest
from anthropic.types import MessageCountTokensParams
from anthropic.types import message_create_params as messages_params
from openai.types.chat import completion_create_params as chat_params
from openai.types.responses import response_create_params as responses_params

from hasten.errors import InvalidInput, ModelRejected
from hasten.model import anthropic_wire, openai_wire, responses_wire
from hasten.model.base import Chunk, Message, Request, Response, ToolCall, Usage
from hasten.model.wire_format import Asked, Head
from tests.model.wire_answers import ANSWERS, KNOWN, SCHEMA

WIRES: dict[str, Any] = {
    "openai": openai_wire,
    "responses": responses_wire,
    "anthropic": anthropic_wire,
}
every_wire = pytest.mark.parametrize("name", WIRES)

HEAD = Head("new-id", "m1", 1_700_000_000.0)
ASK = Request.ask("Hello", system="Be brief.")
TURNS = [{"role": "user", "content": "hi"}]
CLOSED = {**SCHEMA, "required": ["a"], "additionalProperties": False}
PICTURE = "data:image/png;base64,aGk="
OFFICIAL = [
    ("openai", chat_params.CompletionCreateParamsBase),
    ("responses", responses_params.ResponseCreateParamsBase),
    ("anthropic", messages_params.MessageCreateParamsBase),
    ("anthropic", MessageCountTokensParams),
]


def _again(name: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return ``body`` as it goes out after it came in."""
    asked = WIRES[name].read_request(orjson.dumps(body))
    made: dict[str, Any] = WIRES[name].to_body(asked.request, model="other", stream=asked.stream)
    return made


@pytest.mark.parametrize(("name", "params"), OFFICIAL)
def test_every_official_field_survives(name: str, params: Any) -> None:
    """Each field of the SDK's own type definitions, known to us by name or not."""
    fields = list(get_type_hints(params))
    assert len(fields) > 8
    least = {field: KNOWN[name][field] for field in ("messages", "input") if field in KNOWN[name]}
    if name == "anthropic":
        least["max_tokens"] = 7
    for field in fields:
        value = KNOWN[name].get(field, {"some": ["thing"]})
        if field == "stream_options":
            continue
        body = {"model": "m1", **least, field: "m1" if field == "model" else value}
        assert _again(name, body)[field] == body[field], field


def _answer(name: str, response: Response) -> dict[str, Any]:
    more = (ASK,) if name == "responses" else ()
    made: dict[str, Any] = WIRES[name].answer_out(response, HEAD, *more)
    return made


@every_wire
def test_an_answer_goes_out_as_it_came_in_but_for_its_id(name: str) -> None:
    """Thoughts, citations, logprobs, second choices, usage in detail, unknown fields."""
    came = ANSWERS[name]
    response = WIRES[name].Reading(ASK, model="m0").take_whole(orjson.dumps(came))
    assert (response.text, response.wire) == ("Hi", name)
    assert (response.usage.tokens_in, response.usage.cached_tokens_in) == (9, 4)
    stored = msgspec.json.decode(msgspec.json.encode(response), type=Response)
    went = _answer(name, stored)
    assert went["id"] == "new-id"
    assert {field: went[field] for field in came if field != "id"} == {
        field: value for field, value in came.items() if field != "id"
    }


CALL = ToolCall("t1", "look", '{"a":1}')
CALLED: dict[str, Any] = {"finish_reason": "tool_calls", "tool_calls": (CALL,)}
NEUTRAL = [
    Response(text="Hi you", model="m1", usage=Usage(9, 2, 4)),
    Response(text="Hi", model="m1", usage=Usage(9, 2), finish_reason="length"),
    Response(text="", model="m1", usage=Usage(9, 2), **CALLED),
    Response(text="Hm", model="m1", usage=Usage(3, 1), **CALLED),
]


def _frames(name: str, chunks: list[Chunk]) -> list[str]:
    """Return the data of the events that tell ``chunks``."""
    writer = WIRES[name].EventWriter(HEAD, Asked(ASK, stream=True))
    sent = b"".join(one for chunk in chunks for one in writer.write(chunk)).decode()
    return [one.partition("data: ")[2] for one in sent.split("\n\n") if one]


def _read_stream(name: str, frames: list[str]) -> tuple[list[Chunk], Response]:
    reading = WIRES[name].Reading(ASK, model="m0")
    taken = [reading.take(data) for data in frames if data != "[DONE]"]
    last = reading.last()
    return [*filter(None, taken), last], last.response


def _core(response: Response) -> tuple[Any, ...]:
    calls = [(call.id, call.name, orjson.loads(call.arguments)) for call in response.tool_calls]
    return response.text, response.model, response.usage, response.finish_reason, calls


@every_wire
@pytest.mark.parametrize("response", NEUTRAL)
def test_an_answer_of_ours_is_read_back_the_same(name: str, response: Response) -> None:
    """Whole, and as a stream of words; from a chain that speaks no provider's format."""
    whole = WIRES[name].Reading(ASK, model="m0").take_whole(orjson.dumps(_answer(name, response)))
    assert _core(whole) == _core(response)
    assert whole.id == "new-id"
    words = [Chunk(text=word) for word in response.text.partition(" ") if word]
    frames = _frames(name, [*words, Chunk(response=response)])
    pieces, streamed = _read_stream(name, frames)
    assert _core(streamed) == _core(response)
    assert "".join(piece.text for piece in pieces) == response.text


@every_wire
def test_a_providers_own_events_pass_untouched(name: str) -> None:
    """What was read from a stream is written byte for byte, each event once and in order."""
    stored = WIRES[name].Reading(ASK, model="m0").take_whole(orjson.dumps(ANSWERS[name]))
    frames = _frames(name, [Chunk(text="Hi"), Chunk(response=stored)])
    pieces, _ = _read_stream(name, frames)
    passed = [data for piece in pieces for data in piece.events]
    assert passed == [data for data in frames if data != "[DONE]"]
    assert _frames(name, pieces) == frames


@pytest.mark.parametrize("name", ["anthropic", "responses"])
def test_a_stored_answer_with_thoughts_is_streamed_with_them(name: str) -> None:
    """Blocks and items that are no text are told whole, in their place and order."""
    stored = WIRES[name].Reading(ASK, model="m0").take_whole(orjson.dumps(ANSWERS[name]))
    _, streamed = _read_stream(name, _frames(name, [Chunk(response=stored)]))
    assert streamed.parts == stored.parts
    assert streamed.usage == stored.usage
    assert streamed.extra.get("stop_reason") == stored.extra.get("stop_reason")


def test_an_event_without_text_is_still_passed_on_at_once() -> None:
    """A thought and the arguments of a call are not held back until the end."""
    events = [
        {"type": "message_start", "message": ANSWERS["anthropic"]},
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "thinking", "thinking": "", "signature": ""},
        },
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "thinking_delta", "thinking": "hm"},
        },
    ]
    reading = anthropic_wire.Reading(ASK, model="m0")
    start, opened, thought = [reading.take(orjson.dumps(event).decode()) for event in events]
    assert start is None
    assert opened is not None
    assert thought is not None
    assert (thought.text, len(opened.events), len(thought.events)) == ("", 2, 1)


CONVERSATION = Request(
    messages=(
        Message("system", "Be brief."),
        Message("user", "Look"),
        Message("assistant", "Hm", (CALL, ToolCall("t2", "look", '{"a":2}'))),
        Message("tool", "seen", tool_call_id="t1"),
        Message("tool", "heard", tool_call_id="t2"),
        Message("user", "And?"),
    ),
    model="m1",
    max_tokens=9,
    temperature=0.5,
    tools=({"type": "function", "function": {"name": "look", "parameters": SCHEMA}},),
    extra={"tool_choice": "required", "top_p": 0.5},
)


def _said(request: Request) -> list[tuple[Any, ...]]:
    return [
        (turn.role, turn.content, turn.tool_calls, turn.tool_call_id) for turn in request.messages
    ]


@pytest.mark.parametrize("first", WIRES)
@pytest.mark.parametrize("second", WIRES)
def test_a_conversation_means_the_same_in_every_format(first: str, second: str) -> None:
    """Out in one, in, out in another, in: the same turns, calls, results and tools."""
    out = WIRES[first].to_body(CONVERSATION, model="", stream=False)
    came = WIRES[first].read_request(orjson.dumps(out)).request
    again = WIRES[second].to_body(came, model="", stream=False)
    request = WIRES[second].read_request(orjson.dumps(again)).request
    assert _said(request) == _said(CONVERSATION)
    assert (request.max_tokens, request.temperature) == (9, 0.5)
    direct = WIRES[second].to_body(CONVERSATION, model="", stream=False)
    for field in ("tool_choice", "top_p"):
        assert again[field] == direct[field]
    assert [tool.get("name") or tool["function"]["name"] for tool in again["tools"]] == ["look"]


CONTENT: dict[str, Any] = {
    "openai": [
        {"type": "text", "text": "See"},
        {"type": "image_url", "image_url": {"url": PICTURE}},
    ],
    "anthropic": [
        {"type": "text", "text": "See", "cache_control": {"type": "ephemeral"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
    ],
    "responses": [
        {"type": "input_text", "text": "See"},
        {"type": "input_image", "image_url": PICTURE, "detail": "auto"},
    ],
}


def _of_content(name: str, content: list[dict[str, Any]]) -> Request:
    field = "input" if name == "responses" else "messages"
    body = {"model": "m1", "max_tokens": 9, field: [{"role": "user", "content": content}]}
    request: Request = WIRES[name].read_request(orjson.dumps(body)).request
    return request


@pytest.mark.parametrize("first", WIRES)
@pytest.mark.parametrize("second", WIRES)
def test_pictures_cross(first: str, second: str) -> None:
    """A picture in one format is that picture in another."""
    out = WIRES[second].to_body(_of_content(first, CONTENT[first]), model="", stream=False)
    (sent,) = out["input" if second == "responses" else "messages"]
    found = orjson.dumps(sent["content"]).decode()
    assert "See" in found
    assert "aGk=" in found
    assert ("cache_control" in found) == (first == second == "anthropic")


def test_what_has_no_counterpart_is_refused_by_name() -> None:
    """Sound for Anthropic; a provider's own tool for another."""
    sound = {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}}
    with pytest.raises(ModelRejected, match="input_audio"):
        anthropic_wire.to_body(_of_content("openai", [sound]), model="", stream=False)
    tools = [{"type": "web_search_20250305", "name": "web_search", "max_uses": 2}]
    came = {"model": "m", "max_tokens": 1, "tools": tools, "messages": TURNS}
    request = anthropic_wire.read_request(orjson.dumps(came)).request
    with pytest.raises(ModelRejected, match="web_search"):
        openai_wire.to_body(request, model="", stream=False)


@pytest.mark.parametrize("schema", [SCHEMA, CLOSED])
def test_a_schema_is_asked_for_in_each_format(schema: dict[str, Any]) -> None:
    """As ``response_format``, ``text.format``, ``output_config`` or a tool that must be called."""
    ask = Request(messages=ASK.messages, schema=schema)
    chat = openai_wire.to_body(ask, model="m", stream=False)
    assert chat["response_format"]["json_schema"]["schema"] == schema
    responses = responses_wire.to_body(ask, model="m", stream=False)
    assert responses["text"]["format"]["schema"] == schema
    messages = anthropic_wire.to_body(ask, model="m", stream=False)
    if schema is CLOSED:
        assert messages["output_config"]["format"]["schema"] == schema
    else:
        assert messages["tools"][0]["input_schema"] == schema
        assert messages["tool_choice"] == {"type": "tool", "name": "answer"}


def test_the_input_of_the_forced_tool_is_the_answer() -> None:
    """Whole and streamed, it is text to whoever asked."""
    ask = Request(messages=ASK.messages, schema=SCHEMA)
    call = ToolCall("t1", "answer", '{"a":1}')
    said = Response(text="", model="m1", usage=Usage(9, 2), **{**CALLED, "tool_calls": (call,)})
    body = orjson.dumps(anthropic_wire.answer_out(said, HEAD))
    whole = anthropic_wire.Reading(ask, model="m0").take_whole(body)
    assert (whole.text, whole.finish_reason, whole.tool_calls) == ('{"a":1}', "stop", ())
    reading = anthropic_wire.Reading(ask, model="m0")
    taken = [reading.take(data) for data in _frames("anthropic", [Chunk(response=said)])]
    assert "".join(chunk.text for chunk in taken if chunk) == '{"a":1}'
    assert reading.last().response == whole


def _anthropic(content: list[dict[str, Any]]) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": content}]}


WRONG: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("openai", {"model": "m"}, "messages"),
    ("openai", {"model": "m", "messages": []}, "messages"),
    (
        "openai",
        {"model": "m", "messages": [{"role": "user", "content": [{}]}]},
        "messages[0].content[0].type",
    ),
    ("openai", {"model": "m", "messages": TURNS, "stream": True, "n": 2}, "n"),
    ("anthropic", {"model": "m", "messages": TURNS}, "max_tokens"),
    ("anthropic", {"model": "m", "max_tokens": 1, "messages": []}, "messages"),
    ("anthropic", {"model": "m", "max_tokens": "1", "messages": TURNS}, "max_tokens"),
    ("anthropic", _anthropic([{"type": "tool_result"}]), "messages[0].content[0].tool_use_id"),
    ("responses", {"model": "m", "input": []}, "input"),
    ("responses", {"model": "m", "input": 5}, "input"),
    ("responses", {"model": "m", "input": [{"role": "king", "content": "hi"}]}, "input[0].role"),
    ("responses", {"model": "m", "input": [{"type": "function_call"}]}, "input[0].call_id"),
    (
        "responses",
        {"model": "m", "input": "hi", "text": {"format": {"type": "json_schema"}}},
        "text.format.schema",
    ),
)


@pytest.mark.parametrize(("name", "body", "field"), WRONG)
def test_a_wrong_body_names_its_field(name: str, body: dict[str, Any], field: str) -> None:
    """Whatever is wrong, wherever."""
    with pytest.raises(InvalidInput) as caught:
        WIRES[name].read_request(orjson.dumps(body))
    assert caught.value.field == field
    assert field in str(caught.value)
