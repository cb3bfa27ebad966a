"""The benchmark of a thousand readers: whoever serves them, all readers have all of the text."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from bench import readers

KINDS = [
    "bare",
    pytest.param(
        "sse-starlette",
        marks=pytest.mark.skipif(not find_spec("sse_starlette"), reason="it is not installed"),
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_reader_has_every_text(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that lacks one is an error, so a figure is one of all of them."""
    monkeypatch.setattr(readers, "READERS", 5)
    assert 0 < readers.late_ms(kind) < 10_000
