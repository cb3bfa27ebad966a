"""A breaker: after a store failed it is left alone for a while instead of being waited for.

Owns the decision whether to ask a store now; leaves the deadline of one call to
the store. Every store that another process or machine answers has one.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from hasten.clock import Clock
from hasten.errors import StoreError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator


class StoreBreaker:
    """Opens when a call ends in ``StoreUnavailable``; then one call per ``rest_s`` may try.

    While it is open every other call fails at once, so a frozen server costs
    one deadline and not one for each caller.
    """

    def __init__(self, store: str, rest_s: float, clock: Clock | None = None) -> None:
        self.store = store
        self._rest_s = rest_s
        self._clock = clock or Clock()
        self._try_again_s: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether the last call that was let through found the store unavailable."""
        return self._try_again_s is not None

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Let a call through, or raise ``StoreUnavailable``; learn from how the block ends."""
        if self._try_again_s is not None:
            left_s = self._try_again_s - self._clock.monotonic()
            if left_s > 0:
                message = f"{self.store} was not available; it is asked again in {left_s:.1f} s"
                raise StoreUnavailable(message, store=self.store)
            self.trip()
        try:
            yield
        except StoreUnavailable:
            self.trip()
            raise
        except StoreError:  # it refused, so it is there
            self._try_again_s = None
            raise
        self._try_again_s = None

    def trip(self) -> None:
        """Leave the store alone from now on, as a call that found it unavailable does."""
        self._try_again_s = self._clock.monotonic() + self._rest_s
