"""TLS from outside: real clients, certificates replaced under load, and those who never finish a handshake."""

import asyncio
import json
import os
import signal
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from http.client import HTTPException, HTTPSConnection
from pathlib import Path

import httpx
import pytest
import requests
from support import certificates
from support.addresses import HOST
from support.config import KEY, Config, config, key_field, route
from support.gateway import RunningGateway
from support.polling import PATIENCE, eventually
from support.scripts import Gate, json_answer
from support.tools import skip_unless_tool
from support.upstream import ScriptedUpstream
from support.wire import Connection, exchange

pytestmark = pytest.mark.slow

AUTHORIZED = f"Authorization: Bearer {KEY}"
HEAD_TIMEOUT = 2.0


class Secured(RunningGateway):
    """A gateway with TLS on its clients' port: the files are in a folder of its own."""

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def readiness(self, port: int, target: str) -> int | None:
        if port != self.port:
            return super().readiness(port, target)
        connection = HTTPSConnection(HOST, port, timeout=PATIENCE, context=certificates.trusting())
        with closing(connection), suppress(OSError, HTTPException):
            connection.request("GET", target)
            with connection.getresponse() as reply:
                return reply.status
        return None

    def shows(self) -> bytes:
        """The certificate on a new connection."""
        raw = socket.create_connection(self.address, PATIENCE)
        with certificates.trusting().wrap_socket(raw, server_hostname="localhost") as wire:
            found = wire.getpeercert(binary_form=True)
        assert found is not None
        return found


def secured(upstream: ScriptedUpstream) -> Config:
    routes = (route("/v1/{id}", "v1", cache="1h", price=1), route("/pass/{id}", "pass"))
    limits = {"head_timeout": f"{HEAD_TIMEOUT:g}s", "connections_per_address": 5000}
    return config(upstream.url, *routes, tls={"cert": "tls/tls.crt", "key": "tls/tls.key"}, limits=limits)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, origin: ScriptedUpstream) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("secured")
    (folder / "tls").mkdir()
    certificates.place(folder / "tls", certificates.issued())
    started = Secured(folder, secured(origin))
    with started:
        yield started


CURL = ("-sS", "--fail", "--noproxy", "*", "-H", AUTHORIZED, "--cacert")


def by_requests(url: str, root: Path) -> object:
    return requests.get(url, headers=key_field(), verify=str(root), timeout=PATIENCE).json()


def by_httpx(url: str, root: Path) -> object:
    context = ssl.create_default_context(cafile=str(root))
    with httpx.Client(verify=context, trust_env=False, timeout=PATIENCE) as client:
        return client.get(url, headers=key_field()).json()


def by_curl(url: str, root: Path) -> object:
    return printed([skip_unless_tool("curl"), *CURL, str(root), url])


def by_curl_with_tls_1_2(url: str, root: Path) -> object:
    return printed([skip_unless_tool("curl"), "--tls-max", "1.2", *CURL, str(root), url])


def by_node(url: str, root: Path) -> object:
    script = f"fetch({url!r}, {{headers: {key_field()}}}).then(r => r.json()).then(b => console.log(JSON.stringify(b)))"
    return printed([skip_unless_tool("node"), "-e", script], NODE_EXTRA_CA_CERTS=str(root))


def printed(command: list[str], **environ: str) -> object:
    ended = subprocess.run(command, env=os.environ | environ, capture_output=True, check=True, timeout=PATIENCE)
    return json.loads(ended.stdout)


CLIENTS: list[Callable[[str, Path], object]] = [by_requests, by_httpx, by_curl, by_curl_with_tls_1_2, by_node]


def test_the_libraries_of_clients_get_their_answers(running: Secured, origin: ScriptedUpstream, tmp_path: Path) -> None:
    root = tmp_path / "root.pem"
    certificates.root().cert_pem.write_to_path(str(root))
    origin.script("/v1/1", json_answer({"a": 1}))
    origin.script("/pass/0", json_answer({"a": 0}))
    for ask in CLIENTS:
        assert ask(f"{running.url}/v1/1", root) == {"a": 1}, ask.__name__
    assert len(origin.calls("/v1/1")) == 1
    by_httpx(f"{running.url}/pass/0", root)
    (received,) = origin.calls("/pass/0")
    assert (received.field("X-Forwarded-Proto"), received.field("X-Forwarded-Host")) == (
        "https",
        f"localhost:{running.port}",
    )
    metrics = running.metrics()
    assert metrics.total("gateway_requests_total", cache="hit") == len(CLIENTS) - 1
    expires = metrics.value("gateway_tls_certificate_expiry_timestamp_seconds")
    assert expires == certificates.ENDS.timestamp()


