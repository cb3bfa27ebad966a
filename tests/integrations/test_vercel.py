"""The Vercel AI SDK, from Node: text, streams, objects, tools and embeddings."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.architecture.sources import ROOT

if TYPE_CHECKING:
    from tests.integrations.conftest import Door

PACKAGES = ROOT / ".venv-integrations" / "vercel"
NODE = Path(sys.executable).with_name("node")
SCRIPT = Path(__file__).with_name("vercel") / "ask.mjs"


def test_the_sdk(door: Door) -> None:
    """Chat, Responses and Messages give the same text, whole and streamed, and checked objects."""
    if not (PACKAGES / "node_modules").is_dir():
        pytest.skip("make integrations installs its packages, where they can be had")
    script = PACKAGES / "ask.mjs"
    script.write_text(SCRIPT.read_text(encoding="utf-8"), encoding="utf-8")
    ran = subprocess.run(
        [NODE, script, door.root], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr
    said = json.loads(ran.stdout)
    assert said["dimensions"] == 256
    for protocol in ("chat", "responses", "messages"):
        answer = said[protocol]
        assert answer["text"].startswith("## Risks")
        assert answer["streamed"] == answer["text"]
        assert answer["tokens"] > 20
        for found in (answer["object"], answer["call"]):
            assert 1 <= found["score"] <= 10
