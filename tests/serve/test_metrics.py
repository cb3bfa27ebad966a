"""Figures for Prometheus: they add up to what happened, and nobody's words are labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prometheus_client.parser import text_string_to_metric_families

from hasten.caller import Caller
from tests.docs.test_reference import rows_under
from tests.serve.test_cache import ANN, FACTS, headers_of, store

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.serve.conftest import Client

TEA = {"app": "toy", "inputs": {"topic": "tea", "note": "a secret note"}}

Figures = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def read(client: Client, **options: Any) -> tuple[str, Figures]:
    """Read all figures: the text, and each value by its name and labels."""
    answer = await client.call("GET", "/metrics", **options)
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain")
    text = answer.body.decode()
    families = text_string_to_metric_families(text)
    samples = [sample for family in families for sample in family.samples]
    return text, {(one.name, frozenset(one.labels.items())): one.value for one in samples}


def of(figures: Figures, name: str, **labels: str) -> float:
    """Return one figure."""
    return figures[name, frozenset(labels.items())]


def test_runs_and_what_was_done_in_them(on_server: Callable[..., Any]) -> None:
    """A run, its rerun and one that failed are counted once each, with steps and model calls."""

    async def test(client: Client) -> None:
        for _ in range(2):
            assert (await client.call("POST", "/api/run", TEA)).status == 200
        broken = {"app": "toy", "inputs": {"topic": "tea", "trouble": "answer"}}
        assert (await client.call("POST", "/api/run", broken)).status == 502
        text, found = await read(client)
        hasten = {"app": "toy", "mode": "hasten"}
        assert of(found, "hasten_runs_total", **hasten, status="complete") == 2
        assert of(found, "hasten_runs_total", **hasten, status="failed") == 1
        assert of(found, "hasten_run_duration_seconds_count", **hasten) == 3
        assert of(found, "hasten_run_duration_seconds_bucket", **hasten, le="+Inf") == 3
        assert 6 < of(found, "hasten_run_duration_seconds_sum", **hasten) < 120
        tool = {"app": "toy", "kind": "tool", "step": "prices", "status": "ok"}
        assert of(found, "hasten_steps_total", **tool) == 2
        tokens = [
            value for (name, _), value in found.items() if name == "hasten_model_tokens_total"
        ]
        assert len(tokens) == 2
        assert min(tokens) > 0
        assert of(found, "hasten_runs_live") == 0
        assert of(found, "hasten_storage_available") == 1
        assert of(found, "hasten_storage_bytes") > 0
        run = {"method": "POST", "route": "/api/run"}
        assert of(found, "hasten_requests_total", **run, status="200") == 2
        assert of(found, "hasten_requests_total", **run, status="502") == 1
        assert "secret" not in text
        assert "_rate" not in text

    on_server(test)


def test_the_cache_by_use_tier_and_result(on_server: Callable[..., Any]) -> None:
    """Misses belong to no tier; hits say where, how old, and what they saved."""

    async def test(client: Client) -> None:
        for area in ("AI", "AI", "AI", "law"):
            await store(client, ANN, FACTS, area)
        _, found = await read(client)
        asked = "hasten_cache_requests_total"
        assert of(found, asked, use="facts", tier="", result="miss") == 2
        assert of(found, asked, use="facts", tier="memory", result="hit") == 2
        assert of(found, "hasten_cache_stored_total", use="facts", tier="disk") == 2
        assert of(found, "hasten_cache_age_seconds_bucket", use="facts", le="1.0") == 2
        assert of(found, "hasten_cache_saved_seconds_total", use="facts", tier="memory") >= 0
        assert of(found, "hasten_cache_tier_available", tier="disk") == 1
        assert of(found, "hasten_cache_memory_bytes") > 0

    on_server(test)


def test_with_keys_only_an_admin_reads_them(on_server: Callable[..., Any]) -> None:
    """Without a key 401, with a person's 403."""

    async def test(client: Client) -> None:
        admin = await headers_of(client, Caller("acme", "root", "admin"))
        ann = await headers_of(client, ANN)
        assert (await client.call("GET", "/metrics")).status == 401
        assert (await client.call("GET", "/metrics", **ann)).status == 403
        await read(client, **admin)

    on_server(test)


def test_unknown_paths_and_methods_share_a_label(on_server: Callable[..., Any]) -> None:
    """What somebody asks for at random makes no new label, and takes no memory."""

    async def test(client: Client) -> None:
        for path in ("/nothing/1", "/nothing/2", "/api/runs/none"):
            assert (await client.call("GET", path)).status == 404
        for method in ("BREW", "STIR"):
            assert (await client.call(method, "/health")).status == 405
        text, found = await read(client)
        missed = {"method": "GET", "status": "404"}
        assert of(found, "hasten_requests_total", **missed, route="other") == 2
        assert of(found, "hasten_requests_total", **missed, route="/api/runs/{run_id}") == 1
        assert "/nothing" not in text
        wrong = {"method": "other", "status": "405"}
        assert of(found, "hasten_requests_total", **wrong, route="/health") == 2

    on_server(test)


def test_the_reference_has_every_metric(on_server: Callable[..., Any]) -> None:
    """Each metric has its row with its help, in order, and no other has one."""

    async def test(client: Client) -> None:
        text, _ = await read(client)
        told = [line.split(" ", 3)[2:] for line in text.splitlines() if line.startswith("# HELP")]
        rows = [line.split(" | ") for line in rows_under("Metrics")]
        assert [[row[0].strip("| `"), row[2].removesuffix(" |")] for row in rows] == [
            [name.removesuffix("_total"), what] for name, what in told
        ]

    on_server(test)


def test_what_lies_before_an_endpoint(on_server: Callable[..., Any]) -> None:
    """Each wrapper of an application's chain tells what it did, by the model's name."""

    async def test(client: Client) -> None:
        assert (await client.call("POST", "/api/run", TEA)).status == 200
        _, found = await read(client)
        (model,) = {dict(labels)["model"] for name, labels in found if "retry_budget" in name}
        assert of(found, "hasten_model_retry_budget", model=model) == 3
        assert of(found, "hasten_model_retries_total", model=model, result="made") == 0
        assert of(found, "hasten_model_repairs_total", model=model) == 0

    on_server(test)
