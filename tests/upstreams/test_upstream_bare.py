"""Exchanges without content: the head as it goes out, which connections are used again, and when they are closed."""

import asyncio
import re

import pytest
from multidict import CIMultiDict
from support.polling import eventually
from support.scripts import Gate, answer, head
from support.upstream import ScriptedUpstream
from upstreams.clients import client, whole

from gateway.messages import Outgoing
from gateway.upstreams import bare
from gateway.upstreams.bare import Site


def get(target: str, *fields: tuple[str, str]) -> Outgoing:
    return Outgoing("GET", target, CIMultiDict(fields))


async def test_the_fields_go_out_in_their_order_behind_host(upstream: ScriptedUpstream) -> None:
    fields = (("X-B", "1"), ("X-A", "grüße"), ("X-B", "2"))
    async with client(upstream.url) as to:
        await whole(await to.upstream.send(get("/a", *fields)))
    host, *others = upstream.requests[0].fields
    assert host == ("Host", upstream.url.removeprefix("http://"))
    assert [(name, value.encode("latin-1").decode()) for name, value in others] == list(fields)


async def test_a_validator_goes_back_as_the_bytes_it_came_in(upstream: ScriptedUpstream) -> None:
    """RFC 9110 §8.8.3: an entity tag may hold any of them."""
    async with client(upstream.url) as to:
        await whole(await to.upstream.send(get("/a", ("If-None-Match", '"\udce9\udcff"'))))
    assert upstream.requests[0].field("If-None-Match") == '"\xe9\xff"'


@pytest.mark.parametrize(
    ("given", "sent"),
    [((), "Basic dXNlcjpwYXNz"), ((("authorization", "Bearer ours"),), "Bearer ours")],
    ids=["the URL's", "the fields'"],
)
async def test_credentials_in_the_url(
    upstream: ScriptedUpstream, given: tuple[tuple[str, str], ...], sent: str
) -> None:
    async with client(upstream.url.replace("//", "//user:pass@")) as to:
        await whole(await to.upstream.send(get("/a", *given)))
    assert upstream.requests[0].field("Authorization") == sent


async def test_a_host_of_the_configs_replaces_the_urls(upstream: ScriptedUpstream) -> None:
    async with client(upstream.url) as to:
        await whole(await to.upstream.send(get("/a", ("Host", "other.example"))))
    assert [value for name, value in upstream.requests[0].fields if name.lower() == "host"] == ["other.example"]


@pytest.mark.parametrize("text", ["a\r\nX-B: b", "a\nX-B: b", "a\rX-B: b", "a\0"], ids=["CRLF", "LF", "CR", "NUL"])
@pytest.mark.parametrize("place", ["target", "name", "value"])
async def test_what_would_be_another_line_is_not_sent(upstream: ScriptedUpstream, text: str, place: str) -> None:
    made = {
        "target": get(f"/{text}"),
        "name": get("/a", (text, "b")),
        "value": get("/a", ("X-A", text)),
    }
    async with client(upstream.url) as to:
        with pytest.raises(ValueError, match=re.escape("CR, LF or NUL")):
            await to.upstream.send(made[place])
        assert await to.get("/b")
    assert [request.target for request in upstream.requests] == ["/b"]


async def test_content_that_came_with_the_head_is_there_at_once(upstream: ScriptedUpstream) -> None:
    upstream.script("/a", answer("all of it"))
    async with client(upstream.url, connections=1) as to:
        stream = await to.send("/a")
        assert stream.whole == b"all of it"
        assert to.counts.exchanges == {"200": 1}
        # Its place and its connection are free though nobody has read it.
        assert await to.get("/b")
        assert await whole(stream) == b"all of it"
    assert upstream.connections == 1


async def test_content_that_is_still_to_come_is_not(upstream: ScriptedUpstream) -> None:
    gate = Gate()
    upstream.script("/a", head(200, "Content-Length: 9"), b"all ", gate, b"of it")
    async with client(upstream.url) as to:
        stream = await to.send("/a")
        assert stream.whole is None
        gate.open()
        assert await whole(stream) == b"all of it"


@pytest.mark.parametrize("size", [100_000, 1 << 20])
async def test_longer_content_is_whole_however_it_comes(upstream: ScriptedUpstream, size: int) -> None:
    upstream.script("/a", answer(b"a" * size))
    async with client(upstream.url) as to:
        assert len(await to.get("/a")) == size
        assert await to.get("/b")


async def test_the_answer_to_a_head_has_a_length_and_no_content(upstream: ScriptedUpstream) -> None:
    upstream.script("/a", head(200, "Content-Length: 9"))
    async with client(upstream.url) as to:
        stream = await to.send("/a", "HEAD")
        assert (stream.length, stream.whole, stream.delimited) == (9, b"", True)
        assert await to.get("/b")
    assert upstream.connections == 1


async def test_other_methods_say_that_they_have_no_content(upstream: ScriptedUpstream) -> None:
    async with client(upstream.url) as to:
        await whole(await to.send("/a", "POST"))
    assert upstream.requests[0].field("Content-Length") == "0"


async def test_a_connection_that_is_to_be_closed_is_not_kept(upstream: ScriptedUpstream) -> None:
    upstream.script("/a", answer("last", Connection="close"))
    async with client(upstream.url) as to:
        assert await to.get("/a") == b"last"
        assert await to.get("/b")
    assert upstream.connections == 2


async def test_the_connection_given_back_last_is_used_first(upstream: ScriptedUpstream) -> None:
    gates = Gate(), Gate()
    for target, gate in zip(("/a", "/b"), gates, strict=True):
        upstream.script(target, gate, answer(target))
    async with client(upstream.url) as to:
        asking = [asyncio.create_task(to.get(target)) for target in ("/a", "/b")]
        await upstream.arrived("/a")
        await upstream.arrived("/b")
        for gate, task in zip(gates, asking, strict=True):
            gate.open()
            await task
        site = sole(to.upstream._sites)
        last = site._idle[-1][0]
        await to.get("/c")
        assert [connection for connection, _ in site._idle][-1] is last
    assert upstream.connections == 2


async def test_a_connection_that_idles_too_long_is_closed(
    upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bare, "_KEPT", 0.0)
    async with client(upstream.url) as to:
        await to.get("/a")
        await asyncio.to_thread(eventually, lambda: upstream.kept == 0)


async def test_one_that_idles_for_a_short_time_is_looked_at_again(upstream: ScriptedUpstream) -> None:
    async with client(upstream.url) as to:
        await to.get("/a")
        site = sole(to.upstream._sites)
        (_, since), before = site._idle[0], site._sweeping
        site._sweep()
        assert site._sweeping is not None
        assert site._sweeping is not before
        assert site._sweeping.when() == pytest.approx(since + bare._KEPT, abs=0.01)
        assert upstream.kept == 1


async def test_one_given_back_after_the_end_is_closed(upstream: ScriptedUpstream) -> None:
    gate = Gate()
    upstream.script("/a", head(200, "Content-Length: 4"), b"be", gate, b"en")
    async with client(upstream.url) as to:
        stream = await to.send("/a")
        site = sole(to.upstream._sites)
        site.close()
        gate.open()
        assert await whole(stream) == b"been"
        assert not site._idle
        await asyncio.to_thread(eventually, lambda: upstream.kept == 0)


def sole(sites: tuple[Site, ...]) -> Site:
    (site,) = sites
    return site
