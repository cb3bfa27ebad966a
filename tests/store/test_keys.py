"""Keys: made once, kept as a hash, found quickly, revoked everywhere."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from hasten.caller import Caller
from hasten.clock import Clock
from hasten.errors import NotFound, StoreUnavailable
from hasten.store.keys import REMEMBER_S, REMEMBER_SECRETS, KeyLimits, KeyStore
from hasten.store.sql import SqlPolicy, SqlStore, open_sql

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from hasten.testing.postgres import PostgresServer

ANN = Caller("acme", "ann", "admin")
BOB = Caller("acme", "bob")


class HandClock(Clock):
    """A clock that a test moves by hand."""

    at_s = 100.0

    def monotonic(self) -> float:
        """Return what the test set."""
        return self.at_s

    def now(self) -> float:
        """Return what the test set."""
        return self.at_s


async def caller(keys: KeyStore, secret: str) -> Caller | None:
    """Return for whom a secret speaks."""
    found = await keys.find(secret)
    return None if found is None else found.caller


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[SqlStore]:
    """Open the database for a block."""
    store = await open_sql(url, SqlPolicy(rest_s=0.0))
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/keys.db"
    found: str = request.getfixturevalue("postgres_url")
    return found


def test_a_key_speaks_for_its_caller(url: str) -> None:
    """Whoever shows the secret is the caller it was made for, role included."""

    async def main() -> None:
        async with opened(url) as store:
            keys = KeyStore(store, HandClock())
            assert not await keys.any()
            ann_id, ann_secret = await keys.create(ANN, "laptop")
            bob_id, bob_secret = await keys.create(BOB)
            assert await keys.any()
            assert ann_secret.startswith("hst_")
            assert len(ann_secret) > 40
            assert await caller(keys, ann_secret) == ANN
            assert await caller(keys, bob_secret) == BOB
            shown = {record.key_id: record for record in await keys.all()}
            assert set(shown) == {ann_id, bob_id}
            assert (shown[ann_id].caller, shown[ann_id].label) == (ANN, "laptop")
            assert (shown[ann_id].created_s, shown[ann_id].revoked_s) == (100.0, None)

    asyncio.run(main())


@pytest.mark.parametrize(
    "guess", ["", "hst_", "hst_" + "a" * 43, "\ud800", "hst_\x00", "x" * 10**6]
)
def test_a_guess_finds_nobody(guess: str, tmp_path: Path) -> None:
    """Whatever is sent as a secret, an unknown one is nobody's."""

    async def main() -> None:
        async with opened(f"sqlite:///{tmp_path}/keys.db") as store:
            keys = KeyStore(store)
            await keys.create(ANN)
            assert await keys.find(guess) is None

    asyncio.run(main())


def test_the_secret_is_not_kept(tmp_path: Path) -> None:
    """Neither the database nor a listing holds the secret."""

    async def main() -> tuple[str, str]:
        async with opened(f"sqlite:///{tmp_path}/keys.db") as store:
            keys = KeyStore(store)
            key_id, secret = await keys.create(ANN)
            assert secret not in repr(await keys.all())
            return key_id, secret

    key_id, secret = asyncio.run(main())
    held = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert key_id.encode() in held
    assert secret.removeprefix("hst_").encode() not in held


def test_a_revoked_key_ends_here_at_once_and_elsewhere_in_time(url: str) -> None:
    """Another process that has just seen the key forgets it within five seconds."""

    async def main() -> None:
        clock = HandClock()
        async with opened(url) as store, opened(url) as other_store:
            here, elsewhere = KeyStore(store, clock), KeyStore(other_store, clock)
            key_id, secret = await here.create(ANN)
            assert await caller(here, secret) == await caller(elsewhere, secret) == ANN
            await here.revoke(key_id)
            assert await here.find(secret) is None
            assert await caller(elsewhere, secret) == ANN
            clock.at_s += REMEMBER_S
            assert await elsewhere.find(secret) is None
            assert REMEMBER_S <= 5.0
            clock.at_s += 1.0
            await elsewhere.revoke(key_id)
            assert [record.revoked_s for record in await here.all()] == [100.0]
            assert await here.any(), "the last key was revoked, and the door stays locked"

    asyncio.run(main())


def test_revoking_an_unknown_key_says_so(tmp_path: Path) -> None:
    """The message names the id and how to see the others."""

    async def main() -> None:
        async with opened(f"sqlite:///{tmp_path}/keys.db") as store:
            with pytest.raises(NotFound, match=r"'nope'.*hasten keys list"):
                await KeyStore(store).revoke("nope")

    asyncio.run(main())


def test_a_request_does_not_cost_a_query(tmp_path: Path) -> None:
    """A secret that was just looked up is answered without the database, known or not."""

    async def main() -> None:
        async with opened(f"sqlite:///{tmp_path}/keys.db") as store:
            keys = KeyStore(store)
            _, secret = await keys.create(ANN)
            assert await caller(keys, secret) == ANN
            assert await keys.find("guess") is None
        assert await caller(keys, secret) == ANN
        assert await keys.find("guess") is None

    asyncio.run(main())


def test_guessing_does_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is remembered has a bound."""
    assert REMEMBER_SECRETS <= 100_000
    monkeypatch.setattr("hasten.store.keys.REMEMBER_SECRETS", 8)

    async def main() -> None:
        async with opened(f"sqlite:///{tmp_path}/keys.db") as store:
            keys = KeyStore(store)
            for number in range(50):
                await keys.find(f"guess {number}")
                assert len(keys._found) <= 8

    asyncio.run(main())


def test_without_its_database_nobody_is_let_in(postgres_server: PostgresServer) -> None:
    """A key that cannot be checked is an error that may be retried, never a caller."""

    async def main() -> None:
        async with opened(postgres_server.new_database()) as store:
            clock = HandClock()
            keys = KeyStore(store, clock)
            _, secret = await keys.create(ANN)
            assert await caller(keys, secret) == ANN
            clock.at_s += REMEMBER_S
            postgres_server.stop()
            try:
                with pytest.raises(StoreUnavailable):
                    await keys.find(secret)
            finally:
                postgres_server.start()
            assert await caller(keys, secret) == ANN

    asyncio.run(main())


def test_a_key_has_limits_and_adds_up_what_it_spent(url: str) -> None:
    """Limits come back as given; two processes' spending adds up, saved twice it counts once."""

    async def main() -> None:
        async with opened(url) as store:
            clock = HandClock()
            one, other = KeyStore(store, clock), KeyStore(store, clock)
            limits = KeyLimits(
                models=("gpt-*",), rate_per_min=60.0, budget_usd=5.0, cache_scope="user"
            )
            key_id, secret = await one.create(BOB, limits=limits)
            assert one.recall(secret) is None
            found = await one.find(secret)
            assert found is not None
            assert found.limits == limits
            assert one.recall(secret) == found
            one.charge(key_id, 1.5)
            other.charge(key_id, 0.25)
            assert one.spent_usd(found) == 1.5
            for store_ in (one, one, other):
                await store_.save_spent()
            one.charge(key_id, 0.25)
            await one.save_spent()
            (shown,) = await other.all()
            assert shown.spent_usd == 2.0
            renewed = await one.find(secret)
            assert renewed is not None
            assert one.spent_usd(renewed) == 2.0
            clock.at_s += 40 * 86_400
            assert (await other.all())[0].spent_usd == 0.0

    asyncio.run(main())
