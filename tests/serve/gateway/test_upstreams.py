"""Upstreams of other kinds: one behind TLS, and one that speaks Gemini."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from hasten import virtual
from hasten.clock import current_clock
from hasten.model.base import Message, Request
from hasten.model.simulated import SimProfile
from hasten.serve.sim import create_sim_app
from hasten.settings import UpstreamSettings
from hasten.testing.http import serving
from hasten.wire_models import upstream_model
from tests.serve.gateway.conftest import CHAT, MESSAGES, Door, ask
from tests.serve.gateway.upstream import Provider, listening

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FAST = SimProfile(ttft_s=0.0, prefill_tokens_per_s=1e9, decode_tokens_per_s=1e9)


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """Give an authority made for this test, which this process trusts."""
    made, path = trustme.CA(), tmp_path / "authority.pem"
    made.cert_pem.write_to_path(path)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    return made


def to(door: Door, **settings: Any) -> None:
    """Have the gateway ask another upstream from now on."""
    from hasten.serve.gateway.upstreams import upstreams_of
    from hasten.settings import Settings

    one = UpstreamSettings(name="other", **settings)
    found = upstreams_of(Settings(home=door.runtime.settings.home, upstreams=(one,)))
    door.gateway.relay._upstreams = door.gateway.upstreams = found


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_behind_tls(through: Callable[..., Any], authority: trustme.CA, name: str) -> None:
    """Plain and streamed, over one connection that is kept."""

    async def test(door: Door) -> None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert(name).configure_cert(tls)
        async with listening(door.provider.serve, tls) as port:
            to(door, base_url=f"https://{name}:{port}/v1")
            before = door.provider.connections
            told = await door.post(CHAT, ask())
            assert told.json["choices"][0]["message"]["content"] == "Tea is ready."
            streamed = await door.post(CHAT, ask("live", stream=True))
            assert streamed.events[-1] == "[DONE]"
            assert door.provider.connections == before + 1
            await door.gateway.upstreams.close()

    through(test)


@pytest.mark.parametrize("fault", ["another name", "nobody's authority"])
def test_a_certificate_that_proves_nothing(
    through: Callable[..., Any], authority: trustme.CA, fault: str
) -> None:
    """No call is sent to an upstream that cannot show who it is."""

    async def test(door: Door) -> None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        by = authority if fault == "another name" else trustme.CA()
        by.issue_cert("elsewhere.example" if by is authority else "localhost").configure_cert(tls)
        async with listening(door.provider.serve, tls) as port:
            to(door, base_url=f"https://localhost:{port}/v1")
            refused = await door.post(CHAT, ask())
            assert refused.status == 502
            assert "certificate" in refused.json["error"]["message"]
            assert not door.provider.seen

    through(test)


def test_gemini_behind_the_gateway(through: Callable[..., Any]) -> None:
    """Whoever speaks OpenAI or Anthropic is answered by an upstream that speaks neither."""

    async def test(door: Door) -> None:
        async with serving(create_sim_app(FAST)) as url:
            to(door, protocol="gemini", base_url=f"{url}/v1beta")
            asked = ask("Name a tea.", model="gemini-2.5-flash")
            told = await door.post(CHAT, asked)
            assert told.status == 200, told.body
            text = told.json["choices"][0]["message"]["content"]
            assert text
            assert told.json["usage"]["completion_tokens"] > 0
            again = await door.post(CHAT, {**asked, "stream": True})
            assert "hit" in again.said
            pieces = [one["choices"] for one in again.events[:-1]]
            assert "".join(one[0]["delta"].get("content") or "" for one in pieces if one) == text
            live = await door.post(CHAT, ask("And another.", model="gemini-2.5-flash", stream=True))
            assert live.events[-1] == "[DONE]"
            message = {**asked, "max_tokens": 50}
            in_words = await door.post(MESSAGES, message, anthropic_version="2023-06-01")
            assert in_words.json["content"][0]["text"]
            assert not door.provider.seen
            await door.gateway.upstreams.close()

    through(test, provider=Provider())


def test_the_simulated_model_keeps_the_pace_that_is_set() -> None:
    """At ten times the speed an answer takes a tenth, to the last bit of its text the same."""
    told = {}
    for speed in (1.0, 10.0):

        async def one(speed: float = speed) -> tuple[str, float]:
            model = upstream_model(
                UpstreamSettings(name="sim", protocol="simulated"), "", speed=speed
            )
            began_s = current_clock().monotonic()
            response = await model.complete(Request(messages=(Message("user", "tea?"),)))
            return response.text, current_clock().monotonic() - began_s

        told[speed] = virtual.run(one())
    assert told[10.0][0] == told[1.0][0]
    assert told[10.0][1] == pytest.approx(told[1.0][1] / 10)
