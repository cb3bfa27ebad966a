"""The gateway benchmark: who takes part in which case, and each peer is asked in its own words."""

from __future__ import annotations

import json

import pytest

from bench import gateway
from bench.gateways import load, peers
from bench.gateways.targets import Way
from bench.harness import OURS


def test_a_peer_that_is_not_there_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Nothing is left out in silence, and nothing is started to find out."""
    monkeypatch.setattr(peers, "ROOT", tmp_path_factory.mktemp("empty"))
    monkeypatch.setenv("PATH", "")
    for case in gateway.cases(gateway.QUICK):
        named = {name: case.runners[name] for name in peers.PEERS if name in case.runners}
        assert set(named.values()) <= {"not installed"}, case.name
        assert not isinstance(case.runners[OURS], str)


def test_who_keeps_no_answers_cannot_give_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Portkey has no cache in what npm has of it: what needs one is no figure of its."""
    monkeypatch.setattr(peers, "_found", lambda name: name)
    found = (case for case in gateway.cases() if "portkey" in case.runners)
    runners = {case.name: case.runners["portkey"] for case in found}
    needing = {name for name, runner in runners.items() if runner == "cannot"}
    assert needing
    assert needing == {one for one in runners if one.startswith(("hit", "cached", "miss"))}


def test_a_peer_is_asked_in_its_own_words() -> None:
    """The path, the headers and what the body says first; the body stays JSON."""
    way = Way("/elsewhere", {"x-key": "k"}, '"cache":{"no-store":true},', "its::gpt-4o")
    asked = way.load(1, gateway._streamed(gateway.SMALL), 4, 0.5)
    assert (asked.path, asked.headers) == ("/elsewhere", {"x-key": "k"})
    said = json.loads(asked.body)
    assert (said["model"], said["stream"], said["cache"]) == (
        "its::gpt-4o",
        True,
        {"no-store": True},
    )


@pytest.mark.parametrize("text", [peers.NGINX, peers.TENSORZERO])
def test_the_configurations_are_filled(text: str) -> None:
    """No name is left in braces."""
    filled = text.format(user="u", folder="/f", provider=1, port=2)
    assert "127.0.0.1:1" in filled
    assert "{provider}" not in filled


def test_a_slow_target_gets_the_time_for_enough_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its calls are what it answered in the time, also those sent before it began to count."""
    now_s = 0.0
    monkeypatch.setattr(load.time, "perf_counter", lambda: now_s)
    run = load.Run(load.Load(1, "/", "", connections=2, seconds=1.0, warm_s=0.5, at_least=4))
    for number in range(1, 7):  # two at a time, each a second long
        now_s, sent_s = float(number), float(number - 1) if number > 1 else 0.0
        for _ in range(2):
            run.add(b"HTTP/1.1 200 OK", sent_s, 0.0)
    found = run.figures()
    assert (run.is_over, found.errors, found.p50_us) == (True, 0, 1e6)
    assert found.call_us == pytest.approx(2.5e6 / 6)
