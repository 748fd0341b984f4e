"""Planning: what is remembered is looked at anew as far as it may change, and forgotten before it takes too much."""

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import randbytes

import pytest
from admission.snapshots import KEY, TTL, make_snapshot, seed_route
from fastlane.laned import ACCOUNTS, ADDRESS, ALPHA, BRAVO, Client, Laned, bearer, laned
from fastlane.parsing import head, parsed
from multidict import CIMultiDict, CIMultiDictProxy
from support.in_process import Scripted

from gateway.admission.snapshot import Account
from gateway.answering import Answering
from gateway.fastlane.heads import Heads
from gateway.fastlane.plan import What
from gateway.fastlane.planning import Planning
from gateway.fastlane.who import Who
from gateway.ledger.balance import Balance
from gateway.ledger.seat import Seat
from gateway.rfc9111.stored import Policy
from gateway.stores.selection import Everything

pytestmark = pytest.mark.slow

JSON = {"Content-Type": "application/json"}
TARGET = "/v1/products/1"
ASKED = head(f"GET {TARGET}", bearer(ALPHA))
ROOM = 1 << 18


async def test_what_is_known_is_prepared_once(tmp_path: Path) -> None:
    async with laned(tmp_path, seed_route()) as lanes:
        assert await lanes.hit(ASKED) is not None
        asked = lanes.preparer.times
        for _ in range(5):
            lanes.clock.advance(1.3)
            assert await lanes.ask(ASKED) is not None
        assert lanes.preparer.times == asked


@pytest.mark.parametrize(
    ("query", "lines"),
    [
        ("?force_refresh=1", []),
        ("", ["If-None-Match: *"]),
        ("", ["Cache-Control: no-store"]),
        ("", ["X-Max-Tokens: 9"]),
    ],
    ids=["forced", "if", "demand", "most"],
)
async def test_what_is_always_the_full_lanes_is_prepared_for_that_alone(
    tmp_path: Path, query: str, lines: list[str]
) -> None:
    async with laned(tmp_path, seed_route()) as lanes:
        await lanes.ask_full(ASKED)
        data = head(f"GET {TARGET}{query}", bearer(ALPHA), *lines)
        await lanes.hit(data)
        lanes.memo.forget("alpha")
        asked = lanes.preparer.times
        for _ in range(3):
            assert await lanes.ask(data) is None
        assert lanes.preparer.times == asked


async def test_a_response_that_has_been_replaced_is_not_served_again(tmp_path: Path) -> None:
    async with laned(tmp_path, seed_route()) as lanes:
        assert await lanes.hit(ASKED) is not None
        lanes.way.upstream.then(b'{"new":1}', fields=JSON)
        await lanes.ask_full(head(f"GET {TARGET}?force_refresh=1", bearer(BRAVO)))
        got = await lanes.ask(ASKED)
        assert got is not None
        assert got.body == b'{"new":1}'


async def test_a_response_that_was_put_out_as_it_was_packed_is_not_served_again(tmp_path: Path) -> None:
    async with laned(tmp_path, seed_route(tokens_in_body=True)) as lanes:
        lanes.way.upstream.then(b'{"a":"%b"}' % randbytes(3000).hex().encode(), fields=JSON)
        await lanes.ask_full(ASKED)
        packing = head(f"GET {TARGET}", bearer(ALPHA), "Accept-Encoding: gzip")
        lanes.lane.learn(Client(ADDRESS), packing, parsed(packing))
        lanes.way.cache.resize(lanes.way.cache.stored_bytes + 100)
        # So that neither Age nor ttl is about to become another one.
        lanes.clock.advance(0.3)
        assert await lanes.ask(packing) is not None
        assert lanes.way.cache.stored_responses == 0
        assert await lanes.ask(packing) is None


