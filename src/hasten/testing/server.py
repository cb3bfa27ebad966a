"""One server process for tests: started on a loopback port, frozen, stopped, started again.

Owns the process and nothing but it. ``postgres`` and ``redis`` say what to
start; fault tests freeze and stop it.
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import threading
from contextlib import contextmanager
from importlib import import_module
from typing import IO, TYPE_CHECKING, Any

from hasten.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

START_WITHIN_S = 60.0


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class StoreServer:
    """A server that ``command`` starts and that is up once it prints ``ready``.

    ``folder`` is where it works and where its log goes; ``options`` go to
    ``subprocess.Popen``.
    """

    def __init__(self, command: Sequence[str], ready: str, folder: Path, **options: Any) -> None:
        self._command = command
        self._ready = ready.encode()
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it is ready. Raises ``StoreUnavailable`` with what it said."""
        process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self._folder,
            **self._options,
        )
        impatience = threading.Timer(START_WITHIN_S, process.kill)
        impatience.start()
        said = self._read_until_ready(process)
        impatience.cancel()
        if self._ready not in said:
            process.wait()
            message = f"{self._command[0]} did not start: {said.decode(errors='replace')}"
            raise StoreUnavailable(message, store=self._command[0])
        self._process = process

    def _read_until_ready(self, process: subprocess.Popen[bytes]) -> bytes:
        """Return what it said until it was ready or ended; the rest goes to its log."""
        said = b""
        assert process.stdout is not None
        while self._ready not in said and (line := process.stdout.readline()):
            said += line
        threading.Thread(target=self._keep_log, args=(process.stdout,), daemon=True).start()
        return said

    def _keep_log(self, output: IO[bytes]) -> None:
        with output, (self._folder / "server.log").open("ab") as log:
            shutil.copyfileobj(output, log)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Freeze the server and all its processes for this block: it accepts and says nothing."""
        if self._process is None:
            message = "the server is not running"
            raise RuntimeError(message)
        psutil: Any = import_module("psutil")
        process = psutil.Process(self._process.pid)
        everybody = [process, *process.children(recursive=True)]
        for one in everybody:
            one.suspend()
        try:
            yield
        finally:
            for one in everybody:
                one.resume()

    def stop(self) -> None:
        """Stop it, without waiting for its clients to leave."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)
        self._process.wait()
        self._process = None
