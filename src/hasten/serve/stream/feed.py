"""One run on its way to all who read it in one protocol: encoded once, kept once.

Owns ``Frame``, a message with its number and its bytes; ``Batch``, frames that go out together,
put together once for all readers; ``RunFeed``, which makes frames of a run's events as they
come; and ``Feeds``, those being read in this process. A reader holds a position in the feed and
nothing else, so one that is slow costs no memory and delays nobody. Leaves the words to the
encoders, the connection to ``send``.

A message's number says how much of the run whoever has it has seen: ``12`` all of event
12, ``11.2`` all of event 11 and two messages of the next. Encoders are given each run from
its first event, so a reader that comes back is told what it would have been told.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from bisect import bisect_right
from contextlib import asynccontextmanager, suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import msgspec

from hasten.codec import to_plain
from hasten.errors import HastenError, InvalidInput
from hasten.serve.stream.ag_ui import AgUiEncoder
from hasten.serve.stream.ai_sdk import AiSdkEncoder
from hasten.serve.stream.hasten import HastenEncoder
from hasten.serve.stream.openai_responses import OpenaiResponsesEncoder
from hasten.serve.stream.stored import ending_of, started_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence

    from hasten.serve.stream.message import Encoder, Message
    from hasten.trace.event import RunEvent, RunRecord

_log = logging.getLogger(__name__)

FORMATS: Mapping[str, type[Encoder]] = {
    "hasten": HastenEncoder,
    "ai-sdk": AiSdkEncoder,
    "ag-ui": AgUiEncoder,
    "openai-responses": OpenaiResponsesEncoder,
}
"""The protocols a run can be followed in."""

PING_S = 15.0
"""After so many silent seconds a reader is sent a sign of life."""

PING = b": ping\n\n"
PING_TEXT = '{"id":"","event":"ping","data":{}}'

BATCH_BYTES = 4_096
"""What has piled up is handed to a connection in parts of about this size."""

_NUMBER = re.compile(r"(\d{1,9})(?:\.(\d{1,6}))?", re.ASCII)


class Seen(NamedTuple):
    """How much of a run somebody has seen: events up to ``seq``, ``part`` messages of the next."""

    seq: int = 0
    part: int = 0

    def __str__(self) -> str:
        return f"{self.seq}.{self.part}" if self.part else str(self.seq)


BEGINNING = Seen()


def parse_seen(text: str) -> Seen:
    """Return what ``Last-Event-ID`` or ``after`` says. Raises ``InvalidInput``."""
    if not text:
        return BEGINNING
    found = _NUMBER.fullmatch(text)
    if found is None:
        message = "'after' is the id of a message of this stream, such as 12 or 11.2"
        raise InvalidInput(message, field="after", value=text)
    return Seen(int(found[1]), int(found[2] or 0))


def numbered(seq: int, messages: Sequence[Message]) -> Iterator[tuple[Seen, Message]]:
    """Yield the messages of event ``seq`` with what whoever has each of them has seen."""
    for part, message in enumerate(messages, 1):
        yield Seen(seq) if part == len(messages) else Seen(seq - 1, part), message


class Frame(NamedTuple):
    """A message ready to send: what was seen once it is, its name, its pace, its bytes.

    ``as_sse`` is all of it as a server-sent event (WHATWG HTML, 9.2), its data from
    ``data_at`` on.
    """

    seen: Seen
    name: str
    chars: int
    as_sse: bytes
    data_at: int

    @classmethod
    def of(cls, seen: Seen, message: Message) -> Self:
        """Return ``message`` ready to send."""
        raw = message.data.encode() if isinstance(message.data, str) else _json(message.data)
        name = f"event: {message.name}\n" if message.name else ""
        head = f"{name}id: {seen}\ndata: ".encode()
        return cls(seen, message.name, message.chars, head + raw + b"\n\n", len(head))

    @property
    def data(self) -> bytes:
        """The message's data, JSON in all but the last of some protocols."""
        return self.as_sse[self.data_at : -2]

    @property
    def as_text(self) -> str:
        """The message as a WebSocket's: a JSON object of ``id``, ``event`` and ``data``."""
        head = f'{{"id":"{self.seen}","event":"{self.name}","data":'
        return head + self.data.decode() + "}"


