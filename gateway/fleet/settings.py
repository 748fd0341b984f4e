"""Which Redis the fleet shares, and how long one may wait for it."""

from dataclasses import dataclass, field
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from gateway.config.store import Store

_CONNECTIONS = 8
_LONGEST_ATTEMPT = 2.0


@dataclass(slots=True, frozen=True)
class Settings:
    """Where Redis is and who the gateway is there; neither shows itself in a `repr`.

    `url` is `redis://`, `rediss://` or `unix://`, with a database and `ssl_…` arguments as redis-py takes them;
    `username` and `password` go before its own. `timeout` in seconds bounds each call; `name` is what Redis lists the
    connections by. `stored` are the bytes that stored responses may take there.
    """

    url: str = field(repr=False)
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    timeout: float = 0.05
    name: str = "gateway"
    stored: int = 0

    @property
    def attempt(self) -> float:
        """Seconds to connect, with TLS and the login: it takes several answers of Redis, and no call waits for that."""
        return min(self.timeout * 10, _LONGEST_ATTEMPT)

    @classmethod
    def of(cls, store: Store) -> "Settings":
        """What the config says. Raises ValueError where it names no Redis."""
        if store.url is None:
            raise ValueError("the store is not in Redis")
        return cls(store.url, store.username, store.password, store.timeout, stored=store.shared)

    @property
    def place(self) -> str:
        """Where Redis is, without any secret: `host:port/database`, or the socket's path."""
        arguments = parse_url(self.url)
        database = arguments.get("db", 0)
        if "path" in arguments:
            return f"{arguments['path']}/{database}"
        return f"{arguments.get('host', 'localhost')}:{arguments.get('port', 6379)}/{database}"

    def arguments(self) -> dict[str, Any]:
        """What redis-py makes a connection from, `connection_class` included. Raises ValueError for a URL it cannot."""
        arguments = dict[str, Any](parse_url(self.url))
        if self.username:
            arguments["username"] = self.username
        if self.password:
            arguments["password"] = self.password
        return arguments

    def client(self) -> Redis:
        """A client of redis-py's with at most so many connections; each step of a call has the timeout. Close it."""
        pool = BlockingConnectionPool(
            **self.arguments(),
            max_connections=_CONNECTIONS,
            timeout=self.timeout,
            socket_timeout=self.timeout,
            socket_connect_timeout=self.timeout,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            client_name=self.name,
        )
        return Redis.from_pool(pool)