async def test_a_response_that_is_outdated_is_not_served(tmp_path: Path) -> None:
    async with laned(tmp_path, seed_route()) as lanes:
        other = head(f"GET {TARGET}?a=b", bearer(ALPHA))
        assert await lanes.hit(other) is not None
        await lanes.ask_full(head(f"GET {TARGET}?force_refresh=1", bearer(BRAVO)))
        assert await lanes.ask(other) is None


@pytest.mark.parametrize("hard", [True, False], ids=["hard", "soft"])
async def test_a_response_that_is_purged_is_not_served(tmp_path: Path, hard: bool) -> None:
    async with laned(tmp_path, seed_route()) as lanes:
        assert await lanes.hit(ASKED) is not None
        await lanes.way.cache.purge(Everything(), hard=hard)
        assert await lanes.ask(ASKED) is None


async def test_a_response_is_served_until_it_is_stale_and_no_longer(tmp_path: Path) -> None:
    async with laned(tmp_path, seed_route(cache=replace(TTL, policy=Policy(ttl=2.5)))) as lanes:
        assert await lanes.hit(ASKED) is not None
        lanes.clock.advance(2.4)
        assert await lanes.ask(ASKED) is not None
        lanes.clock.advance(0.1)
        assert await lanes.ask(ASKED) is None


async def test_all_that_is_remembered_can_be_given_back(tmp_path: Path) -> None:
    async with laned(tmp_path, seed_route()) as lanes:
        for data in (
            ASKED,
            head("GET /v1/products/2", bearer(ALPHA)),
            head(f"GET {TARGET}", bearer(ALPHA), "Range: x=1"),
        ):
            await lanes.hit(data)
        left = [lanes.lane.shrink(2) for _ in range(20)]
        assert (left[0], left[-1]) == (True, False)
        assert await lanes.ask(ASKED) is None
        assert await lanes.hit(ASKED) is not None


async def test_the_collector_does_not_look_at_what_there_are_many_of(tmp_path: Path) -> None:
    """20,000 keys and 30,000 URLs took it 100 ms."""
    async with laned(tmp_path, seed_route()) as lanes:
        who, memo = who_of(lanes, ASKED), planning(lanes)
        await lanes.way.ask(TARGET)
        what = memo.find(who, b"GET %b HTTP/1.1" % TARGET.encode(), ADDRESS, lanes.clock.steady())
        assert what is not None
        assert not any(map(gc.is_tracked, (who, who.fields, what)))


# How much is remembered.


@contextmanager
def memory() -> Iterator[Callable[[], int]]:
    """A call that says how many bytes more are in use now than at the beginning."""
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]

    def more() -> int:
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before

    try:
        yield more
    finally:
        tracemalloc.stop()


def agent(number: int) -> list[str]:
    return [f"User-Agent: {number}"]


SHAPES: dict[str, Callable[[int], list[str]]] = {
    "agents": agent,
    "traces-oddly-written": lambda number: [f"traceparent:{number}"],
    "long": lambda number: [f"User-Agent: {number}" + "x" * 3800],
    "wide": lambda number: ["User-Agent: \xf0\x9f\x98\x80" + str(number) + "x" * 3700],
    "many": lambda number: [f"X-{field}: {number}" for field in range(60)],
    "empty": lambda number: [f"X{number}-{field}:" for field in range(60)],
    "long-names": lambda number: [f"X{number}{'a' * 3800}: 1"],
}


@pytest.mark.parametrize("lines", SHAPES.values(), ids=SHAPES)
def test_heads_that_are_never_the_same_stay_within_their_room(lines: Callable[[int], list[str]]) -> None:
    """Several generations of them; what a field takes is counted as of the usual ones."""
    seat = Seat(Account("ci", "acme", ACCOUNTS[ALPHA].plan, "ci"), Balance(), None, None)
    heads = Heads(make_snapshot(seed_route()), lambda _: seat, ROOM)
    most = 0
    with memory() as more:
        for number in range(500):
            data = head("GET /", bearer(KEY), *lines(number))
            heads.learn(ADDRESS, data, parsed(data))
            if number % 50 == 0:
                most = max(most, more())
    assert most < ROOM * 5 // 4


