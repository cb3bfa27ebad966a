"""Processes of one machine: the end of one is heard at once, and words reach all the others."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from hasten.store.peers import BEGAN, ENDED, Peers
from tests.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

OTHER = """
import asyncio, sys
from pathlib import Path
from hasten.store.peers import Peers

async def main():
    peers = Peers(Path(sys.argv[1]))
    peers.open()
    print(peers.name, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    peers.close()

asyncio.run(main())
"""


def other(folder: Path) -> tuple[subprocess.Popen[str], str]:
    """Start another process; return it with its name."""
    command = [sys.executable, "-c", OTHER, str(folder)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


@pytest.mark.parametrize("is_there_first", [True, False])
def test_the_end_of_a_process_is_heard(tmp_path: Path, *, is_there_first: bool) -> None:
    """Killed or closed, whoever of the two was there first; the killed one is told as dead."""

    async def main() -> None:
        ended: asyncio.Queue[str] = asyncio.Queue()
        peers = Peers(tmp_path)
        peers.subscribe(ENDED, ended.put_nowait)
        if is_there_first:
            peers.open()
        first = await asyncio.to_thread(other, tmp_path)
        second = await asyncio.to_thread(other, tmp_path)
        if not is_there_first:
            peers.open()
        first[0].kill()
        assert await ended.get() == first[1]
        assert peers.dead() == [first[1]]
        second[0].communicate("go\n")
        assert await ended.get() == second[1]
        assert peers.dead() == [first[1]]
        first[0].communicate()
        peers.close()
        assert not peers._watched

    asyncio.run(asyncio.wait_for(main(), 20))


def test_what_is_rung_twice_in_a_turn_is_heard_once_elsewhere(tmp_path: Path) -> None:
    """Here each time; in others once a turn, and again in the next."""

    async def main() -> None:
        one, two = Peers(tmp_path), Peers(tmp_path)
        heard: dict[Peers, list[str]] = {one: [], two: []}
        for peers, told in heard.items():
            peers.subscribe("word", told.append)
            peers.open()
        for turn in (1, 2):
            for word in ("a", "a", "b"):
                one.ring("word", word)
            await until(lambda turn=turn: heard[two] == ["a", "b"] * turn)
        assert heard[one] == ["a", "a", "b"] * 2
        for peers in heard:
            peers.close()

    asyncio.run(main())


def test_names_of_others_are_left_alone(tmp_path: Path) -> None:
    """What has no process here, as another machine's or nonsense, is watched by nobody."""

    async def main() -> None:
        peers = Peers(tmp_path)
        peers.open()
        host, boot, *_ = peers.name.split(".")
        for name in ("", "a", "a.b.1.c", f"{host}.{boot}.x.y", f"{host}.{boot}.99999999.y"):
            peers.ring(BEGAN, name)
        assert not peers._watched
        peers.close()

    asyncio.run(main())


def test_whoever_rings_without_files_left_fails_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was kept before is kept; others look by themselves now and then."""

    def no_more_files(_folder: object) -> list[str]:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    async def main() -> None:
        peers, heard = Peers(tmp_path / "peers"), []
        peers.open()
        peers.subscribe("news", heard.append)
        try:
            monkeypatch.setattr(os, "listdir", no_more_files)
            peers.ring("news", "one")
            assert (heard, peers.dead()) == (["one"], [])
        finally:
            monkeypatch.undo()
            peers.close()

    asyncio.run(main())
