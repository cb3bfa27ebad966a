"""A server's alerts at their receiver: processes and HTTP of their own on both sides."""

from __future__ import annotations

import queue
import re
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from hasten.webhook import signature
from tests.cli.processes import running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - the specification's example
PERSONAS = 20
WITHIN_S = 20.0

Heard = tuple[dict[str, str], bytes]


@pytest.fixture
def receiver() -> Iterator[tuple[str, queue.Queue[Heard]]]:
    """Give the address of something that takes posts, and what it heard."""
    heard: queue.Queue[Heard] = queue.Queue()

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.put(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Taking) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}/alerts", heard
        server.shutdown()
        serving.join()


def test_an_alert_is_posted_as_it_begins(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    receiver: tuple[str, queue.Queue[Heard]],
) -> None:
    """Twenty personas nobody asked for before are no hits: told once, with a signature to check."""
    url, heard = receiver
    monkeypatch.setenv("HASTEN_ALERT_WEBHOOK_URL", url)
    monkeypatch.setenv("HASTEN_ALERT_WEBHOOK_SECRET", SECRET)
    monkeypatch.setenv("HASTEN_LOG_LEVEL", "warning")  # nobody reads its lines meanwhile
    with running(tmp_path, "serve", "--port", "0", "--speed", "10") as server:
        found = re.search(r"http://\S+", server.ready)
        assert found is not None, server.ready
        for number in range(1, PERSONAS + 1):
            asked = {"app": "persona", "inputs": {"persona_id": f"p{number:02d}"}}
            request = urllib.request.Request(  # noqa: S310 - http, as it is in the text
                f"{found[0]}/api/run", orjson.dumps(asked), {"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(request, timeout=WITHIN_S) as answer:  # noqa: S310 - as above
                assert answer.status == 200
        headers, body = heard.get(timeout=WITHIN_S)
    told = orjson.loads(body)
    assert (told["type"], told["data"]["app"]) == ("alert.firing", "persona")
    assert (told["data"]["figure"], told["data"]["runs"]) == ("hit_rate", PERSONAS)
    at_s, post_id = int(headers["webhook-timestamp"]), headers["webhook-id"]
    assert headers["webhook-signature"] == signature(SECRET, post_id, at_s, body)
    assert heard.empty()
