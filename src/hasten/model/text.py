"""Write one section of an answer so that whoever follows the run reads it as it comes.

Owns the way from a stream of chunks to text events, and what happens when the
stream breaks. Steps of applications call it.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

import msgspec

from hasten.errors import ModelTimeout, ModelUnavailable
from hasten.trace.recorder import current_recorder, emit, emit_text

if TYPE_CHECKING:
    from hasten.model.base import Model, Request


async def write(model: Model, request: Request, *, section: str) -> str:
    """Stream the answer into the run's ``section`` and return all of it.

    A stream that breaks after its first piece is followed by one plain call,
    within the caller's deadline. If the plain answer continues what was
    written, only the rest is sent; if not, a ``text.replaced`` event says that
    it takes the place of what was written. Raises ``ModelError``; before the
    first piece, retrying is the chain's affair.
    """
    request = msgspec.structs.replace(request, section=section)
    written: list[str] = []
    try:
        async with aclosing(model.stream(request)) as chunks:
            async for chunk in chunks:
                if chunk.response is not None:
                    return chunk.response.text
                emit_text(section, chunk.text)
                written.append(chunk.text)
    except (ModelUnavailable, ModelTimeout):
        if not written:
            raise
    whole = (await model.complete(request)).text
    _send_rest(section, "".join(written), whole)
    return whole


def _send_rest(section: str, written: str, whole: str) -> None:
    if whole.startswith(written):
        emit_text(section, whole[len(written) :])
        return
    recorder = current_recorder()
    if recorder is not None:
        recorder.flush_text()
    emit("text.replaced", section=section, text=whole)
