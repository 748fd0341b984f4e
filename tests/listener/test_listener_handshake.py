"""What a connection is before it is encrypted: counted, under a deadline, and told where it speaks no TLS."""

import asyncio
import ssl

import pytest
from listener.doors import door, target, until
from listener.encrypted import REQUEST, Bare, Blocking, on_uvloop, raced, shown
from structlog.testing import capture_logs
from support.certificates import trusting
from support.wire import exchange

from gateway.config.paths import Tls
from gateway.listener import handshake


async def test_it_is_answered_on_asyncios_own_loop_too(tls: Tls) -> None:
    """Which hands over what is within TLS before it says that TLS stands."""
    async with door(target, await shown(tls)) as opened, await opened.connect(trusting()) as client:
        client.request("GET", "/a")
        assert (await client.answer()).body == b"/a"
        async with await Bare.to(opened) as other:
            assert (await raced(other)).startswith(b"HTTP/1.1 200")


@on_uvloop
async def test_what_comes_with_the_last_of_the_handshake_is_not_lost(tls: Tls) -> None:
    async with door(target, await shown(tls)) as opened, await Bare.to(opened) as client:
        assert (await raced(client)).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("sent", [REQUEST, b"\x80\x2e\x01\x00\x02", b"\x00"], ids=["http", "ssl2", "nul"])
@on_uvloop
async def test_who_speaks_no_tls_is_told(tls: Tls, sent: bytes) -> None:
    async with door(target, await shown(tls)) as opened:
        found = await exchange(opened.address, sent)
        assert (found.status, found.field("Connection"), found.complete) == (400, "close", True)
        await opened.empty()
        assert not opened.pipeline.requests


@on_uvloop
async def test_connections_without_a_handshake_count(tls: Tls) -> None:
    async with door(target, await shown(tls), connections=2, head_timeout=20) as opened:
        async with await Bare.to(opened), await Bare.to(opened) as begun:
            begun.begin()
            await begun.take()
            await until(lambda: opened.listener.census.total == 2)
            async with await Bare.to(opened) as third:
                await third.ended()
            assert opened.listener.census.total == 2
        await opened.empty()
        async with await opened.connect(trusting()) as client:
            client.request("GET", "/a")
            assert (await client.answer()).status == 200
            assert opened.listener.census.total == 1


@pytest.mark.parametrize("begins", [False, True], ids=["silent", "half"])
@on_uvloop
async def test_a_handshake_has_a_deadline(tls: Tls, begins: bool) -> None:
    async with door(target, await shown(tls), head_timeout=0.05) as opened, await Bare.to(opened) as client:
        if begins:
            client.begin()
        await client.ended()
        await opened.empty()


@on_uvloop
async def test_a_handshake_that_fails_is_no_error_of_ours(tls: Tls, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever scans the port could fill the log."""
    strangers = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with capture_logs() as logs:
        async with door(target, await shown(tls)) as opened:
            for broken in (b"\x16\x03\x01\x00\x05hello", b"\x16\x03\x01\x40\x00" + b"\x01" * (1 << 14), b"\x16"):
                async with await Bare.to(opened) as client:
                    client.writer.write(broken)
                    client.writer.write_eof()
                    await client.ended()
            with pytest.raises(ssl.SSLError):
                await Blocking.to(opened, strangers)
            await opened.empty()
    assert {(line["event"], line["log_level"]) for line in logs[1:]} == {("TLS handshake failed", "debug")}
    assert not caplog.records


@on_uvloop
async def test_draining_gives_a_handshake_a_moment(tls: Tls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshake, "_LAST", 0.05)
    async with (
        door(target, await shown(tls), head_timeout=60) as opened,
        await Bare.to(opened),
        await Bare.to(opened) as begun,
    ):
        begun.begin()
        await begun.take()
        await until(lambda: opened.listener.census.total == 2)
        async with asyncio.timeout(20):
            await opened.listener.drain()


@on_uvloop
async def test_a_request_whose_handshake_is_under_way_when_draining_begins_is_answered(tls: Tls) -> None:
    async with door(target, await shown(tls)) as opened, await Bare.to(opened) as client:
        client.begin()
        await client.take()
        draining = asyncio.create_task(opened.listener.drain())
        await until(lambda: opened.listener.draining)
        assert (await raced(client, begun=True)).startswith(b"HTTP/1.1 200")
        await draining