class Batch:
    """Frames that go out together, for either transport; without any it is a sign of life."""

    def __init__(self, frames: Sequence[Frame] = ()) -> None:
        self.frames = frames

    @cached_property
    def as_sse(self) -> bytes:
        """The frames as server-sent events."""
        return b"".join([frame.as_sse for frame in self.frames]) or PING

    @cached_property
    def as_texts(self) -> list[str]:
        """The frames as messages of a WebSocket."""
        return [frame.as_text for frame in self.frames] or [PING_TEXT]


class Reading(NamedTuple):
    """What a reader asks for: from where on, and the pace of answers that come whole.

    ``chars_per_s`` of 0 is at once.
    """

    after: Seen = BEGINNING
    chars_per_s: float = 0.0


class RunFeed:
    """One run's frames, growing as its events come.

    ``record_of`` is asked for the run's own line when events are gone: what they told is then
    told from what is stored of the run.
    """

    def __init__(
        self,
        events: AsyncIterator[RunEvent],
        encoder: Encoder,
        record_of: Callable[[], Awaitable[RunRecord]],
    ) -> None:
        self.readers = 0
        self._encoder = encoder
        self._record_of = record_of
        self._frames: list[Frame] = []
        self._end_at = 0
        self._is_over = False
        self._hurry = asyncio.Event()
        self._asked: tuple[Seen, int, bool, bool] | None = None
        self._found: tuple[Seen, Batch] | None = None
        self._waiting: list[asyncio.Future[None]] = []
        self._ping = asyncio.get_running_loop().call_later(PING_S, self._tell)
        self._pump = asyncio.create_task(self._take_all(events), name="feed")

    def close(self) -> None:
        """Take nothing more and let the readers go."""
        self._pump.cancel()
        self._end()

    def hurry(self) -> None:
        """Send what is paced at once from now on."""
        self._hurry.set()

    async def has_ended_by(self, seen: Seen) -> bool:
        """Whether nothing comes after ``seen``; waits until all there is to tell is there."""
        await asyncio.wait([self._pump])
        return bool(self._frames) and self._frames[-1].seen == seen

    async def read(self, reading: Reading) -> AsyncIterator[Batch]:
        """Yield what there is to send, in batches, to the run's end; an empty one is a ping."""
        after, is_paced = reading.after, reading.chars_per_s > 0
        while True:
            while found := self._next(after, is_paced=is_paced):
                after, batch = found
                if is_paced:
                    async for part in self._paced(batch.frames, reading.chars_per_s):
                        yield part
                elif batch.frames:
                    yield batch
            if self._is_over:
                return
            known = len(self._frames)
            await self._news()
            if known == len(self._frames) and not self._is_over:
                yield Batch()

    def _next(self, after: Seen, *, is_paced: bool) -> tuple[Seen, Batch] | None:
        """Return what comes after ``after`` and what its last frame makes seen.

        Readers that keep up all ask the same, and get the same batch.
        """
        if not self._frames or self._frames[-1].seen == after:
            return None
        asked = (after, len(self._frames), self._is_over, is_paced)
        if asked != self._asked:
            self._asked, self._found = asked, self._cut(after, is_paced=is_paced)
        return self._found

    def _cut(self, after: Seen, *, is_paced: bool) -> tuple[Seen, Batch] | None:
        """Return the next frames after ``after``, ``BATCH_BYTES`` or one.

        Pieces only where they are all, or for whoever keeps to a pace. Whoever has seen more
        than there is, since it was never stored, gets the end.
        """
        begin = bisect_right(self._frames, after, key=_seen)
        if self._is_over and self._frames and after > self._frames[-1].seen:
            begin = self._end_at
        end, size = begin, 0
        while end < len(self._frames) and size < BATCH_BYTES:
            size += len(self._frames[end].as_sse)
            end += 1
        if end == begin:
            return None
        frames = self._frames[begin:end]
        has_pieces = is_paced or self._encoder.tells_pieces
        shown = frames if has_pieces else [frame for frame in frames if not frame.chars]
        return frames[-1].seen, Batch(shown)

    async def _paced(self, frames: Sequence[Frame], chars_per_s: float) -> AsyncIterator[Batch]:
        """Yield the frames to send: pieces of whole answers one by one, at their pace.

        None is waited for longer than for a sign of life.
        """
        together: list[Frame] = []
        for frame in frames:
            together.append(frame)
            if frame.chars and not self._hurry.is_set():
                yield Batch(together)
                together = []
                with suppress(TimeoutError):
                    wait_s = min(frame.chars / chars_per_s, PING_S)
                    await asyncio.wait_for(self._hurry.wait(), wait_s)
        if together:
            yield Batch(together)

    async def _news(self) -> None:
        """Wait until there is something new, or for ``PING_S``."""
        news = asyncio.get_running_loop().create_future()
        self._waiting.append(news)
        await news

    async def _take_all(self, events: AsyncIterator[RunEvent]) -> None:
        try:
            last = await self._take_until_end(events)
            if last is not None:
                await self._tell_stored(last)
        except HastenError as error:
            _log.warning("a run cannot be followed to its end: %s", error)
        finally:
            self._end()

    async def _take_until_end(self, events: AsyncIterator[RunEvent]) -> int | None:
        """Take the events; return the last one's number if the end is not among them."""
        last = 0
        async for event in events:
            number = event.seq or last + 1
            if number > last + 1:
                await self._tell_gap(last, number - 1)
            if event.type == "run.finished":
                self._end_at = len(self._frames)
            self._add(number, self._encoder.encode(event))
            last = number
            if event.type == "run.finished":
                return None
        return last

    async def _tell_gap(self, last: int, until: int) -> None:
        begin: list[Message] = []
        if last == 0:
            begin = self._encoder.encode(started_of(await self._record_of()))
        self._add(until, [*begin, *self._encoder.gap(last + 1, until)])

    async def _tell_stored(self, last: int) -> None:
        """Tell the run's end from its own line, if it has ended."""
        record = await self._record_of()
        if record.ended_s is None:
            return
        self._end_at = len(self._frames)
        gap = self._encoder.gap(last + 1, None)
        for number, event in enumerate(ending_of(record, has_begun=last > 0), last + 1):
            self._add(number, [*gap, *self._encoder.encode(event)])
            gap = []

    def _add(self, number: int, messages: Sequence[Message]) -> None:
        self._frames += [Frame.of(seen, message) for seen, message in numbered(number, messages)]
        if messages:
            self._tell()

    def _end(self) -> None:
        self._is_over = True
        self._tell()
        self._ping.cancel()

    def _tell(self) -> None:
        """Wake the readers; once in ``PING_S`` at least, though there is nothing new."""
        self._ping.cancel()
        self._ping = asyncio.get_running_loop().call_later(PING_S, self._tell)
        waiting, self._waiting = self._waiting, []
        for news in waiting:
            if not news.done():
                news.set_result(None)


