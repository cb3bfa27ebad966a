"""What a call costs, the provider's prompt cache in it, and apart from what ours saves."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from hasten.settings import PriceSettings, UpstreamSettings
from tests.serve.gateway.conftest import CHAT, MESSAGES, Door, ask

if TYPE_CHECKING:
    from collections.abc import Callable

USAGE = {
    "input_tokens": 1_000,
    "output_tokens": 0,
    "cache_read_input_tokens": 10_000,
    "cache_creation_input_tokens": 4_000,
    "cache_creation": {"ephemeral_5m_input_tokens": 3_000, "ephemeral_1h_input_tokens": 1_000},
}
READ_USD = 10_000 * 0.30e-6
WRITTEN_USD = 3_000 * 3.75e-6 + 1_000 * 6.0e-6
WHOLE_USD = 1_000 * 3.0e-6 + READ_USD + WRITTEN_USD


def answer(usage: dict[str, Any]) -> bytes:
    """Return an answer of Claude's that took so much."""
    content = [{"type": "text", "text": "Tea."}]
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5"}
    ending = {"stop_reason": "end_turn", "stop_sequence": None}
    return orjson.dumps({**head, "content": content, **ending, "usage": usage})


def stream(usage: dict[str, Any]) -> bytes:
    """Return the same as events."""
    told = orjson.loads(answer({**usage, "output_tokens": 1}))
    events = [
        {"type": "message_start", "message": {**told, "content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": "Tea."},
        },
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": usage["output_tokens"]},
        },
        {"type": "message_stop"},
    ]
    return b"".join(
        b"event: %b\ndata: %b\n\n" % (one["type"].encode(), orjson.dumps(one)) for one in events
    )


def asked(text: str, **fields: Any) -> dict[str, Any]:
    """Return a request to Claude."""
    return {**ask(text, model="claude-sonnet-4-5", **fields), "max_tokens": 10}


def figures(text: bytes, name: str) -> dict[str, float]:
    """Return a counter's values by their kind."""
    found = re.findall(rf'^{name}_total{{kind="(\w+)".*}} (\S+)$', text.decode(), re.MULTILINE)
    return {kind: float(value) for kind, value in found}


@pytest.mark.parametrize("way", ["stored", "kept out", "streamed"])
def test_the_providers_prompt_cache_is_in_the_cost_and_told_apart(
    through: Callable[..., Any], way: str
) -> None:
    """A read costs a tenth, writing 1.25 times or twice; a hit of ours saves the whole cost."""

    async def test(door: Door) -> None:
        more = {"hasten_cache_mode": "off"} if way == "kept out" else {}
        if way == "streamed":
            kind = {"content-type": "text/event-stream"}
            door.provider.refusals.append((200, kind, stream(USAGE)))
            told = await door.post(MESSAGES, asked("tea", stream=True), **more)
            assert told.status == 200
            (call,) = door.gateway.calls.latest
            assert call.cost_usd == pytest.approx(WHOLE_USD)
        else:
            door.provider.refusals.append((200, {}, answer(USAGE)))
            told = await door.post(MESSAGES, asked("tea"), **more)
            assert float(told.headers["hasten-cost-usd"]) == pytest.approx(WHOLE_USD)
        text = (await door.get("/metrics")).body
        tokens = figures(text, "hasten_gateway_prompt_cache_tokens")
        assert tokens == {"read": 10_000, "written": 4_000}
        usd = figures(text, "hasten_gateway_prompt_cache_usd")
        assert usd["saved"] == pytest.approx(10_000 * 3.0e-6 - READ_USD)
        assert usd["spent"] == pytest.approx(WRITTEN_USD - 4_000 * 3.0e-6)
        assert b"hasten_gateway_saved_usd_total{" not in text
        if way != "kept out":
            again = await door.post(MESSAGES, asked("tea"))
            assert again.headers["hasten-cost-usd"] == "0"
            assert float(again.headers["hasten-saved-usd"]) == pytest.approx(WHOLE_USD)
            assert again.json["usage"]["cache_creation_input_tokens"] == 4_000

    through(test, protocol="anthropic")


def test_openai_counts_its_prompt_cache_inside_the_prompt(through: Callable[..., Any]) -> None:
    """GPT-6 asks for writing, too; a call that keeps the cache out is read the same way."""

    async def test(door: Door) -> None:
        details = {"cached_tokens": 6_000, "cache_write_tokens": 2_000}
        usage = {"prompt_tokens": 10_000, "completion_tokens": 0, "prompt_tokens_details": details}
        choice = {"index": 0, "message": {"role": "assistant", "content": "Tea."}}
        body = {"id": "c", "object": "chat.completion", "created": 1, "model": "gpt-6-sol"}
        told = {**body, "choices": [{**choice, "finish_reason": "stop"}], "usage": usage}
        cost = (2_000 * 2.0 + 6_000 * 0.2 + 2_000 * 2.5) / 1e6
        for more in ({}, {"hasten_cache_mode": "off"}):
            door.provider.refusals.append((200, {}, orjson.dumps(told)))
            found = await door.post(CHAT, ask("tea", model="gpt-6-sol"), **more)
            assert float(found.headers["hasten-cost-usd"]) == pytest.approx(cost)

    through(test)


def test_a_price_of_ones_own(through: Callable[..., Any]) -> None:
    """Models that nobody lists, and others than the listed prices."""
    prices = {
        "our/Our-Model": PriceSettings(in_usd=1_000.0, out_usd=2_000.0),
        "gpt-4o": PriceSettings(in_usd=0.0, out_usd=0.0),
    }

    async def test(door: Door) -> None:
        for name in ("our-model", "our/Our-Model"):
            ours = await door.post(CHAT, ask("tea?", model=name))
            told_usd = float(ours.headers["hasten-cost-usd"])
            assert told_usd == pytest.approx((7 * 1.0 + 4 * 2.0) / 1e3)
        free = await door.post(CHAT, ask("tea?"))
        assert float(free.headers["hasten-cost-usd"]) == 0.0

    through(test, prices=prices)


def test_a_price_of_ones_own_for_the_simulated_model(through: Callable[..., Any]) -> None:
    """So that a trial costs what the real thing will."""

    async def test(door: Door) -> None:
        told = await door.post(CHAT, ask("tea?", model="sim-standard"))
        usage = told.json["usage"]
        cost = usage["prompt_tokens"] * 100 / 1e6 + usage["completion_tokens"] * 200 / 1e6
        assert float(told.headers["hasten-cost-usd"]) == pytest.approx(cost, abs=1e-6)

    simulated = UpstreamSettings(name="sim", protocol="simulated")
    prices = {"sim-standard": PriceSettings(in_usd=100.0, out_usd=200.0)}
    through(test, upstreams=(simulated,), prices=prices, speed=100.0)
