"""What a request must pass before any route sees it.

Owns refusing, as problems, what ``admission`` does not let pass, and counting a body's
bytes as they come. Leaves who the caller is to ``auth``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException

from hasten.serve.admission import Admission, Refusal
from hasten.serve.problems import problem_response
from hasten.serve.stream.send import SEND

if TYPE_CHECKING:
    from hasten.settings import Settings

Scope = dict[str, Any]


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(self, app: Any, settings: Settings) -> None:
        self.app = app
        self._admission = Admission(settings)
        self._max_body_bytes = settings.max_body_bytes

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Pass the request on, or answer it with a problem."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope["headers"]
        }
        refusal = self._admission.refusal(scope.get("method", ""), headers) or _lost(scope)
        if refusal is not None and scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refusal.code})
            return
        if refusal is not None:
            await self._read_away(receive)
            await problem_response(*refusal)(scope, receive, send)
            return
        scope[SEND] = send
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


def _lost(scope: Scope) -> Refusal | None:
    """Return why an address leads nowhere, if it cannot but."""
    if "\0" in scope["path"] or b"%00" in scope["query_string"]:
        return Refusal(404, "not_found", "nothing has a name with the character U+0000 (%00)")
    return None


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
