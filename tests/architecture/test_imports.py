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
sys.path.insert(0, {src!r})
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


def test_nothing_happens_at_import() -> None:
    """Importing every module writes no file, opens no socket, starts no thread, process or loop."""
    code = WATCHED_IMPORT.format(src=str(SRC.parent), names=every_module())
    assert json.loads(run_python(code)) == []


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


def imported(tree: ast.Module) -> list[tuple[ast.AST, str]]:
    """Return what a module imports: the statement and each full name."""
    found: list[tuple[ast.AST, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append((node, node.module or ""))
    return found


def test_apps_use_public_names_only() -> None:
    """An application imports ``hasten`` itself and its own package, as a user's does."""
    foreign = []
    for path in python_files("src/hasten/apps"):
        own = ".".join(module_name(path).split(".")[:3])
        for node, name in imported(parse(path)):
            inside = name.split(".")[0] == "hasten" and name != "hasten"
            if inside and not (name + ".").startswith(own + "."):
                foreign.append(f"{place(path, node)}: {name}")
    assert foreign == []
