"""Whatever comes on a connection, in whatever pieces: the same answers with the fast lane as without, in order."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

import pytest
from fastlane.twins import Twin, Twins, kept_open, message
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from support.config import KEY, config, plan, product_route, route
from support.wire import DEADLINE
from support.wire import Connection as Wire

pytestmark = pytest.mark.slow

SLOW = "rk_live_slow_0123456789abcdefghijkl"
WHOLE = config(
    "http://origin.example",
    product_route(),
    route("/plain/{id}", "plain", cache="60s"),
    route("/uncached/{id}", "uncached", price=2),
    keys=[{"id": "alpha", "key": KEY, "plan": "ample"}, {"id": "slow", "key": SLOW, "plan": "slow"}],
    plans={"ample": plan(10**9, "month"), "slow": plan(100, "month", throttle={"rate": "3/s", "burst": 3})},
    log={"sample": {"hit": "all"}},
)
CLOSE = b"Connection: close\r\n"


def ask(target: str, *lines: str, key: str = KEY, method: str = "GET", body: str = "") -> bytes:
    head = [f"{method} {target} HTTP/1.1", "Host: gateway", f"Authorization: Bearer {key}", *lines, "", body]
    return "\r\n".join(head).encode()


HITS = [
    ask("/v1/products/1"),
    ask("/v1/products/1", "Accept-Encoding: gzip"),
    ask("/v1/products/1", method="HEAD"),
    ask("/v1/products/1?include_offers=true"),
    ask("/plain/1"),
    ask("/plain/1", "X-Request-Id: mine"),
    ask("/plain/1", key=SLOW),
]
# `{}` is the example's own number.
OTHERS = [
    ask("/plain/{}"),
    ask("/v1/products/{}"),
    ask("/plain/1", 'If-None-Match: "a"'),
    ask("/plain/1", "Cache-Control: no-cache"),
    ask("/nowhere"),
    ask("/plain/1", key="rk_live_nobody"),
    ask("/-/livez"),
    ask("/v1/products/1/refresh", "Content-Length: 0", method="POST"),
    ask("/v1/products/{}/refresh", "Content-Length: 5", method="POST", body="a\r\n\r\n"),
    ask("/plain/1", "Content-Length: 5", body="GET /"),
    ask("/uncached/1", "Content-Length: 7", method="POST", body='{"a":1}'),
    b"\r\n" + ask("/plain/1"),
]
ENDS = [ask("/plain/1", "Connection: close"), ask("/uncached/1", "Connection: close")]
MALFORMED = b"GET /plain/1 HTTP/1.1\r\n: a\r\n\r\n"
ANSWERED = -1


@dataclass(frozen=True)
class Part:
    """A request, sent once so many turns have passed since the one before; 0 right behind it, in one piece with it.

    ANSWERED: when all before it are answered. At `cut`, where there is one, it is sent in two pieces.
    """

    request: bytes
    turns: int
    cut: float | None


@dataclass(frozen=True)
class Talk:
    """What one client sends. The last part ends the connection, or, where `half`, it half-closes after it."""

    parts: Sequence[Part]
    half: bool


streamed = [request for request in OTHERS if b"/uncached" in request]
buffered = st.sampled_from(HITS) | st.sampled_from(HITS) | st.sampled_from([r for r in OTHERS if r not in streamed])
turns = st.sampled_from([ANSWERED, ANSWERED, 0, 1, 2, 5, 20])
cut = st.none() | st.none() | st.floats(0, 1)


def parts(requests: st.SearchStrategy[bytes]) -> st.SearchStrategy[Part]:
    return st.builds(Part, requests, turns, cut)


def ended(parts_: Sequence[Part], last: Part) -> Talk:
    return Talk([*parts_, last], half=False)


several = st.lists(parts(buffered | st.sampled_from(streamed)), max_size=8)
hits = st.lists(parts(st.sampled_from(HITS)), max_size=8)
# What is malformed behind content counts as that content's fault where it is seen before that is used.
talks = (
    st.builds(ended, several, parts(st.sampled_from(ENDS)))
    # Whole, as nobody reads the rest of it, which would reset the connection.
    | st.builds(ended, hits, st.builds(Part, st.just(MALFORMED), turns, st.none()))
    | st.builds(Talk, st.lists(parts(buffered), min_size=1, max_size=8), st.just(True))
)


class Client:
    """Says its talk, and keeps all that it gets."""

    def __init__(self, wire: Wire, number: int) -> None:
        self.got = b""
        self._wire = wire
        self._number = b"%d" % number
        self._written = b""
        self._open: list[bool] = []

    async def say(self, part: Part) -> None:
        request = part.request.replace(b"{}", self._number)
        if part.turns:
            await self._pass(part.turns)
        if part.cut is not None:
            at = round(part.cut * len(request))
            self._written += request[:at]
            await self._pass(abs(part.turns))
            request = request[at:]
        self._written += request
        self._open.append(part.request.lstrip().startswith(b"HEAD"))

    async def end(self, *, half: bool) -> None:
        self._write()
        if half:
            self._wire.finish()
        async with asyncio.timeout(DEADLINE):
            self.got += await self._wire.reader.read()

    async def _pass(self, turns: int) -> None:
        self._write()
        for _ in range(turns):
            await asyncio.sleep(0)
        if turns == ANSWERED:
            for bodiless in self._open:
                self.got += await message(self._wire, bodiless=bodiless)
            self._open = []

    def _write(self) -> None:
        self._wire.send(self._written)
        self._written = b""


async def held(twin: Twin, talk: Talk, number: int) -> bytes:
    """All that the client gets."""
    async with await twin.connect() as wire:
        client = Client(wire, number)
        for part in talk.parts:
            await client.say(part)
        await client.end(half=talk.half)
    got = twin.plain(client.got)
    # Which answer says so depends on when the end is seen.
    return got.replace(CLOSE, b"") if talk.half else got


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def both(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twins]:
    async def taught(both: Twins) -> None:
        for head in HITS:
            await both.exchange(head)

    with kept_open(runner, tmp_path_factory.mktemp("twins"), WHOLE) as both:
        runner.run(taught(both))
        yield both


numbers = count(2)


def test_any_talk(runner: asyncio.Runner, both: Twins) -> None:
    # No shrinking: what an example did to the books stays, and nothing is equal any more after a failure.
    @settings(max_examples=80, phases=[Phase.explicit, Phase.generate])
    @given(talk=talks, passed=st.floats(0, 3))
    def compared(talk: Talk, passed: float) -> None:
        async def compare() -> None:
            both.clock.advance(passed)
            number = next(numbers)
            got = [await held(twin, talk, number) for twin in both]
            assert got[0] == got[1]
            await both.assert_equal()

        runner.run(compare())

    before = len(both.fast.sent)
    compared()
    # The lane took its part.
    assert len(both.fast.sent) > before
    assert not both.full.sent
