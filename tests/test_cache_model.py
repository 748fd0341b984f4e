"""Any sequence of requests, unsafe ones among them, against an origin that answers late: what is served, for what."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from admission.snapshots import seed_route
from aiocache import SimpleMemoryCache
from hypothesis import example, given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict
from support.in_process import Got, Way, way

from gateway.admission.snapshot import CachePolicy, ClientDirectives
from gateway.errors import Problem, Reason
from gateway.messages import Outgoing, Stream
from gateway.rfc9111.stored import Policy
from gateway.stores.second import AiocacheTier
from gateway.stores.selection import Everything, Selection, of_prefix, of_route, of_url

pytestmark = pytest.mark.slow

SIZE = 20
TARGETS = ("/v1/products/1", "/v1/products/1?x=1")
TURNS = 5
FORCE = "force_refresh=1"

_ROUTES = {
    "ttl": CachePolicy(Policy(ttl=60.0, stale_if_error=600.0), client_directives=ClientDirectives.price),
    "ttl-swr": CachePolicy(Policy(ttl=60.0, stale_while_revalidate=30.0), client_directives=ClientDirectives.price),
    "pure": CachePolicy(Policy(), client_directives=ClientDirectives.price),
}
_ANSWERS: tuple[dict[str, str], ...] = (
    {},
    {"Cache-Control": "max-age=60"},
    {"Cache-Control": "max-age=60, stale-while-revalidate=60, stale-if-error=600"},
    {"Cache-Control": "max-age=60, must-revalidate", "Vary": "Accept"},
    {"Cache-Control": "no-cache"},
    {"Cache-Control": "no-store"},
    {"Cache-Control": "max-age=60", "Set-Cookie": "a=b"},
    {"Cache-Control": "max-age=60", "Vary": "Accept", "Cache-Groups": '"g"'},
)
_FIELDS: tuple[dict[str, str], ...] = (
    {},
    {},
    {"Accept": "a/a"},
    {"Cache-Control": "no-cache"},
    {"Cache-Control": "max-age=0"},
    {"Cache-Control": "no-store"},
    {"Cache-Control": "only-if-cached"},
    {"Cache-Control": "max-stale"},
    {"Range": "bytes=0-9"},
    {"Range": "bytes=10-"},
    {"If-None-Match": '"1"'},
)

asks = st.tuples(
    st.just("ask"), st.sampled_from(("GET", "GET", "HEAD", "force")), st.sampled_from(TARGETS), st.sampled_from(_FIELDS)
)
unsafe: st.SearchStrategy[tuple[Any, ...]] = st.tuples(
    st.just("ask"), st.sampled_from(("PUT", "POST")), st.sampled_from(TARGETS), st.just({})
)
releases = st.tuples(
    st.just("release"), st.integers(0, 5), st.sampled_from(("answer", "answer", "answer", "503", "reset"))
)
advances = st.tuples(st.just("advance"), st.sampled_from((0.5, 20.0, 70.0)))
answers = st.tuples(st.just("origin"), st.sampled_from(_ANSWERS))
purges = st.tuples(st.just("purge"), st.sampled_from(("url", "prefix", "route", "everything")), st.booleans())
_ASK: tuple[Any, ...] = ("ask", "GET", TARGETS[0], {})
_ANSWERED = ("release", 0, "answer")
steps = st.lists(
    st.one_of(asks, asks, asks, unsafe, releases, releases, releases, advances, answers, purges), max_size=40
)


@dataclass
class Held:
    """An exchange that the origin has begun: what it found on arrival is what it will say."""

    outgoing: Outgoing
    version: int
    fields: dict[str, str]
    outcome: "asyncio.Future[str]"


@dataclass
class Origin:
    """Its content is a version, one digit or letter over and over, which each unsafe request raises."""

    version: int = 1
    fields: dict[str, str] = field(default_factory=dict)
    held: list[Held] = field(default_factory=list)
    calls: int = 0
    open_doors: bool = False

    async def send(self, outgoing: Outgoing) -> Stream:
        self.calls += 1
        held = Held(outgoing, self.version, dict(self.fields), asyncio.get_running_loop().create_future())
        self.held.append(held)
        if self.open_doors:
            held.outcome.set_result("answer")
        outcome = await held.outcome
        if outcome == "reset":
            if outgoing.method in ("PUT", "POST"):
                self.version += 1
            raise Problem(Reason.upstream_truncated)
        if outcome == "503":
            return _stream(503, {}, b"")
        if outgoing.method in ("PUT", "POST"):
            self.version += 1
            said = (
                {"Cache-Control": "max-age=60", "Content-Location": outgoing.target}
                if outgoing.method == "POST"
                else {}
            )
            return _stream(200, said | {"ETag": f'"{self.version}"'}, _content(self.version))
        return _said(held)

    async def room(self) -> None:
        pass

    async def close(self) -> None:
        pass


def _content(version: int) -> bytes:
    return bytes([48 + version]) * SIZE


def _said(held: Held) -> Stream:
    etag = f'"{held.version}"'
    fields = {**held.fields, "ETag": etag}
    asked = held.outgoing.fields
    if asked.get("If-None-Match") == etag:
        return _stream(304, fields, b"")
    content = _content(held.version)
    if held.outgoing.method == "HEAD":
        return _stream(200, fields, b"", length=SIZE)
    if "Range" in asked:
        first, _, last = asked["Range"].removeprefix("bytes=").partition("-")
        end = int(last) if last else SIZE - 1
        return _stream(206, {**fields, "Content-Range": f"bytes {first}-{end}/{SIZE}"}, content[int(first) : end + 1])
    return _stream(200, fields, content)


def _stream(status: int, fields: dict[str, str], content: bytes, length: int | None = None) -> Stream:
    async def chunks() -> AsyncIterator[bytes]:
        if content:
            yield content

    async def close() -> None:
        pass

    size = len(content) if length is None else length
    return Stream(status, "Said", CIMultiDict({**fields, "Content-Length": str(size)}), chunks(), close, size)


@dataclass
class Asked:
    """A request and what held when it was made: `least` is the version that every answered write had reached.

    What was there before the versions `purged` and `gone` must not be fresh, or be there at all.
    """

    method: str
    target: str
    fields: dict[str, str]
    least: int
    purged: int
    gone: int
    task: "asyncio.Task[Got]"


class Model:
    """Plays the steps and judges the answers."""

    def __init__(self, running: Way, origin: Origin) -> None:
        self.running = running
        self.origin = origin
        self.asked: list[Asked] = []
        self.judged: list[Asked] = []
        self.written = 1
        self.purged: dict[str, int] = {}
        self.gone: dict[str, int] = {}

    async def play(self, step: tuple[Any, ...]) -> None:
        match step:
            case ("ask", method, target, fields):
                joint = "&" if "?" in target else "?"
                sent = f"{target}{joint}{FORCE}" if method == "force" else target
                task = self.running.asking(sent, "GET" if method == "force" else method, fields)
                since = self.purged.get(target, 0), self.gone.get(target, 0)
                self.asked.append(Asked(method, target, fields, self.written, *since, task))
            case ("release", place, outcome):
                if self.origin.held:
                    self.origin.held.pop(place % len(self.origin.held)).outcome.set_result(outcome)
            case ("advance", seconds):
                self.running.clock.advance(seconds)
            case ("origin", fields):
                self.origin.fields = fields
            case ("purge", by, hard):
                await self.purge(by, hard)
            case _:
                raise AssertionError(step)
        await self.rest()

    async def purge(self, by: str, hard: bool) -> None:
        """Also the origin's content is another from now on, which nobody but the operator has told."""
        snapshot = self.running.live.snapshot
        selections: dict[str, Selection] = {
            "url": of_url(snapshot, TARGETS[0]),
            "prefix": of_prefix(snapshot, TARGETS[0]),
            "route": of_route(snapshot, "product"),
            "everything": Everything(),
        }
        self.origin.version += 1
        await self.running.cache.purge(selections[by], hard=hard)
        for target in TARGETS[:1] if by == "url" else TARGETS:
            self.purged[target] = self.origin.version
            if hard:
                self.gone[target] = self.origin.version

    async def rest(self) -> None:
        for _ in range(40):
            await asyncio.sleep(0)
        for asked in [asked for asked in self.asked if asked.task.done()]:
            self.asked.remove(asked)
            self.judge(asked, asked.task.result())

    async def end(self) -> None:
        self.origin.open_doors = True
        for held in self.origin.held:
            if not held.outcome.done():
                held.outcome.set_result("answer")
        async with asyncio.timeout(20):
            await asyncio.gather(*(asked.task for asked in self.asked))
        await self.rest()

    def judge(self, asked: Asked, got: Got) -> None:
        self.judged.append(asked)
        told = (asked.method, asked.target, asked.fields, got.status, dict(got.fields), got.body)
        if asked.method in ("PUT", "POST"):
            # Answered or not, what it changed must not be hidden by what was stored before.
            self.written = max(self.written, _version(got) if got.status < 400 else self.written)
            return
        if got.status < 400:
            assert _version(got) >= asked.least, told
            assert set(got.body) <= {48 + _version(got)}, told
            assert _version(got) >= asked.gone, told
            assert _version(got) >= asked.purged or _is_stale(got), told
        self.judge_price(asked, got, told)

    def judge_price(self, asked: Asked, got: Got, told: object) -> None:
        tokens = got.tokens[0]
        if got.status >= 500:
            assert tokens == 0, told
            return
        if got.cache.hit or got.cache.detail in ("stale-if-error", "disconnected"):
            assert tokens == 1, told
        elif asked.method == "force" or got.cache.fwd == "request":
            assert tokens == 4, told
        else:
            assert tokens == (4 if "no-store" in asked.fields.get("Cache-Control", "") else 1) or (
                tokens == 4 and "Cache-Control" in asked.fields
            ), told


