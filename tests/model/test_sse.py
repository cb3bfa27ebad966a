"""Event streams, cut anywhere."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasten.model.sse import MAX_EVENT_BYTES, EventReader

STREAM = (
    b"\xef\xbb\xbf: hello\r\n\r\n"
    b'event: x\ndata: {"a": "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"}\n\n'
    b"data:one\rdata: two\r\r"
    b"id: 7\r\ndata\r\ndata:  three\r\n\r\n"
    b"retry: 5\n\n: ping\n\n"
    b"data: [DONE]\n\n"
    b"data: never closed"
)
EVENTS = ['{"a": "é€😀"}', "one\ntwo", "\n three", "[DONE]"]


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_the_same_events_wherever_the_bytes_are_cut(cuts: list[int]) -> None:
    """Frames, characters, line ends and the mark at the start may all be split."""
    edges = [0, *sorted(cuts), len(STREAM)]
    reader = EventReader()
    found = [
        data for start, end in itertools.pairwise(edges) for data in reader.feed(STREAM[start:end])
    ]
    assert found == EVENTS


def test_byte_by_byte_gives_the_same() -> None:
    """The worst cut of all."""
    reader = EventReader()
    assert [data for byte in STREAM for data in reader.feed(bytes([byte]))] == EVENTS


def test_a_line_without_end_is_refused() -> None:
    """Memory is bounded whatever an endpoint sends."""
    reader = EventReader()
    with pytest.raises(ValueError, match="bytes"):
        reader.feed(b"data: " + b"x" * MAX_EVENT_BYTES)


def test_bytes_that_are_not_utf8_are_refused() -> None:
    """A stream of events is UTF-8 by definition."""
    with pytest.raises(UnicodeDecodeError):
        EventReader().feed(b"data: \xff\n\n")
