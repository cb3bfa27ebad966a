"""What is measured: processes that serve the gateway, or a peer, on a core of their own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from bench.gateways.load import Figures, Load
from hasten.testing.redis import run_redis

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

TARGET_CORE, LOAD_CORE = 0, 1
START_WITHIN_S = 120.0


@dataclass(frozen=True, slots=True)
class Way:
    """How a target is asked: where, with which headers, and what its requests say besides."""

    path: str = "/v1/chat/completions"
    headers: Mapping[str, str] = field(default_factory=dict)
    says: str = ""
    model: str = "gpt-4o"

    def load(self, port: int, body: str, connections: int, seconds: float) -> Load:
        """Return ``body`` as a load, in the target's words."""
        body = body.replace("{", "{" + self.says, 1).replace('"gpt-4o"', f'"{self.model}"')
        return Load(port, self.path, body, connections, seconds, headers=dict(self.headers))


@dataclass
class Started:
    """A running target: its port, its processes, how long it took to answer, how it is asked.

    ``kept`` goes through its cache if it has one, ``passed`` past it, ``streamed`` asks for
    streams that it may keep if that does not hold them back.
    """

    port: int
    pid: int
    start_s: float
    kept: Way = Way()
    passed: Way = Way()
    streamed: Way = Way()

    def held_mb(self) -> float:
        """Return what its processes hold, shared pages counted once, in MB."""
        return sum(_pss_kb(pid) for pid in family(self.pid)) / 1_024

    def worked_s(self) -> float:
        """Return the processor time its processes have taken, in steps of a hundredth."""
        ticks = sum(_ticks(pid) for pid in family(self.pid))
        return ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def running(
    command: Sequence[str], port: int | Path, core: int, env: Mapping[str, str] | None = None
) -> Iterator[Started]:
    """Run ``command`` on one core for this block; it listens on ``port`` or writes there where."""
    began_s = time.perf_counter()
    taskset = ["taskset", "-c", str(core)] if shutil.which("taskset") else []
    log = Path(tempfile.mkdtemp(prefix="hasten-bench-")) / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own command line
            [*taskset, *command],
            stdout=output,
            stderr=output,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )
    try:
        yield Started(_await(port, process, log), process.pid, time.perf_counter() - began_s)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def hasten(kind: str, provider_port: int, redis_url: str = "") -> Iterator[Started]:
    """Run our server, whole (``asgi``) or gateway only (``rsgi``), before the provider.

    A key was made, so it asks everybody for one.
    """
    port = free_port()
    home = tempfile.mkdtemp(prefix="hasten-bench-")
    alone = ["--gateway-only"] if kind == "rsgi" else []
    name = str(Path(sys.executable).parent / "hasten")
    command = [name, "serve", *alone, "--port", str(port)]
    env = {
        "OPENAI_BASE_URL": f"http://127.0.0.1:{provider_port}/v1",
        "OPENAI_API_KEY": "sk-bench",
        "HASTEN_LOG_LEVEL": "warning",
        "HASTEN_HOME": home,
        "REDIS_URL": redis_url,
    }
    try:
        create = [name, "keys", "create", "--tenant", "bench", "--user", "bench", "--json"]
        made = subprocess.run(create, env={**os.environ, **env}, capture_output=True, check=True)  # noqa: S603 - our own command line
        key = {"authorization": f"Bearer {orjson.loads(made.stdout)['secret']}"}
        with running(command, port, TARGET_CORE, env) as started:
            started.kept = started.streamed = Way(headers=key)
            started.passed = Way(headers={**key, "hasten-cache-mode": "off"})
            yield started
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def hasten_with_frozen_redis(provider_port: int) -> Iterator[Started]:
    """Run the gateway alone before a Redis that accepts, and from now on says nothing."""
    with (
        run_redis() as redis,
        hasten("rsgi", provider_port, redis.url) as started,
        redis.frozen(),
    ):
        yield started


@contextmanager
def bare(kind: str) -> Iterator[Started]:
    """Run Granian with an application that does nothing."""
    port = free_port()
    command = [sys.executable, "-m", "bench.gateways.bare", kind, str(port)]
    with running(command, port, TARGET_CORE) as started:
        yield started


@contextmanager
def provider(first_s: float = 0.0) -> Iterator[Started]:
    """Run the provider."""
    port = free_port()
    command = [sys.executable, "-m", "bench.gateways.upstream", str(port), str(first_s)]
    with running(command, port, LOAD_CORE) as started:
        yield started


def driven(load: Load) -> Figures:
    """Send a load from its own process. Raises ``RuntimeError`` if any answer was an error."""
    taskset = ["taskset", "-c", str(LOAD_CORE)] if shutil.which("taskset") else []
    command = [*taskset, sys.executable, "-m", "bench.gateways.load"]
    done = subprocess.run(  # noqa: S603 - our own command line
        command, input=orjson.dumps(asdict(load)), capture_output=True, check=True
    )
    found = Figures(**orjson.loads(done.stdout))
    if found.errors or not found.calls:
        message = f"{found.errors} of {found.calls} answers were errors"
        raise RuntimeError(message)
    return found


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await(port: int | Path, process: subprocess.Popen[Any], log: Path) -> int:
    """Return the port once somebody listens on it. Raises ``RuntimeError`` if nobody does."""
    until_s = time.perf_counter() + START_WITHIN_S
    while time.perf_counter() < until_s:
        if process.poll() is not None:
            break
        try:
            number = port if isinstance(port, int) else int(port.read_text(encoding="ascii") or 0)
            socket.create_connection(("127.0.0.1", number), 1).close()
        except OSError:
            time.sleep(0.002)
        else:
            return number
    message = f"it did not start: {log.read_text(errors='replace')[-500:]}"
    raise RuntimeError(message)


def family(pid: int) -> list[int]:
    """Return a process and those it started."""
    found = [pid]
    for one in found:
        for path in Path(f"/proc/{one}/task").glob("*/children"):
            found += map(int, path.read_text().split())
    return found


def _pss_kb(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def _ticks(pid: int) -> int:
    """Return what a process has worked for itself and in the kernel: proc(5), fields 14 and 15."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
