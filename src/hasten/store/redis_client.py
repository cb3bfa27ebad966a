"""From a URL to a Redis client: one server, a Sentinel group or a Cluster.

Owns which URLs are understood, how a client is set up (no retries of its own,
because the breaker decides when to try again), and what its errors are to us.
``store/redis`` calls it.

``redis://host:6379/0``, ``rediss://`` (TLS), ``unix:///path``;
``redis+sentinel://host1:26379,host2:26379/SERVICE/0``; ``redis+cluster://host:6379``,
``rediss+cluster://``. A user and password go before the ``@`` as usual.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from hasten.errors import MissingExtra, SettingsError, StoreError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType
    from urllib.parse import SplitResult

SENTINEL_PORT = 26_379

CLUSTER_SPARE = 16
"""A Cluster's pool may grow so many times beyond its size."""

_PLAIN = ("redis", "rediss", "unix")
_CLUSTER = ("redis+cluster", "rediss+cluster")


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisPolicy:
    """Deadlines in real seconds, and the size of the pool.

    ``call_s`` bounds one call from asking to answer: whoever finds the server frozen goes
    on within a tenth of a second. ``max_bytes`` bounds what the
    cache keeps there, whatever else the server holds. ``prefix`` begins every key.
    """

    connect_s: float = 0.09
    call_s: float = 0.09
    upkeep_s: float = 5.0
    max_bytes: int = 1 << 30
    pool_size: int = 16
    prefix: str = "hasten"


class RedisLimit:
    """A block that ends by a deadline, after ``prepare``, and raises errors of ours only.

    ``StoreUnavailable`` when the server is late, gone or talks nonsense,
    ``StoreError`` when it refuses.
    """

    __slots__ = ("_deadline", "_prepare")

    def __init__(
        self,
        deadline: AbstractAsyncContextManager[object],
        prepare: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._deadline = deadline
        self._prepare = prepare

    async def __aenter__(self) -> None:
        await self._deadline.__aenter__()
        if self._prepare is not None:
            try:
                await self._prepare()
            except BaseException as error:
                await self.__aexit__(type(error), error, error.__traceback__)
                raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self._deadline.__aexit__(kind, error, traceback)
        except TimeoutError:
            message = "redis did not answer in time"
            raise StoreUnavailable(message, store="redis") from None
        if isinstance(error, Exception) and not isinstance(error, StoreError):
            raise our_error(error) from error


def our_error(error: Exception) -> Exception:
    """Return the error to raise for one of redis-py's; what is a fault of ours stays one."""
    from redis.exceptions import RedisError, ResponseError

    if isinstance(error, ResponseError):
        return StoreError(f"redis refused: {error}", store="redis")
    if isinstance(error, (RedisError, OSError, ValueError, TypeError)):
        return StoreUnavailable(f"redis is not available: {error!r}", store="redis")
    return error


def connect(url: str, policy: RedisPolicy) -> Any:
    """Return a client for ``url``; it connects when it is first used.

    Raises ``SettingsError`` for a URL of another kind, ``MissingExtra`` when
    redis-py is not installed.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port if parts.scheme != "redis+sentinel" else None
    except ValueError as error:
        message = f"not a Redis URL: {error}"
        raise SettingsError(message) from error
    try:
        if parts.scheme in _PLAIN:
            return _plain(url, policy)
        if parts.scheme in _CLUSTER:
            return _cluster(url, policy)
        if parts.scheme == "redis+sentinel":
            return _sentinel(parts, policy)
    except ModuleNotFoundError as error:
        part = "redis"
        raise MissingExtra(part, "redis") from error
    known = ", ".join(f"{scheme}://" for scheme in (*_PLAIN, *_CLUSTER, "redis+sentinel"))
    message = f"no Redis of the kind {parts.scheme!r}: use one of {known}"
    raise SettingsError(message)


async def disconnect(client: Any) -> None:
    """Close a client's connections, those to its Sentinels too."""
    if hasattr(client, "mget_nonatomic"):
        await client.aclose()
        return
    await client.aclose(close_connection_pool=True)
    group = getattr(client.connection_pool, "sentinel_manager", None)
    for one in group.sentinels if group is not None else ():
        await one.aclose(close_connection_pool=True)


def _settings(policy: RedisPolicy) -> dict[str, Any]:
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    return {
        "protocol": 2,
        "retry": Retry(NoBackoff(), 0),
        "socket_timeout": None,  # a call's deadline is the store's own
        "socket_connect_timeout": policy.connect_s,
    }


def _plain(url: str, policy: RedisPolicy) -> Any:
    from redis.asyncio import BlockingConnectionPool, Redis

    pool = BlockingConnectionPool.from_url(
        url, max_connections=policy.pool_size, timeout=policy.call_s, **_settings(policy)
    )
    return Redis(connection_pool=pool)


def _cluster(url: str, policy: RedisPolicy) -> Any:
    from redis.asyncio.cluster import RedisCluster

    plain_url = url.replace("+cluster", "", 1)
    most = policy.pool_size * CLUSTER_SPARE  # its pools refuse where a single server's wait
    return RedisCluster.from_url(plain_url, max_connections=most, **_settings(policy))


def _sentinel(parts: SplitResult, policy: RedisPolicy) -> Any:
    from redis.asyncio.sentinel import Sentinel

    service, _, database = parts.path.strip("/").partition("/")
    if not service:
        message = "a Sentinel URL names its service: redis+sentinel://host:26379/SERVICE"
        raise SettingsError(message)
    credentials = {"username": parts.username, "password": parts.password}
    settings = _settings(policy) | {
        name: unquote(value) for name, value in credentials.items() if value
    }
    hosts = [_host(one) for one in parts.netloc.rpartition("@")[2].split(",")]
    group: Any = Sentinel
    sentinel = group(hosts, sentinel_kwargs=_settings(policy), **settings)
    return sentinel.master_for(service, db=int(database or 0), max_connections=policy.pool_size)


def _host(text: str) -> tuple[str, int]:
    name, _, port = text.rpartition(":")
    if not name:
        return text, SENTINEL_PORT
    if not port.isdigit():
        message = f"not a host and port: {text!r}"
        raise SettingsError(message)
    return name.strip("[]"), int(port)