@pytest.mark.slow
def test_200_000_heads_stay_within_their_room() -> None:
    """Traced are the last of them, several generations still, as that takes its time."""
    seat = Seat(Account("ci", "acme", ACCOUNTS[ALPHA].plan, "ci"), Balance(), None, None)
    heads, like = Heads(make_snapshot(seed_route()), lambda _: seat, ROOM), parsed(head("GET /", bearer(KEY)))

    def learn(number: int) -> None:
        fields = CIMultiDict([*like.headers.items(), ("User-Agent", str(number))])
        heads.learn(
            ADDRESS, head("GET /", bearer(KEY), *agent(number)), like._replace(headers=CIMultiDictProxy(fields))
        )

    for number in range(199_000):
        learn(number)
    with memory() as more:
        for number in range(199_000, 200_000):
            learn(number)
        assert 0 <= more() < ROOM * 5 // 4


def who_of(lanes: Laned, data: bytes) -> Who:
    lanes.heads.learn(ADDRESS, data, parsed(data))
    who = lanes.heads.known(ADDRESS).get(data[data.find(b"\r\n") :])
    assert who is not None
    return who


def planning(lanes: Laned) -> Planning:
    return Planning(lanes.live, lanes.preparer, lanes.way.cache, Answering(lanes.clock), lanes.way.watch, ROOM, 8 << 10)


CODED = pytest.mark.parametrize(
    ("tokens", "lines"), [(False, []), (True, []), (True, ["Accept-Encoding: gzip"])], ids=["plain", "tokens", "gzip"]
)