class Feeds:
    """The feeds that are being read in this process."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], RunFeed] = {}

    @asynccontextmanager
    async def reading(
        self,
        run_id: str,
        protocol: str,
        events: Callable[[], AsyncIterator[RunEvent]],
        record_of: Callable[[], Awaitable[RunRecord]],
    ) -> AsyncIterator[RunFeed]:
        """Give the run's feed in ``protocol`` for this block; it ends with its last reader.

        ``events`` are the run's from the first, asked for when nobody reads it yet. Whether
        the reader may is for the caller to know.
        """
        key = (run_id, protocol)
        feed = self._open.get(key)
        if feed is None:
            feed = self._open[key] = RunFeed(events(), FORMATS[protocol](), record_of)
        feed.readers += 1
        try:
            yield feed
        finally:
            feed.readers -= 1
            if not feed.readers:
                feed.close()
                if self._open.get(key) is feed:
                    del self._open[key]

    def hurry(self) -> None:
        """Keep to no reader's pace any more: the server is stopping."""
        for feed in self._open.values():
            feed.hurry()


def _seen(frame: Frame) -> Seen:
    return frame.seen


def _json(data: Any) -> bytes:
    """Return ``data`` as JSON in one line; half a surrogate pair, no UTF-8, as its escape."""
    try:
        return msgspec.json.encode(data, enc_hook=to_plain)
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(data, enc_hook=to_plain)).encode()
