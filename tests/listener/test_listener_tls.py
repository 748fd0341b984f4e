"""TLS on the listener: what is agreed on, which certificate is shown, and how connections end."""

import asyncio
import ssl
from typing import Any

import pytest
import structlog
from listener.doors import Source, door, echo, target, text, until
from listener.encrypted import LAST, REQUEST, Bare, Blocking, always, on_uvloop, shown
from listener.lanes import FAST, StubLane
from structlog.testing import capture_logs
from support.certificates import ENDS, der, encrypted, issued, key, place, replaced, trusting

from gateway.config.certificates import Validity
from gateway.config.paths import Tls
from gateway.config.schema import Limits
from gateway.errors import BadStart
from gateway.listener.tls import encryption, tell
from gateway.messages import Request


@on_uvloop
async def test_a_request_is_answered_and_says_that_it_came_encrypted(tls: Tls) -> None:
    async with door(target, await shown(tls)) as opened, await opened.connect(trusting()) as client:
        for _ in range(2):
            client.request("GET", "/a")
            assert (await client.answer()).body == b"/a"
        client.request("GET", "/-/livez")
        assert (await client.answer()).body == b"ok\n"
    assert [(request.scheme, request.peer) for request in opened.pipeline.requests] == [("https", "127.0.0.1")] * 2


