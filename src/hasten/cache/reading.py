"""Reading a stream that a flight computes, from its start.

Owns one reader's way through the pieces. Leaves the flight to ``flight`` and making its
answer the reader's own to ``cache``, which hands readings out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from hasten.cache.flight import Answer, CacheFlight


class CacheReading:
    """One reader of a flight; ``is_mine``: the flight began for this reader.

    ``answer`` is there at the end of the pieces. A flight that found a stored answer on
    its way has no pieces.
    """

    def __init__(
        self, flight: CacheFlight, arrive: Callable[[Answer], Answer], *, is_mine: bool
    ) -> None:
        self.is_mine = is_mine
        self.answer: Answer | None = None
        self._flight = flight
        self._arrive = arrive

    @property
    def has_pieces(self) -> bool:
        """Whether there was anything to read."""
        return bool(self._flight.pieces)

    def let_end(self) -> None:
        """Say that all was read but the end: who leaves now does not stop the computation."""
        self._flight.let_end()

    def pieces(self) -> AsyncGenerator[Any, None]:
        """Yield the pieces of the stream from its start; raises what it raised in the end."""
        return self._flight.read(self._end)

    def _end(self, answer: Answer) -> None:
        self.answer = self._arrive(answer)
