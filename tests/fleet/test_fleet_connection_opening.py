"""The first connection: what will not do ends a start in one clear line, without any secret."""

import asyncio
import traceback
from pathlib import Path

import pytest
from fleet.doors import UNHURRIED, connected
from structlog.testing import capture_logs
from support import certificates
from support.addresses import HOST, free_port, unanswering
from support.between import Between
from support.polling import PATIENCE
from support.redis_server import RedisServer

from gateway.clock import SystemClock
from gateway.config.store import Store
from gateway.errors import BadStart
from gateway.fleet import names
from gateway.fleet.connection import Connection
from gateway.fleet.settings import Settings

SECRET = "s3cret"


async def refused(settings: Settings, within: float = UNHURRIED) -> str:
    """Why a start with these settings ends; nothing of it shows the secret, however it is looked at."""
    with capture_logs() as lines, pytest.raises(BadStart) as caught:
        await Connection.open(settings, SystemClock(), within)
    shown = "".join(traceback.format_exception(caught.value)) + f"{settings!r} {lines}"
    assert SECRET not in shown.replace(f'SECRET = "{SECRET}"', "")
    assert lines == []
    return str(caught.value).removeprefix(f"store.url: Redis at {settings.place} cannot be used: ")


async def test_nobody_there() -> None:
    url = f"redis://user:{SECRET}@{HOST}:{free_port()}"
    assert await refused(Settings(url), within=0.1) == "it refuses connections"


async def test_nobody_accepts() -> None:
    with unanswering() as port:
        assert await refused(Settings(f"redis://{HOST}:{port}", timeout=0.01), within=0.1) == "no answer in time"


async def test_somebody_who_accepts_and_says_nothing(redis_server: RedisServer) -> None:
    async with Between(redis_server.port) as between:
        between.instead = b""
        assert await refused(Settings(between.url, timeout=0.01), within=0.1) == "no answer in time"


async def test_somebody_else(redis_server: RedisServer) -> None:
    async with Between(redis_server.port) as between:
        between.instead = b"HTTP/1.1 400 Bad Request\r\n\r\n"
        assert await refused(Settings(between.url), within=0.1) == "it does not speak Redis's protocol"


async def test_one_that_comes_within_the_time_will_do(redis_server: RedisServer) -> None:
    async with Between(redis_server.port) as between:
        between.instead = b""
        opening = asyncio.create_task(Connection.open(Settings(between.url), SystemClock(), 20.0))
        await between.connected.wait()
        between.instead = None
        between.cut()
        connection = await opening
        assert await connection.ask("ECHO", "here") == b"here"
        await connection.close()


async def test_another_layout(redis_server: RedisServer, redis_url: str) -> None:
    async with connected(redis_url) as connection:
        await connection.ask("SET", names.VERSION, "1")
        before = await connection.ask("GET", names.INCARNATIONS)
        assert await refused(Settings(redis_url)) == "its data has layout '1', and this version needs '2'"
        assert await connection.ask("GET", names.INCARNATIONS) == before
        await connection.ask("DEL", names.VERSION)


async def test_one_without_what_is_needed(tmp_path: Path) -> None:
    with RedisServer(tmp_path, "--rename-command", "INFO", SECRET) as server:
        assert await refused(Settings(server.url), within=0.1) == "it refuses what the gateway needs"


async def test_a_cluster(tmp_path: Path) -> None:
    with RedisServer(tmp_path, "--cluster-enabled", "yes") as server:
        assert await refused(Settings(server.url)) == "it is a Redis Cluster, which is not supported"


async def test_one_that_throws_away_what_it_should_keep(tmp_path: Path) -> None:
    with RedisServer(tmp_path, "--maxmemory", "1gb", "--maxmemory-policy", "allkeys-lru") as server:
        told = "its maxmemory-policy allkeys-lru would throw balances away; set volatile-lru or noeviction"
        assert await refused(Settings(server.url)) == told
        with server.client() as client:
            client.config_set("maxmemory", 0)
        async with connected(server.url) as connection:
            assert connection.up


async def test_what_is_doubtful_of_one_is_told_until_it_is_no_more(tmp_path: Path) -> None:
    off = "appendonly is off: a Redis that dies forgets the latest charges; set appendonly yes"
    with RedisServer(tmp_path) as server:
        async with connected(server.url) as connection:
            told = [connection.doubts]
            for appendonly in ("no", "yes"):
                with server.client() as client:
                    client.config_set("appendonly", appendonly)
                    client.client_kill_filter(_type="normal", skipme=True)
                await connection_lost_and_found(connection)
                told.append(connection.doubts)
    assert told == [(off,), (off,), ()]