@pytest.mark.parametrize(
    ("version", "ciphers", "agreed"),
    [
        (ssl.TLSVersion.TLSv1_3, None, "TLSv1.3"),
        (ssl.TLSVersion.TLSv1_2, None, "TLSv1.2"),
        (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-GCM-SHA256", "TLSv1.2"),
        (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-SHA256", None),
        (ssl.TLSVersion.TLSv1_2, "AES128-GCM-SHA256", None),
    ],
    ids=["1.3", "1.2", "authenticated", "cbc", "no forward secrecy"],
)
@on_uvloop
async def test_what_is_agreed_on(tls: Tls, version: ssl.TLSVersion, ciphers: str | None, agreed: str | None) -> None:
    context = trusting()
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1"])
    if ciphers is not None:
        context.set_ciphers(ciphers)
    async with door(target, await shown(tls)) as opened:
        if agreed is None:
            with pytest.raises((ssl.SSLError, OSError)):
                await Blocking.to(opened, context)
        else:
            with await Blocking.to(opened, context) as client:
                wire = client.wire
                assert (wire.version(), wire.selected_alpn_protocol(), wire.compression()) == (agreed, "http/1.1", None)
        await opened.empty()


async def test_older_versions_and_renegotiation_are_off(tls: Tls) -> None:
    context = (await shown(tls)).context
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_RENEGOTIATION


@on_uvloop
async def test_the_fast_lane_is_asked(tls: Tls) -> None:
    async with door(target, await shown(tls)) as opened, await opened.connect(trusting()) as client:
        opened.listener.lane = StubLane(b"fast")
        for _ in range(3):
            client.send(FAST)
            assert (await client.answer()).body == b"fast"
        assert not opened.pipeline.requests


@on_uvloop
async def test_large_content_passes_both_ways(tls: Tls) -> None:
    content = bytes(range(256)) * (1 << 14)
    async with door(echo, await shown(tls)) as opened, await opened.connect(trusting()) as client:
        client.request("POST", "/a", f"Content-Length: {len(content)}", body=content)
        assert (await client.answer()).body == content


@on_uvloop
async def test_another_certificate_is_for_connections_from_then_on(tls: Tls) -> None:
    async with door(target, await shown(tls)) as opened, await opened.connect(trusting()) as former:
        other = issued()
        place(tls.cert.parent, other)
        with capture_logs() as logs:
            opened.listener.configure(Limits(), (), await shown(tls))
            opened.listener.configure(Limits(), (), await shown(tls))
        assert [line["event"] for line in logs] == ["certificate shown"]
        with await Blocking.to(opened) as client:
            assert client.wire.getpeercert(binary_form=True) == der(other)
        former.request("GET", "/a")
        assert (await former.answer()).body == b"/a"


@on_uvloop
async def test_an_answer_that_is_the_last_ends_with_a_close_notify(tls: Tls) -> None:
    """Else a client could not tell the end from an attacker's."""
    async with door(always(text(b"x" * (4 << 20))), await shown(tls)) as opened:
        with await Blocking.to(opened) as client:
            await client.send(LAST)
            assert (await client.all()).endswith(b"x" * (4 << 20))
        await opened.empty()


@on_uvloop
async def test_a_stream_that_breaks_ends_without_one(tls: Tls) -> None:
    source = Source((b"abc", RuntimeError("broken")))

    async def respond(request: Request) -> Any:
        return source.answer()

    async with door(respond, await shown(tls)) as opened, await opened.connect(trusting()) as client:
        client.request("GET", "/a")
        assert not (await client.answer()).complete


@on_uvloop
async def test_a_slow_reader_is_cut_off(tls: Tls) -> None:
    async with door(always(text(b"x" * (32 << 20))), await shown(tls), write_timeout=0.2) as opened:
        with await Blocking.to(opened) as client:
            await client.send(REQUEST)
            await until(lambda: opened.pipeline.requests)
            await opened.empty()
            with pytest.raises((ssl.SSLError, OSError)):
                await client.all()


@on_uvloop
async def test_a_client_that_closes_is_gone_though_its_answer_is_owed(
    tls: Tls, caplog: pytest.LogCaptureFixture
) -> None:
    """TLS closes both directions; what the client began runs to its end."""
    gate, ended = asyncio.Event(), asyncio.Event()

    async def respond(request: Request) -> Any:
        await gate.wait()
        ended.set()
        return text(b"late")

    async with door(respond, await shown(tls)) as opened, await Bare.to(opened) as client:
        client.begin()
        await client.take()
        client.writer.write(client.due(client.tls.do_handshake))
        client.writer.write(client.due(lambda: client.tls.write(REQUEST * 20)) + client.due(client.tls.unwrap))
        await opened.pipeline.arrived.wait()
        await client.ended()
        gate.set()
        await ended.wait()
        await opened.empty()
    assert not caplog.records


@on_uvloop
async def test_draining_does_not_wait_for_a_client_that_idles(tls: Tls) -> None:
    """It has no reason to look whether the gateway would like to close, and says nothing to it."""
    async with door(target, await shown(tls), write_timeout=60) as opened:
        with await Blocking.to(opened) as client:
            await client.send(REQUEST)
            await until(lambda: opened.pipeline.requests)
            async with asyncio.timeout(20):
                await opened.listener.drain()
            assert (await client.all()).endswith(b"/a")


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("tls.key", None, "tls.key: {key} cannot be read: No such file or directory"),
        ("tls.crt", None, "tls.cert: {cert} cannot be read: No such file or directory"),
        ("tls.key", b"", "tls.key: {key} holds no private key that can be read"),
        ("tls.key", key(issued()), "tls.key: {key} is not the key of the certificate in `tls.cert`"),
        (
            "tls.key",
            encrypted(key(issued())),
            "tls.key: {key} is encrypted: nobody is there to type the passphrase",
        ),
    ],
    ids=["no key", "no certificate", "empty", "another", "encrypted"],
)
async def test_files_that_changed_since_they_were_checked(
    tls: Tls, name: str, content: bytes | None, told: str
) -> None:
    path = tls.cert.parent / name
    if content is None:
        path.unlink()
    else:
        replaced(path, content)
    with pytest.raises(BadStart) as caught:
        await encryption(tls)
    assert str(caught.value) == told.format(cert=tls.cert, key=tls.key)


async def test_nothing_is_shown_without_the_setting() -> None:
    assert await encryption(None) is None


async def test_it_tells_when_the_certificate_expires(tls: Tls) -> None:
    assert (await shown(tls)).valid.ends == ENDS.timestamp()


@pytest.mark.parametrize(
    ("now", "level", "event"),
    [
        (9.0, "warning", "certificate not valid now"),
        (10.0, "info", "certificate shown"),
        (86399.0, "info", "certificate shown"),
        (86400.0, "warning", "certificate not valid now"),
    ],
)
def test_one_that_clients_refuse_is_a_warning(now: float, level: str, event: str) -> None:
    with capture_logs() as logs:
        tell(structlog.get_logger(), Validity(10.0, 86400.0), now)
    assert logs == [{"event": event, "log_level": level, "expires": "1970-01-02T00:00:00+00:00"}]
