"""The processes of one machine that share a state folder: waking them, and who of them is gone.

Owns a named pipe for each process. A word written into it wakes its process at
once, and the kernel refuses to open one that nobody reads, which is how a process that
was killed is told from one that is busy or frozen. Where the kernel tells of the end of a
process (Linux), ``ENDED`` is said here at that moment. Leaves what a word means to whoever
subscribes. ``wire`` opens one for each runtime.
"""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import socket
import stat
import uuid
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

READ_BYTES = 1 << 16

BEGAN, ENDED = "began", "ended"
"""The words said of another process of this machine, with its name."""

_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Peers:
    """This process among the others of ``folder``. ``open()`` it, ``close()`` it.

    ``name`` is told apart from every other process's, here and elsewhere.
    """

    def __init__(self, folder: Path) -> None:
        self.name = f"{_host()}.{_boot()}.{os.getpid()}.{secrets.token_hex(4)}"
        self._folder = folder
        self._pipe: int | None = None
        self._heard: dict[str, list[Callable[[str], None]]] = {BEGAN: [self._watch]}
        self._watched: dict[int, int] = {}
        self._rung: set[str] = set()

    def open(self) -> None:
        """Let others ring here. Raises ``OSError`` for a folder that takes no named pipes."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        hidden = self._folder / f".{self.name}"  # until it is read: others would think it dead
        os.mkfifo(hidden, 0o600)
        self._pipe = os.open(hidden, os.O_RDWR | os.O_NONBLOCK)  # its own writer: never at an end
        hidden.rename(self._folder / self.name)
        asyncio.get_running_loop().add_reader(self._pipe, self._read)
        self.ring(BEGAN, self.name)
        for path in self._others():
            self._watch(path.name)

    def close(self) -> None:
        """Be gone, as far as others see."""
        for pid in [*self._watched]:
            self._unwatch(pid)
        if self._pipe is not None:
            asyncio.get_running_loop().remove_reader(self._pipe)
            os.close(self._pipe)
            self._pipe = None
            self.forget(self.name)

    def subscribe(self, word: str, heard: Callable[[str], None]) -> None:
        """Call ``heard`` with what is told whenever somebody rings ``word``, in any process."""
        self._heard.setdefault(word, []).append(heard)

    def ring(self, word: str, told: str = "") -> None:
        """Wake whoever subscribed to ``word``, here at once and in every other process.

        In those once for each turn of the loop: whoever rings twice in it has kept what it
        tells of before the turn began, so whoever is woken by the first finds it all.
        """
        line = f"{word}\t{told}"
        self._tell(line)
        if line in self._rung:
            return
        if not self._rung:
            asyncio.get_running_loop().call_soon(self._rung.clear)
        self._rung.add(line)
        for path in self._others():
            _write(path, f"{line}\n".encode())

    def dead(self) -> list[str]:
        """Return the names of processes of this machine that ended without ``close``."""
        mine = (_host(), _boot())
        return [
            path.name
            for path in self._others()
            if _is_unread(path) and set(path.name.split(".")[:2]) & set(mine)
        ]

    def _watch(self, name: str) -> None:
        """Say ``ENDED`` when the process of this name ends, if it is one the kernel knows here."""
        host, boot, pid_text, *_ = [*name.split("."), "", "", ""]
        pid = int(pid_text) if pid_text.isdecimal() else 0
        is_here = (host, boot) == (_host(), _boot()) and pid != os.getpid()
        if not is_here or pid in self._watched or not hasattr(os, "pidfd_open"):
            return
        with suppress(OSError):  # it is gone already, and ``dead`` will find it
            self._watched[pid] = watched = os.pidfd_open(pid)
            asyncio.get_running_loop().add_reader(watched, self._end, pid, name)

    def _end(self, pid: int, name: str) -> None:
        self._unwatch(pid)
        self._tell(f"{ENDED}\t{name}")

    def _unwatch(self, pid: int) -> None:
        watched = self._watched.pop(pid)
        asyncio.get_running_loop().remove_reader(watched)
        os.close(watched)

    def forget(self, name: str) -> None:
        """Remove what is left of a process, once all that was its is seen to."""
        (self._folder / name).unlink(missing_ok=True)

    def _others(self) -> list[Path]:
        try:
            names = os.listdir(self._folder)  # noqa: PTH208 - at every ring: names are enough
        except OSError:  # the folder is gone, or there are no more files to be had just now
            return []
        return [
            self._folder / name for name in names if name != self.name and not name.startswith(".")
        ]

    def _read(self) -> None:
        if self._pipe is None:
            return
        with suppress(BlockingIOError):
            words = os.read(self._pipe, READ_BYTES).decode(errors="replace").split("\n")
            for word in dict.fromkeys(words):
                self._tell(word)

    def _tell(self, line: str) -> None:
        word, _, told = line.partition("\t")
        for heard in self._heard.get(word, ()):
            heard(told)


def _write(path: Path, line: bytes) -> None:
    """Ring; a process that is gone or has many words to read is passed over."""
    with suppress(OSError):
        pipe = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        try:
            if stat.S_ISFIFO(os.fstat(pipe).st_mode):
                os.write(pipe, line)
        finally:
            os.close(pipe)


def _is_unread(path: Path) -> bool:
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
    except OSError as error:
        return error.errno == errno.ENXIO
    return False


def _host() -> str:
    return socket.gethostname().replace(".", "-").replace("/", "-") or "localhost"


def _boot() -> str:
    """Return what tells this boot of this kernel from any other."""
    try:
        return _BOOT.read_text(encoding="ascii")[:8]
    except OSError:
        return f"{uuid.getnode():012x}"