class Load:
    """Callers without end, each on connections of its own, of which it asks twice."""

    def __init__(self, running: Secured) -> None:
        self._running = running
        self._over = False
        self.asked = 0

    async def __aenter__(self) -> "Load":
        self._callers = [asyncio.create_task(self._call()) for _ in range(8)]
        await self.goes_on()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over = True
        await asyncio.gather(*self._callers)

    async def goes_on(self) -> None:
        """Return once each caller has begun with a connection from now on, and ended with it."""
        enough = self.asked + 4 * len(self._callers)
        while self.asked < enough:
            for caller in self._callers:
                if caller.done():
                    caller.result()
            await asyncio.sleep(0.005)

    async def _call(self) -> None:
        while not self._over:
            async with await Connection.open(self._running.address, certificates.trusting()) as connection:
                for _ in range(2):
                    connection.request("GET", "/v1/2", AUTHORIZED)
                    assert (await connection.answer()).status == 200
                    self.asked += 1


async def test_certificates_are_replaced_under_load(running: Secured, origin: ScriptedUpstream) -> None:
    """One file after the other, and by a link that comes to lead to another folder."""
    origin.script("/v1/2", json_answer({"a": 1}))
    folder, former = running.folder / "tls", running.shows()

    def reloaded_well() -> bool:
        return running.metrics().value("gateway_config_last_reload_successful") == 1

    async def until(condition: Callable[[], bool]) -> None:
        await asyncio.to_thread(eventually, condition)

    async with Load(running) as load:
        second = certificates.issued()
        certificates.replaced(folder / "tls.crt", certificates.chain(second))
        await until(lambda: not reloaded_well())
        assert await asyncio.to_thread(running.shows) == former
        certificates.replaced(folder / "tls.key", certificates.key(second))
        await until(lambda: running.shows() == certificates.der(second))
        assert reloaded_well()
        for number in range(4):
            following = certificates.issued()
            elsewhere = running.folder / f"tls-{number}"
            elsewhere.mkdir()
            certificates.place(elsewhere, following)
            link = running.folder / "link"
            link.symlink_to(elsewhere.name)
            if not folder.is_symlink():
                folder.rename(running.folder / "former")
            link.replace(folder)
            await until(lambda leaf=following: running.shows() == certificates.der(leaf))  # type: ignore[misc]
            await load.goes_on()
    assert "is not the key of the certificate" in running.log
    assert load.asked > 100


async def test_those_who_never_finish_a_handshake_keep_nobody_out(running: Secured, origin: ScriptedUpstream) -> None:
    origin.script("/v1/3", json_answer({"a": 1}))
    before = len(running.log.splitlines())
    hello = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        certificates.trusting().wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost").do_handshake()
    begun = hello.read()
    async with asyncio.timeout(PATIENCE):
        halves = [await asyncio.open_connection(*running.address) for _ in range(600)]
        for number, (_, writer) in enumerate(halves):
            writer.write(begun[: number % len(begun)])
        async with await Connection.open(running.address, certificates.trusting()) as connection:
            connection.request("GET", "/v1/3", AUTHORIZED)
            assert (await connection.answer()).status == 200
        for reader, writer in halves:
            with suppress(ConnectionError):
                await reader.read()
            writer.close()
    assert len(running.log.splitlines()) < before + 9, running.log


async def test_who_asks_in_plain_text_is_told(running: Secured) -> None:
    found = await exchange(running.address, b"GET /v1/1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (found.status, found.json()["reason"]) == (400, "malformed_request")
    assert "https" in found.json()["detail"]


async def test_it_drains(running: Secured, origin: ScriptedUpstream) -> None:
    """Those who idle are closed at once, what is under way is answered, and the process ends with 0."""
    gate = Gate()
    origin.script("/pass/1", gate, json_answer({"a": 1}))
    with ExitStack() as stack:
        for _ in range(20):
            raw = stack.enter_context(socket.create_connection(running.address, PATIENCE))
            context = certificates.trusting()
            stack.enter_context(await asyncio.to_thread(context.wrap_socket, raw, server_hostname="localhost"))
        async with await Connection.open(running.address, certificates.trusting()) as connection:
            connection.request("GET", "/pass/1", AUTHORIZED)
            await origin.arrived("/pass/1")
            running.process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(eventually, lambda: running.readiness(running.admin_port, "/readyz") == 503)
            gate.open()
            assert (await connection.answer()).json() == {"a": 1}
        assert await asyncio.to_thread(running.ended) == 0
    running.start()


def test_a_pair_that_does_not_fit_is_a_bad_start(tmp_path: Path, origin: ScriptedUpstream) -> None:
    (tmp_path / "tls").mkdir()
    certificates.place(tmp_path / "tls", certificates.issued())
    certificates.replaced(tmp_path / "tls" / "tls.key", certificates.key(certificates.issued()))
    ended = Secured(tmp_path, secured(origin)).refused()
    (line,) = ended.output.splitlines()
    assert (ended.status, "tls.key" in line, "is not the key of the certificate" in line) == (2, True, True)
