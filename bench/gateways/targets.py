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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from bench.gateways.load import Figures, Load

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

TARGET_CORE, LOAD_CORE = 0, 1
LITELLM = Path(__file__).parents[2] / ".venv-litellm/bin/litellm"
START_WITHIN_S = 60.0


@dataclass
class Started:
    """A running target: its port, its processes, and how long it took to answer."""

    port: int
    pid: int
    start_s: float

    def held_mb(self) -> float:
        """Return what its processes hold, shared pages counted once, in MB."""
        return sum(_pss_kb(pid) for pid in _family(self.pid)) / 1_024

    def worked_s(self) -> float:
        """Return the processor time its processes have taken, in steps of a hundredth."""
        ticks = sum(_ticks(pid) for pid in _family(self.pid))
        return ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def running(
    command: Sequence[str], port: int, core: int, env: Mapping[str, str] | None = None
) -> Iterator[Started]:
    """Run ``command``, which listens on ``port``, on one core for this block."""
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
        _await_port(port, process, log)
        yield Started(port, process.pid, time.perf_counter() - began_s)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def hasten(kind: str, provider_port: int) -> Iterator[Started]:
    """Run our server, whole (``asgi``) or gateway only (``rsgi``), before the provider."""
    port = free_port()
    home = tempfile.mkdtemp(prefix="hasten-bench-")
    alone = ["--gateway-only"] if kind == "rsgi" else []
    name = str(Path(sys.executable).parent / "hasten")
    command = [name, "serve", *alone, "--port", str(port), "--home", home]
    env = {
        "OPENAI_BASE_URL": f"http://127.0.0.1:{provider_port}/v1",
        "OPENAI_API_KEY": "sk-bench",
        "HASTEN_LOG_LEVEL": "warning",
    }
    try:
        with running(command, port, TARGET_CORE, env) as started:
            yield started
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def litellm(provider_port: int) -> Iterator[Started]:
    """Run LiteLLM's proxy before the provider: a cache in memory, one worker, no keys."""
    port = free_port()
    settings = {
        "model_list": [
            {
                "model_name": "gpt-4o",
                "litellm_params": {
                    "model": "openai/gpt-4o",
                    "api_base": f"http://127.0.0.1:{provider_port}/v1",
                    "api_key": "sk-bench",
                },
            }
        ],
        "litellm_settings": {"cache": True, "cache_params": {"type": "local"}},
    }
    with tempfile.TemporaryDirectory(prefix="hasten-bench-") as folder:
        config = Path(folder) / "config.yaml"
        config.write_bytes(orjson.dumps(settings))  # JSON is YAML
        command = [str(LITELLM), "--config", str(config), "--port", str(port)]
        env = {
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_LOG": "ERROR",
            "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
        }
        with running(command, port, TARGET_CORE, env) as started:
            hello = '{"model":"gpt-4o","messages":[{"role":"user","content":"hello %d"}]}'
            driven(Load(port, "/v1/chat/completions", hello, 4, warm_s=4.0))  # its first are slow
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


def _await_port(port: int, process: subprocess.Popen[Any], log: Path) -> None:
    until_s = time.perf_counter() + START_WITHIN_S
    while time.perf_counter() < until_s:
        if process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.002)
        else:
            return
    message = f"it did not start: {log.read_text(errors='replace')[-500:]}"
    raise RuntimeError(message)


def _family(pid: int) -> list[int]:
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
