"""``hasten keys``: made, listed, revoked."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Said

ADA = ("keys", "create", "--tenant", "acme", "--user", "ada")


def test_standard_output_is_the_secret(hasten: Callable[..., Said], tmp_path: Path) -> None:
    """Alone, so that it can be piped; it is kept nowhere."""
    said = hasten(*ADA, "--role", "admin", "--label", "laptop")
    secret = said.out.strip()
    assert said.code == 0
    assert secret.startswith("hst_")
    assert "ada of acme (admin)" in said.err
    files = [path for path in (tmp_path / ".hasten").iterdir() if path.is_file()]
    for file in files:
        assert secret.encode() not in file.read_bytes()


def test_the_list(hasten: Callable[..., Said]) -> None:
    """Who each speaks for; a revoked one says so; never a secret."""
    made = [hasten(*ADA, "--label", label, "--json").json for label in ("laptop", "phone")]
    assert hasten("keys", "revoke", made[0]["key_id"]).err == f"revoked {made[0]['key_id']}\n"
    said = hasten("keys", "list")
    first, second = said.out.splitlines()[1:]
    assert first.split() == [
        made[0]["key_id"],
        "acme",
        "ada",
        "user",
        "laptop",
        "now",
        "revoked",
        "now",
    ]
    assert second.split() == [made[1]["key_id"], "acme", "ada", "user", "phone", "now"]
    assert "hst_" not in said.out + said.err
    listed = hasten("keys", "list", "--json")
    assert [key["key_id"] for key in listed.json] == [key["key_id"] for key in made]
    assert listed.json[0]["caller"] == {"tenant": "acme", "user": "ada", "role": "user"}
    assert "hst_" not in listed.out


def test_before_the_first_key(hasten: Callable[..., Said]) -> None:
    """The list says what that means."""
    said = hasten("keys", "list")
    assert (said.code, said.out) == (0, "")
    assert "everyone on this machine is let in" in said.err


def test_an_unknown_key(hasten: Callable[..., Said]) -> None:
    """It is named."""
    said = hasten("keys", "revoke", "abc")
    assert said.code == 2
    assert "no key 'abc'" in said.err


def test_a_key_is_somebodys(hasten: Callable[..., Said]) -> None:
    """Tenant and user must be given and not empty, the role one there is."""
    assert hasten("keys", "create", "--tenant", "acme").code == 2
    assert "--user must not be empty" in hasten(*ADA[:-1], " ").err
    assert hasten(*ADA, "--role", "root").code == 2
    assert hasten("keys", "list", "--json").json == []
