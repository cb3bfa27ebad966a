"""Commands that go on until they are stopped, as real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator

HASTEN = Path(sys.executable).with_name("hasten")
STOP_WITHIN_S = 20.0


class Process:
    """A command that has said that it is ready, at ``url``."""

    def __init__(self, popen: subprocess.Popen[str], ready: str) -> None:
        self.popen = popen
        self.ready = ready

    @property
    def worker(self) -> psutil.Process:
        """The process a server works in, which is its only child."""
        return psutil.Process(self.popen.pid).children()[0]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str, str]:
        """Send a signal; return the exit code and what was said since it was ready."""
        self.popen.send_signal(number)
        return self.ended()

    def interrupt(self) -> tuple[int, str, str]:
        """Do what Ctrl-C does: interrupt the whole group in the foreground."""
        os.killpg(self.popen.pid, signal.SIGINT)
        return self.ended()

    def ended(self) -> tuple[int, str, str]:
        """Wait for the end; return the exit code and what was said since it was ready."""
        out, err = self.popen.communicate(timeout=STOP_WITHIN_S)
        return self.popen.returncode, out, err


def ended(home: Path, *words: str, **env: str) -> tuple[int, str, str]:
    """Run ``hasten`` with ``words`` in ``home``; return its exit code and what it said."""
    done = subprocess.run(
        [HASTEN, *words],
        cwd=home,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@contextmanager
def running(home: Path, *words: str, lines: int = 2) -> Iterator[Process]:
    """Run ``hasten`` with ``words`` in ``home`` for this block, once it has said its ``lines``."""
    popen = subprocess.Popen(
        [HASTEN, *words],
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        ready = "".join(popen.stderr.readline() for _ in range(lines)) if popen.stderr else ""
        yield Process(popen, ready)
    finally:
        if popen.poll() is None:
            popen.terminate()
        popen.communicate(timeout=STOP_WITHIN_S)
