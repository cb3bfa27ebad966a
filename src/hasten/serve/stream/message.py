"""What an encoder makes of an event, and what all encoders need to know of a run.

Owns ``Message``, ``Encoder`` and how an answer that comes whole is parted into pieces.
Leaves each protocol's words to its own file. Pure: events in, messages out; the same
events give the same messages, which is what makes a stream resumable to the byte.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hasten.trace.event import RunEvent

PIECE_CHARS = 48
"""An answer that comes whole is parted into pieces of about so many characters, between words."""

_PIECE = re.compile(rf"\s*\S.{{0,{PIECE_CHARS}}}(?=\s|$)\s*|.{{1,{PIECE_CHARS}}}", re.DOTALL)


class Message(msgspec.Struct, frozen=True):
    """One message of a stream: its data, and its name if it has one.

    ``chars`` is above 0 for a piece of an answer that came whole: such pieces may be sent
    at a pace, so many characters a second.
    """

    data: Any
    name: str = ""
    chars: int = 0


class Encoder(ABC):
    """Tells one run in one protocol; it is given every event from the first, in order.

    ``headers`` go with the stream. ``tells_pieces``: the protocol has no other way to
    give text than piece by piece, so an answer that comes whole is always sent so.
    """

    headers: Mapping[str, str] = {}
    tells_pieces = True

    def __init__(self) -> None:
        self._phase_of_span: dict[int, str] = {}
        self._written: set[str] = set()

    def encode(self, event: RunEvent) -> list[Message]:
        """Return the messages that tell of ``event``."""
        match event.type:
            case "span.started":
                outer = self._phase_of_span.get(event.data["parent_id"], "")
                self._phase_of_span[event.span_id] = event.data.get("phase") or outer
            case "text" | "text.replaced":
                self._written.add(self._phase_of_span.get(event.span_id, ""))
        return self.tell(event)

    @abstractmethod
    def tell(self, event: RunEvent) -> list[Message]:
        """Return the messages that tell of ``event`` in the protocol's words."""

    @abstractmethod
    def gap(self, first: int, last: int | None) -> list[Message]:
        """Return what says that the events from ``first`` to ``last`` are gone.

        ``None``: to the run's end, which is told from its stored result.
        """

    def pieces(self, event: RunEvent) -> Sequence[str]:
        """Return the pieces of an output nothing of whose phase was written before; else none."""
        value = event.data["value"]
        is_written = event.data["phase"] in self._written
        return [] if is_written or not isinstance(value, str) else parted(value)


def parted(text: str) -> list[str]:
    """Return ``text`` in pieces that, joined, are the text again."""
    return [found.group() for found in _PIECE.finditer(text)]
