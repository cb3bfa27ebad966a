"""Telling another server something, signed: webhooks out.

Owns the signature, which is that of the Standard Webhooks specification (1.0.0):
``webhook-id``, ``webhook-timestamp`` and ``webhook-signature: v1,<base64>``, an
HMAC-SHA256 of ``id.timestamp.body``, so that the receivers' own libraries check it.
Leaves what is told, and when, to its callers. Three attempts, each under a deadline;
redirects are not followed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import logging
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import orjson

from hasten.clock import current_clock

if TYPE_CHECKING:
    from collections.abc import Mapping

_log = logging.getLogger(__name__)

ATTEMPTS = 3
TIMEOUT_S = 5.0
BACKOFF_S = 1.0
"""Seconds before the second attempt; twice as many before each further one."""

ACCEPTED = range(200, 300)


def signature(secret: str, message_id: str, at_s: int, body: bytes) -> str:
    """Return the value of ``webhook-signature``.

    A secret ``whsec_<base64>`` is the bytes it stands for, any other its own characters.
    """
    key = secret.encode()
    if secret.startswith("whsec_"):
        with suppress(binascii.Error):
            key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    signed = b".".join((message_id.encode(), str(at_s).encode(), body))
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


async def send(url: str, secret: str, told: Mapping[str, Any]) -> bool:
    """Post ``told`` as JSON; return whether it was accepted. Raises nothing."""
    import aiohttp

    message_id, body = f"msg_{secrets.token_hex(12)}", orjson.dumps(told)
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        for attempt in range(ATTEMPTS):
            if attempt:
                await current_clock().sleep(BACKOFF_S * 2 ** (attempt - 1))
            at_s = int(current_clock().now())
            headers = {
                "Content-Type": "application/json",
                "webhook-id": message_id,
                "webhook-timestamp": str(at_s),
                "webhook-signature": signature(secret, message_id, at_s, body),
            }
            try:
                async with session.post(
                    url, data=body, headers=headers, allow_redirects=False
                ) as answer:
                    if answer.status in ACCEPTED:
                        return True
                    said = f"status {answer.status}"
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                said = f"{type(error).__name__}: {error}"
            _log.warning("webhook %s was not taken (attempt %d): %s", message_id, attempt + 1, said)
    return False