async def ask_for(lanes: Laned, memo: Planning, who: Who, number: int, size: int) -> None:
    """Has it fetched, if it is not stored, with content of about so many bytes, and found."""
    lanes.way.upstream.always = Scripted((b'{"a":"%b"}' % randbytes(size // 2).hex().encode(),), fields=JSON)
    await lanes.way.ask(f"/v1/products/{number}")
    assert memo.find(who, b"GET /v1/products/%d HTTP/1.1" % number, ADDRESS, lanes.clock.steady()) is not None


@CODED
@pytest.mark.parametrize(("size", "count"), [(100, 300), (4000, 100), (30_000, 25)])
async def test_hits_on_ever_new_urls_stay_within_their_room(
    tmp_path: Path, size: int, count: int, tokens: bool, lines: list[str]
) -> None:
    """Also where what they answered is stored no longer: what is remembered holds it then, short ones twice."""
    async with laned(tmp_path, seed_route(tokens_in_body=tokens)) as lanes:
        lanes.way.cache.resize(2 * size + 8192)
        who, memo = who_of(lanes, head("GET /", bearer(ALPHA), *lines)), planning(lanes)
        with memory() as more:
            for number in range(count):
                await ask_for(lanes, memo, who, number, size)
            held = more()
            del memo
            assert ROOM // 16 < held - more() < 2 * ROOM


@CODED
async def test_contents_that_grow_stay_within_the_room(tmp_path: Path, tokens: bool, lines: list[str]) -> None:
    """As many as there is room for while they are small, and then all of them at once."""
    async with laned(tmp_path, seed_route(tokens_in_body=tokens, cache=replace(TTL, policy=Policy(ttl=10.0)))) as lanes:
        lanes.way.cache.resize(1 << 16)
        who, memo = who_of(lanes, head("GET /", bearer(ALPHA), *lines)), planning(lanes)
        for number in range(40):
            await ask_for(lanes, memo, who, number, 10)
        lanes.clock.advance(11)
        with memory() as more:
            for number in range(40):
                await ask_for(lanes, memo, who, number, 30_000)
            held = more()
            del memo
            assert held - more() < 2 * ROOM


async def test_variants_of_any_size_beside_a_short_one_stay_within_the_room(tmp_path: Path) -> None:
    """What is remembered held them all, also once the memory tier had long put them out."""
    coded = {"Accept-Encoding": "gzip"}
    async with laned(tmp_path, seed_route(tokens_in_body=False)) as lanes:
        lanes.way.cache.resize(100_000)
        who, memo = who_of(lanes, head("GET /", bearer(ALPHA), "Accept-Encoding: gzip")), planning(lanes)
        with memory() as more:
            for number in range(50):
                lanes.way.upstream.then(randbytes(30_000), fields={"Vary": "Accept-Encoding"})
                await lanes.way.ask(f"/v1/products/{number}")
                lanes.way.upstream.then(b"short", fields={"Vary": "Accept-Encoding", "Content-Encoding": "gzip"})
                await lanes.way.ask(f"/v1/products/{number}", fields=coded)
                line = b"GET /v1/products/%d HTTP/1.1" % number
                assert memo.find(who, line, ADDRESS, lanes.clock.steady()) is not None
            held = more()
            del memo
            assert held - more() < 2 * ROOM


async def test_long_field_sections_of_what_is_stored_stay_within_the_room(tmp_path: Path) -> None:
    async with laned(tmp_path, seed_route()) as lanes:
        lanes.way.cache.resize(16_000)
        who, memo = who_of(lanes, head("GET /", bearer(ALPHA))), planning(lanes)
        with memory() as more:
            for number in range(200):
                policy = {"Content-Security-Policy": randbytes(3000).hex()}
                lanes.way.upstream.then(b'{"a":1}', fields=JSON | policy)
                await lanes.way.ask(f"/v1/products/{number}")
                line = b"GET /v1/products/%d HTTP/1.1" % number
                assert memo.find(who, line, ADDRESS, lanes.clock.steady()) is not None
            held = more()
            del memo
            assert held - more() < 2 * ROOM


@pytest.mark.parametrize(
    "lines",
    [agent, lambda number: [f"X{number}-{field}: {number}" for field in range(55)]],
    ids=["agents", "many-fields"],
)
async def test_everybody_who_asks_for_one_thing_takes_no_more_than_the_room(
    tmp_path: Path, lines: Callable[[int], list[str]]
) -> None:
    """Each field section is another plan."""
    async with laned(tmp_path, seed_route()) as lanes:
        memo = planning(lanes)
        await lanes.way.ask(TARGET)
        with memory() as more:
            for number in range(600):
                who = who_of(lanes, head("GET /", bearer(ALPHA), *lines(number)))
                assert memo.find(who, b"GET %b HTTP/1.1" % TARGET.encode(), ADDRESS, lanes.clock.steady()) is not None
            while lanes.heads.shrink(1 << 20):
                pass
            held = more()
            del memo, who
            assert held - more() < ROOM * 5 // 4


@pytest.mark.parametrize(
    ("line", "keyed", "most"),
    [
        (b"GET /v1/products/%d HTTP/1.1", True, 10_000),
        (b"GET /v1/products/%d?include_offers=1 HTTP/1.1", True, 10_000),
        (b"GET /v1/products/%d HTTP/1.1", False, ROOM),
        (b"GET /elsewhere/%d HTTP/1.1", True, 10_000),
        (b"GET /v1/products/%d#a HTTP/1.1", True, ROOM),
    ],
    ids=["not-stored", "priced", "no-key", "no-route", "malformed"],
)
async def test_what_is_no_hit_takes_nothing_or_little(tmp_path: Path, line: bytes, keyed: bool, most: int) -> None:
    async with laned(tmp_path, seed_route()) as lanes:
        who, memo = who_of(lanes, head("GET /", *([bearer(ALPHA)] if keyed else []))), planning(lanes)
        with memory() as more:
            for number in range(2000):
                assert not isinstance(memo.find(who, line % number, ADDRESS, lanes.clock.steady()), What)
            held = more()
            del memo
            assert held - more() < most
