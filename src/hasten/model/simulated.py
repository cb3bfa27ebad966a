"""The simulated model: what tests, demonstrations and benchmarks run on; it always says so.

Owns how long an answer takes and which calls go wrong. Leaves the answer
itself to ``simulated_answer``. ``wire`` builds it from an
application's profile; ``serve/sim`` puts it behind HTTP.

A call takes its time to first token, then prefill for each token in, then
decode for each token out, in seconds of the clock in force. So a shorter
prompt, a lower ``max_tokens`` or an answer split into sections really is
faster, at any speed and in virtual time. The same seed and the same request
give the same answer, latency and luck.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

from hasten.clock import Clock, current_clock
from hasten.errors import ModelUnavailable, RateLimited
from hasten.model.base import Chunk, Model, Response
from hasten.model.draw import digest_of, draw
from hasten.model.simulated_answer import (
    PREFIX,
    Habits,
    answer_id,
    answering_model,
    compose,
    pieces_of,
    tokens_in,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from hasten.model.base import Request

_BURST_S = 1.0
_MAX_FAILURES = 10_000
_ROUNDING_S = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class SimProfile:
    """How a simulated model behaves.

    ``jitter`` spreads each call's time evenly by up to that fraction either
    way. ``rate_limit_per_s`` is a steady rate with bursts of one second's worth;
    beyond it a call gets ``RateLimited``. ``error_rate`` of calls fail, half of
    them before the first token and half on the way; ``malformed_rate`` of the
    answers with a schema break it. ``name`` is the model's, and its price is
    looked up by it in ``model/price``.
    """

    name: str = "sim-standard"
    ttft_s: float = 0.35
    prefill_tokens_per_s: float = 4_000.0
    decode_tokens_per_s: float = 80.0
    jitter: float = 0.0
    rate_limit_per_s: float | None = None
    error_rate: float = 0.0
    malformed_rate: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse figures that no model can have. Raises ``ValueError``."""
        if not self.name.startswith(PREFIX):
            message = f"a simulated model's name begins with {PREFIX!r}, not {self.name!r}"
            raise ValueError(message)
        if min(self.prefill_tokens_per_s, self.decode_tokens_per_s) <= 0 or self.ttft_s < 0:
            message = f"rates must be above 0 and ttft_s not below: {self}"
            raise ValueError(message)
        if not all(
            0 <= share <= 1 for share in (self.jitter, self.error_rate, self.malformed_rate)
        ):
            message = f"jitter, error_rate and malformed_rate lie between 0 and 1: {self}"
            raise ValueError(message)

    def first_token_s(self, tokens_in: int) -> float:
        """Return the seconds to the first token of an answer to ``tokens_in`` tokens."""
        return self.ttft_s + tokens_in / self.prefill_tokens_per_s

    def duration_s(self, tokens_in: int, tokens_out: int) -> float:
        """Return the seconds a whole call takes, without jitter."""
        return self.first_token_s(tokens_in) + tokens_out / self.decode_tokens_per_s


class _Play(NamedTuple):
    """What will happen in one call: known before it starts."""

    response: Response
    pace: float
    breaks_after: float | None


class SimulatedModel(Model):
    """Answers by itself, at the pace of its profile. Raises what a real endpoint would."""

    def __init__(self, profile: SimProfile | None = None) -> None:
        self.profile = profile or SimProfile()
        self._habits = Habits(self.profile.name, self.profile.seed, self.profile.malformed_rate)
        self._failures: Counter[bytes] = Counter()
        self._full_at_s: WeakKeyDictionary[Clock, float] = WeakKeyDictionary()

    @property
    def name(self) -> str:
        """Who answers when a request names no model."""
        return self.profile.name

    def sign(self, request: Request) -> tuple[str, str]:
        """Return the id that the answer to ``request`` will have, and the model it will name."""
        return answer_id(digest_of(request)), answering_model(request, self.name)

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Answer in pieces of about a token each, at the decode rate."""
        clock = current_clock()
        start_s = clock.monotonic()
        play = self._play(request)
        first_s = self.profile.first_token_s(play.response.usage.tokens_in)
        tokens = 0.0
        for piece in pieces_of(play.response.text):
            if play.breaks_after is not None and tokens >= play.breaks_after:
                break
            tokens += tokens_in(piece)
            await self._wait_until(
                start_s, first_s + tokens / self.profile.decode_tokens_per_s, play
            )
            yield Chunk(text=piece)
        if play.breaks_after is not None:
            await self._wait_until(start_s, first_s, play)
            raise self._broken(request)
        await self._wait_until(start_s, self._total_s(play), play)
        yield Chunk(response=play.response)

    async def complete(self, request: Request) -> Response:
        """Answer whole, after the same time."""
        start_s = current_clock().monotonic()
        play = self._play(request)
        if play.breaks_after is not None:
            await self._wait_until(start_s, self._total_s(play) / 2, play)
            raise self._broken(request)
        await self._wait_until(start_s, self._total_s(play), play)
        return play.response

    def _play(self, request: Request) -> _Play:
        """Decide everything about one call. Raises ``RateLimited`` and ``ModelRejected``."""
        self._check_rate()
        digest = digest_of(request)
        response = compose(request, self._habits, digest)
        luck = draw(self.profile.seed, "luck", digest, self._failures[digest])
        pace = 1.0 + self.profile.jitter * luck.uniform(-1.0, 1.0)
        breaks_after = None
        if luck.random() < self.profile.error_rate:
            if len(self._failures) >= _MAX_FAILURES:
                self._failures.clear()
            self._failures[digest] += 1
            breaks_after = max(0.0, luck.uniform(-1.0, 1.0)) * response.usage.tokens_out
        else:
            del self._failures[digest]
        return _Play(response, pace, breaks_after)

    def _check_rate(self) -> None:
        """Admit a call, or say after how long the next is welcome (GCRA, one second of burst)."""
        rate = self.profile.rate_limit_per_s
        if rate is None:
            return
        clock = current_clock()
        now_s = clock.monotonic()
        full_at_s = max(self._full_at_s.get(clock, now_s), now_s) + 1.0 / rate
        over_s = full_at_s - now_s - max(_BURST_S, 1.0 / rate)
        if over_s > _ROUNDING_S:
            message = f"{self.name} takes {rate:g} requests a second; wait {over_s:.3f} s"
            raise RateLimited(message, model=self.name, retry_after_s=over_s)
        self._full_at_s[clock] = full_at_s

    def _total_s(self, play: _Play) -> float:
        return self.profile.duration_s(
            play.response.usage.tokens_in, play.response.usage.tokens_out
        )

    async def _wait_until(self, start_s: float, after_s: float, play: _Play) -> None:
        clock = current_clock()
        left_s = start_s + after_s * play.pace - clock.monotonic()
        if left_s > 0:
            await clock.sleep(left_s)

    def _broken(self, request: Request) -> ModelUnavailable:
        message = f"{self.name} failed on purpose (error_rate {self.profile.error_rate:g})"
        return ModelUnavailable(message, model=request.model or self.name)