def _is_stale(got: Got) -> bool:
    return int(got.cache.parameters.get("ttl", 1)) <= 0


def _version(got: Got) -> int:
    return int(got.fields["ETag"].strip('W/"'))


async def _play(folder: Path, cache: CachePolicy, second: bool, script: list[tuple[Any, ...]]) -> None:
    tier = AiocacheTier(SimpleMemoryCache(), None) if second else None
    async with way(folder, seed_route(methods=None, cache=cache), second=tier) as running:
        origin = Origin()
        running.live.upstreams["api"] = origin  # type: ignore[index]
        model = Model(running, origin)
        for step in script:
            await model.play(step)
        await model.end()
        await running.settled()
        tokens = sum(asked.task.result().tokens[0] for asked in model.judged)
        assert running.balance.charged == tokens
        assert origin.calls <= (TURNS + 1) * len(model.judged)


@pytest.mark.parametrize("second", [False, True], ids=["memory", "two-tiers"])
@pytest.mark.parametrize("cache", _ROUTES.values(), ids=_ROUTES)
def test_any_sequence(cache: CachePolicy, second: bool) -> None:
    @settings(max_examples=40, deadline=None)
    @given(steps)
    @example([_ASK, _ANSWERED, ("purge", "url", False), _ASK])
    @example([_ASK, _ANSWERED, ("purge", "route", True), _ASK])
    @example([_ASK, ("purge", "prefix", False), _ASK, _ANSWERED, _ANSWERED])
    def check(script: list[tuple[Any, ...]]) -> None:
        with TemporaryDirectory() as folder:
            asyncio.run(_play(Path(folder), cache, second, script))

    check()
