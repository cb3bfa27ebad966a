"""Imports: they go down only, they are light, and nothing happens while they run."""

from __future__ import annotations

import ast
import json
import statistics
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import hasten
from tests.architecture.sources import ROOT, SRC, module_name, parse, place, python_files

HEAVY = {
    "aiohttp",
    "aiosqlite",
    "alembic",
    "asyncpg",
    "fastapi",
    "granian",
    "numpy",
    "prometheus_client",
    "pydantic",
    "redis",
    "rich",
    "sqlalchemy",
    "starlette",
    "typer",
    "uvloop",
}
IMPORT_MS = 120
IMPORT_MB = 20

WATCHED_IMPORT = """
import sys
sys.path.insert(0, {folder!r})
happened = []
acts = {{
    "socket.connect", "socket.bind", "subprocess.Popen", "os.fork", "sqlite3.connect",
    "_thread.start_new_thread", "os.mkdir", "os.remove", "os.rename",
}}

def watch(event, details):
    if event in acts:
        happened.append(event)
    elif event == "open" and isinstance(details[1], str) and set(details[1]) & set("wax+"):
        happened.append("writes " + str(details[0]))

sys.dont_write_bytecode = True
import asyncio, importlib, json, threading
made = []
new_loop = asyncio.new_event_loop
asyncio.new_event_loop = lambda: made.append("makes an event loop") or new_loop()
sys.addaudithook(watch)
for name in {names!r}:
    importlib.import_module(name)
if threading.active_count() != 1:
    happened.append("leaves a thread")
json.dump(happened + made, sys.stdout)
"""

BUSY_FRAMEWORKS = {"hasten.adapters.langchain"}
"""What stands on frameworks that act: LangChain's urllib3 binds a socket to look for IPv6."""

COST_OF_IMPORT = """
import resource, sys, time
before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
began = time.perf_counter()
import hasten
took_ms = (time.perf_counter() - began) * 1000
print(took_ms, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb) / 1024)
"""


def run_python(code: str) -> str:
    """Run ``code`` in a fresh interpreter and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@cache
def every_module() -> tuple[str, ...]:
    """Return every module of the package but the entry point ``hasten.__main__``."""
    names = map(module_name, python_files("src"))
    return tuple(name for name in names if not name.endswith("__main__"))


def test_floors_hold() -> None:
    """The import contracts of pyproject.toml hold."""
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [linter, "--no-logo"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def acts_at_import(folder: Path, names: tuple[str, ...]) -> list[str]:
    """Return what modules below ``folder`` do, besides defining names, when imported."""
    done: list[str] = json.loads(run_python(WATCHED_IMPORT.format(folder=str(folder), names=names)))
    return done


def test_nothing_happens_at_import() -> None:
    """Importing every module writes no file, opens no socket, starts no thread, process or loop."""
    names = tuple(name for name in every_module() if name not in BUSY_FRAMEWORKS)
    assert acts_at_import(SRC.parent, names) == []


def test_a_module_that_acts_is_found(tmp_path: Path) -> None:
    """The watch sees a file written, a socket bound, a loop made and a thread started."""
    (tmp_path / "busy.py").write_text(
        "import asyncio, socket, threading\n"
        f"open({str(tmp_path / 'left')!r}, 'w').close()\n"
        "socket.socket().bind(('127.0.0.1', 0))\n"
        "threading.Thread(target=asyncio.new_event_loop().run_forever, daemon=True).start()\n"
    )
    found = set(acts_at_import(tmp_path, ("busy",)))
    assert {f"writes {tmp_path / 'left'}", "socket.bind", "makes an event loop"} <= found
    assert "leaves a thread" in found


def test_import_loads_nothing_heavy() -> None:
    """``import hasten`` leaves the heavy libraries for those who use them."""
    loaded = run_python("import hasten, sys; print(*{one.split('.')[0] for one in sys.modules})")
    assert HEAVY & set(loaded.split()) == set()


@pytest.mark.measured
def test_import_is_quick_and_small() -> None:
    """``import hasten`` adds at most 120 ms and 20 MB to bare Python (median of five)."""
    costs = [tuple(map(float, run_python(COST_OF_IMPORT).split())) for _ in range(5)]
    assert statistics.median(cost[0] for cost in costs) <= IMPORT_MS
    assert statistics.median(cost[1] for cost in costs) <= IMPORT_MB


def private_imports(path: Path, package: str) -> list[str]:
    """Return what an application's module takes from ``hasten`` besides its public names.

    ``package`` is the application's own, from which it may import anything.
    """
    found: list[str] = []
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "hasten":
            public = hasten.__all__
            names = [f"hasten.{one.name}" for one in node.names if one.name not in public]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            continue
        theirs = (name for name in names if name.startswith("hasten."))
        found += [name for name in theirs if not f"{name}.".startswith(f"{package}.")]
    return found


def test_apps_use_public_names_only() -> None:
    """An application imports ``hasten`` itself and its own package, as a user's does."""
    private = {
        place(path): found
        for path in python_files("src/hasten/apps")
        if (found := private_imports(path, ".".join(module_name(path).split(".")[:3])))
    }
    assert private == {}


def test_a_private_import_is_found(tmp_path: Path) -> None:
    """The check sees a module, a name that is not public, and another application."""
    path = tmp_path / "app.py"
    path.write_text(
        "import hasten\nimport hasten.clock\nfrom hasten import Graph, codec\n"
        "from hasten.apps.mine.inputs import Inputs\nfrom hasten.apps.theirs import app\n"
    )
    wrong = ["hasten.clock", "hasten.codec", "hasten.apps.theirs"]
    assert private_imports(path, "hasten.apps.mine") == wrong
