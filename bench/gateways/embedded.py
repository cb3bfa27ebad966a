"""TensorZero's gateway as its client embeds it, for the client's own environment.

``python -m bench.gateways.embedded CONFIG VALKEY_URL FILE`` serves until killed and writes
its port into FILE. No package index has the gateway as a program; the client's wheel holds
it, and ``patch_openai_client`` starts it this way, only without a cache.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from urllib.parse import urlsplit

if __name__ == "__main__":
    from tensorzero.tensorzero import _start_http_gateway

    config, valkey_url, told = sys.argv[1:]
    gateway = _start_http_gateway(
        config_file=config,
        clickhouse_url=None,
        postgres_url=None,
        valkey_url=valkey_url,
        async_setup=False,
    )
    Path(told).write_text(str(urlsplit(gateway.base_url).port), encoding="ascii")
    signal.pause()