async def connection_lost_and_found(connection: Connection) -> None:
    """Return once it is up after it was not."""
    changes = asyncio.Queue[bool]()
    connection.listen(changes.put_nowait)
    async with asyncio.timeout(PATIENCE):
        assert [await changes.get(), await changes.get()] == [False, True]


async def test_user_and_password(tmp_path: Path) -> None:
    with RedisServer(tmp_path, "--requirepass", SECRET) as server:
        with server.client() as client:
            client.execute_command("ACL", "SETUSER", "gateway", "on", ">other", "~*", "+@all")
        not_let_in = "it does not accept the user and password"
        assert await refused(Settings(server.url)) == not_let_in
        assert await refused(Settings(server.url, password=f"{SECRET}?")) == not_let_in
        assert await refused(Settings(server.url, "gateway", SECRET)) == not_let_in
        assert await refused(Settings(f"redis://:wrong{SECRET}@{HOST}:{server.port}/0")) == not_let_in
        async with connected(server.url, password=SECRET) as connection:
            assert await connection.ask("ACL", "WHOAMI") == b"default"
            assert await connection.client().get("none") is None
        async with connected(f"redis://:wrong@{HOST}:{server.port}/0", username="gateway", password="other") as other:
            assert await other.ask("ACL", "WHOAMI") == b"gateway"
            await other.ask("ACL", "SETUSER", "gateway", "-evalsha")
            told = "its user lacks a permission"
            assert await refused(Settings(server.url, "gateway", "other")) == told


async def test_tls_is_verified(tmp_path: Path) -> None:
    leaf = certificates.issued()
    certificate, key = certificates.place(tmp_path, leaf)
    root = tmp_path / "root.pem"
    certificates.root().cert_pem.write_to_path(str(root))
    port = free_port()
    options = ("--tls-port", f"{port}", "--tls-auth-clients", "no", "--tls-ca-cert-file", f"{root}")
    with RedisServer(tmp_path / "redis", *options, "--tls-cert-file", f"{certificate}", "--tls-key-file", f"{key}"):
        url = f"rediss://{HOST}:{port}/0"
        assert await refused(Settings(url)) == "its certificate is not trusted"
        async with connected(f"{url}?ssl_ca_certs={root}") as connection:
            assert await connection.ask("ECHO", "sealed") == b"sealed"
        told = await refused(Settings(f"{url}?ssl_ca_certs=/nowhere"), within=0.1)
        assert told == "a file that its URL names does not exist"
        async with connected(f"{url}?ssl_cert_reqs=none") as connection:
            assert await connection.client().ping()
        assert await refused(Settings(f"redis://{HOST}:{port}", timeout=0.01), within=0.1) == "it closed the connection"


async def test_no_tls_where_it_is_asked_for(redis_server: RedisServer) -> None:
    told = await refused(Settings(f"rediss://{HOST}:{redis_server.port}"), within=0.1)
    assert told == "no answer in time"


async def test_a_socket_of_the_file_system(tmp_path: Path) -> None:
    path = tmp_path / "redis.sock"
    assert await refused(Settings(f"unix://{path}"), within=0.1) == "a file that its URL names does not exist"
    with RedisServer(tmp_path / "redis", "--unixsocket", f"{path}"):
        async with connected(f"unix://{path}?db=3") as connection:
            assert await connection.ask("ECHO", "by file") == b"by file"


@pytest.mark.parametrize(
    ("url", "place"),
    [
        (f"redis://user:{SECRET}@redis.example:7000/4", "redis.example:7000/4"),
        (f"rediss://:{SECRET}@redis.example", "redis.example:6379/0"),
        (f"unix://user:{SECRET}@/run/redis.sock?db=2", "/run/redis.sock/2"),
    ],
    ids=["redis", "rediss", "unix"],
)
def test_where_it_is_without_who_we_are(url: str, place: str) -> None:
    settings = Settings(url, username=SECRET, password=SECRET)
    assert settings.place == place
    assert SECRET not in repr(settings)


def test_settings_from_the_config() -> None:
    store = Store.model_construct(url="redis://a", username="u", password=SECRET, timeout=0.1, shared=5)
    assert Settings.of(store) == Settings("redis://a", "u", SECRET, 0.1, stored=5)
    with pytest.raises(ValueError, match="not in Redis"):
        Settings.of(Store.model_construct(url=None))
