"""Webhooks out: the signature of the specification, attempts, and no exception ever."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from hasten import webhook
from hasten.testing.http import serving

if TYPE_CHECKING:
    from collections.abc import Iterator


class Receiver:
    """Takes posts: answers each with the next status."""

    def __init__(self, *statuses: int) -> None:
        self._statuses: Iterator[int] = iter(statuses)
        self.heard: list[tuple[dict[str, str], bytes]] = []
        self.has_heard = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one post."""
        if scope["type"] != "http":
            return
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        body = (await receive())["body"]
        self.heard.append((headers, body))
        self.has_heard.set()
        status = next(self._statuses)
        location = [(b"location", b"/elsewhere")] if status == 302 else []
        await send({"type": "http.response.start", "status": status, "headers": location})
        await send({"type": "http.response.body", "body": b""})


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for no second attempt."""
    monkeypatch.setattr(webhook, "BACKOFF_S", 0.0)


def test_the_signature_is_the_specifications() -> None:
    """The example of the Standard Webhooks libraries' own tests."""
    found = webhook.signature(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_secret_that_is_no_base64_is_its_own_characters() -> None:
    """Whatever the settings say, a post can be signed."""
    odd = webhook.signature("whsec_*", "m", 1, b"")
    assert odd == webhook.signature("whsec_*", "m", 1, b"") != webhook.signature("", "m", 1, b"")


def posted(receiver: Receiver) -> bool:
    """Post to the receiver."""

    async def main() -> bool:
        async with serving(receiver) as url:
            return await webhook.send(f"{url}/hook", "secret", {"type": "x"})

    return asyncio.run(main())


def test_a_post_can_be_checked_by_its_receiver() -> None:
    """Id, time and body are what is signed."""
    receiver = Receiver(204)
    assert posted(receiver)
    ((headers, body),) = receiver.heard
    assert orjson.loads(body) == {"type": "x"}
    at_s = int(headers["webhook-timestamp"])
    signed = webhook.signature("secret", headers["webhook-id"], at_s, body)
    assert headers["webhook-signature"] == signed


def test_it_tries_again_under_the_same_id() -> None:
    """Three times in all; a redirect is no acceptance and is not followed."""
    receiver = Receiver(500, 302, 200)
    assert posted(receiver)
    assert len({headers["webhook-id"] for headers, _ in receiver.heard}) == 1
    assert not posted(Receiver(500, 500, 500))


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/hook", "no address", ""])
def test_nobody_there_is_no_error(url: str) -> None:
    """It was not taken, that is all."""
    assert asyncio.run(webhook.send(url, "secret", {})) is False
