"""The locks: they hold what pyproject.toml asks for, with hashes, and agree with each other."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest

from tests.architecture.sources import ROOT

PIN = re.compile(
    r"^(?P<name>[a-z0-9-]+)==(?P<version>\S+)(?P<rest>[^\n]*)\n\s+--hash=", re.MULTILINE
)
ENTRY = re.compile(r"^[a-z0-9]", re.MULTILINE)
NAME = re.compile(r"[A-Za-z0-9._-]+")


def pins(lock: str) -> dict[str, set[str]]:
    """Return the versions a lock gives each package; two where platforms differ."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    found: dict[str, set[str]] = {}
    for pin in PIN.finditer(text):
        found.setdefault(pin["name"], set()).add(pin["version"])
    assert sum(map(len, found.values())) == len(ENTRY.findall(text)), "an entry has no hash"
    return found


def wanted(*groups: str) -> set[str]:
    """Return the packages that the project, its extras and the given groups ask for."""
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lists = [
        project["project"]["dependencies"],
        *project["project"]["optional-dependencies"].values(),
        *(project["dependency-groups"][group] for group in groups),
    ]
    matches = (NAME.match(line) for lines in lists for line in lines)
    names = {re.sub(r"[._-]+", "-", match[0]).lower() for match in matches if match}
    return names - {"hasten"}


@pytest.mark.parametrize(
    ("lock", "groups"),
    [
        ("requirements.lock", ("dev",)),
        ("bench.lock", ("dev", "bench")),
        ("integrations.lock", ("dev", "integrations")),
        ("crewai.lock", ("dev", "crewai")),
    ],
)
def test_a_lock_holds_what_is_asked_for(lock: str, groups: tuple[str, ...]) -> None:
    """Whoever adds a dependency runs ``make lock``."""
    assert wanted(*groups) - set(pins(lock)) == set()


def test_the_bench_runs_the_product_s_own_versions() -> None:
    """The peers' lock changes none of the product's versions."""
    ours, theirs = pins("requirements.lock"), pins("bench.lock")
    assert {name: theirs.get(name) for name in ours} == ours
