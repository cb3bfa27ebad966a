"""What a request must pass before any route sees it.

Owns three checks, none of which needs to know the route: the ``Host`` is one
of ours (else a page elsewhere could reach a local server by DNS rebinding),
nothing comes from another site's page, and the body is JSON of a bounded size.
Leaves who the caller is to ``auth``.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException

from hasten.serve.problems import problem_response

if TYPE_CHECKING:
    from hasten.settings import Settings

Scope = dict[str, Any]


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(self, app: Any, settings: Settings) -> None:
        self.app = app
        self._hosts = {"localhost", settings.host.lower(), *map(str.lower, settings.allowed_hosts)}
        self._max_body_bytes = settings.max_body_bytes

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Pass the request on, or answer it with a problem."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refusal(scope, headers)
        if refusal is not None and scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refusal[1]})
            return
        if refusal is not None:
            await self._read_away(receive)
            await problem_response(*refusal)(scope, receive, send)
            return
        await self.app(scope, _Bounded(receive, self._max_body_bytes), send)

    async def _read_away(self, receive: Any) -> None:
        """Read what a refused request still sends, within bounds.

        A server that answers and closes while its client writes resets the
        connection, and the client never sees why.
        """
        left_bytes, has_more = 4 * self._max_body_bytes, True
        while has_more and left_bytes > 0:
            message = await receive()
            left_bytes -= len(message.get("body", b""))
            has_more = message.get("more_body", False)

    def _refusal(self, scope: Scope, headers: dict[bytes, str]) -> tuple[int, str, str] | None:
        """Return status, code and reason if the request may not pass."""
        host = headers.get(b"host", "")
        if not self._is_ours(host):
            reason = f"this server does not answer to the host {host[:100]!r}; see allowed_hosts"
            return 421, "misdirected", reason
        origin = headers.get(b"origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return 403, "cross_origin", f"requests from pages of {origin[:100]!r} are refused"
        if headers.get(b"sec-fetch-site", "none") not in {"none", "same-origin"}:
            return 403, "cross_origin", "requests from pages of another site are refused"
        length = headers.get(b"content-length", "0")
        if length.isdigit() and int(length) > self._max_body_bytes:
            return 413, "too_large", f"the body may have {self._max_body_bytes} bytes at most"
        has_body = length != "0" or b"transfer-encoding" in headers
        content_type = headers.get(b"content-type", "").partition(";")[0].strip().lower()
        if has_body and scope.get("method") == "POST" and content_type != "application/json":
            reason = f"send application/json, not {content_type[:100] or 'an unnamed type'!r}"
            return 415, "unsupported_media_type", reason
        return None

    def _is_ours(self, host: str) -> bool:
        name = urlsplit(f"//{host}").hostname or ""
        return name in self._hosts or is_loopback(name)


def is_loopback(host: str) -> bool:
    """Whether ``host``, a name or an address, can only mean this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Bounded:
    """Count a body's bytes as they come; the declared length is not to be trusted."""

    __slots__ = ("_left", "_receive")

    def __init__(self, receive: Any, limit_bytes: int) -> None:
        self._receive = receive
        self._left = limit_bytes

    async def __call__(self) -> dict[str, Any]:
        message: dict[str, Any] = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise HTTPException(413, "the body is larger than this server reads")
        return message
