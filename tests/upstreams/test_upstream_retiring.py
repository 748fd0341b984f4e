"""An upstream that the config no longer names: its exchanges end, then its connections close."""

import asyncio

from support.polling import eventually
from support.scripts import Gate, answer, head
from support.upstream import ScriptedUpstream
from upstreams.clients import client, whole


async def disconnected(upstream: ScriptedUpstream) -> None:
    # Sooner than a connection that idles is closed anyway.
    await asyncio.to_thread(eventually, lambda: upstream.kept == 0, 8.0)


async def test_one_at_rest_closes_its_connections_at_once(upstream: ScriptedUpstream) -> None:
    async with client(upstream.url) as to:
        await to.get("/a")
        assert upstream.kept == 1
        await to.upstream.retire()
        await disconnected(upstream)


async def test_one_that_was_never_asked_has_nothing_to_close(upstream: ScriptedUpstream) -> None:
    async with client(upstream.url) as to:
        await to.upstream.retire()
        assert upstream.connections == 0


async def test_it_waits_for_what_is_under_way(upstream: ScriptedUpstream) -> None:
    gate, later = Gate(), Gate()
    upstream.script("/asked", gate, answer("head and all"))
    upstream.script("/begun", head(200, "Content-Length: 4"), b"be", later, b"en")
    async with client(upstream.url) as to:
        begun = await to.send("/begun")
        asked = asyncio.create_task(to.get("/asked"))
        await upstream.arrived("/asked")
        retiring = asyncio.create_task(to.upstream.retire())
        gate.open()
        assert await asked == b"head and all"
        assert not retiring.done()
        later.open()
        assert await whole(begun) == b"been"
        await retiring


async def test_what_fails_does_not_keep_it(upstream: ScriptedUpstream) -> None:
    upstream.script("/a", b"SMTP\r\n\r\n")
    async with client(upstream.url) as to:
        failing = asyncio.create_task(to.get("/a"))
        await upstream.arrived("/a")
        retiring = asyncio.create_task(to.upstream.retire())
        await asyncio.gather(failing, return_exceptions=True)
        await retiring


async def test_a_request_that_began_before_is_still_sent(upstream: ScriptedUpstream) -> None:
    gate = Gate()
    upstream.script("/held", gate, answer("held"))
    async with client(upstream.url) as to:
        held = asyncio.create_task(to.get("/held"))
        await upstream.arrived("/held")
        retiring = asyncio.create_task(to.upstream.retire())
        await asyncio.sleep(0)
        gate.open()
        assert await held == b"held"
        late = [asyncio.create_task(to.get("/late")) for _ in range(5)]
        await retiring
        assert len(await asyncio.gather(*late)) == 5
        assert await to.get("/later")
        await disconnected(upstream)
