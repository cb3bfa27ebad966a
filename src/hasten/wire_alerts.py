"""Telling of alerts as they begin and end: a line in the log, and a signed webhook.

Owns the posts under way, which closing ends. Leaves the rules to
``quality/alert`` and the signature to ``webhook``. ``wire.Runtime`` has one.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import msgspec

from hasten import webhook

if TYPE_CHECKING:
    from hasten.quality.alert import Alert
    from hasten.settings import Settings

_log = logging.getLogger(__name__)


class AlertPosts:
    """Called with an alert, it tells of it; nothing it does can fail its caller."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.alert_webhook_url
        self._secret = settings.alert_webhook_secret.get_secret_value()
        self._posts: set[asyncio.Task[bool]] = set()

    def __call__(self, alert: Alert) -> None:
        """Log the alert, and post it if the settings say where."""
        _log.warning("alert %s", msgspec.json.encode(alert).decode())
        if not self._url:
            return
        kind = "alert.firing" if alert.is_firing else "alert.resolved"
        told = {"type": kind, "data": msgspec.to_builtins(alert)}
        post = asyncio.create_task(webhook.send(self._url, self._secret, told), name=kind)
        self._posts.add(post)
        post.add_done_callback(self._posts.discard)

    async def close(self) -> None:
        """End the posts under way."""
        for post in self._posts:
            post.cancel()
        await asyncio.gather(*self._posts, return_exceptions=True)
