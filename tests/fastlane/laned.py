"""The fast lane over a real pipeline, ledger and cache, on the test's clock, asked by clients that have no sockets."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from admission.snapshots import digest, make_snapshot
from fastlane.parsing import parsed
from multidict import CIMultiDict
from support.in_process import Got, Way, received, way

from gateway.admission.memo import Memo
from gateway.admission.prepare import Preparer
from gateway.admission.prepared import Prepared
from gateway.admission.snapshot import Account, Plan, Route, Snapshot
from gateway.answering import Answering
from gateway.fastlane.cashier import AtOnce
from gateway.fastlane.heads import Heads
from gateway.fastlane.lane import FastLane
from gateway.fastlane.planning import Planning
from gateway.lookup import Live
from gateway.messages import Answer, Request
from gateway.roster import Roster

ADDRESS = "192.0.2.1"
_MOMENT = 1 / 1024
ALPHA, BRAVO, CHARLIE = "rk_live_alpha", "rk_live_bravo", "rk_live_charlie"
UNLIMITED = Plan("unlimited")
ACCOUNTS: Mapping[str, Account] = {
    ALPHA: Account("alpha", "acme", UNLIMITED, "alpha"),
    BRAVO: Account("bravo", "acme", UNLIMITED, "bravo"),
    CHARLIE: Account("charlie", "umbrella", UNLIMITED, "charlie"),
}
"""Two accounts of one organization, and one of another."""


def bearer(key: str) -> str:
    """The field line that carries `key`."""
    return f"Authorization: Bearer {key}"


@dataclass
class Client:
    """A connection as the lane sees it."""

    address: str
    ends: bool = False
    sent: list[bytes] = field(default_factory=list)
    declined: list[bytes] = field(default_factory=list)
    served: list[tuple[Coroutine[Any, Any, Answer], bool]] = field(default_factory=list)
    failed: int = 0

    def send(self, message: bytes) -> None:
        self.sent.append(message)

    def decline(self, data: bytes) -> None:
        self.declined.append(data)

    def serve(self, answering: Coroutine[Any, Any, Answer], *, bodiless: bool) -> None:
        self.served.append((answering, bodiless))

    def fail(self) -> None:
        self.failed += 1


class Counting(Preparer):
    """Counts what it is asked for."""

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__(snapshot)
        self.times = 0

    def prepare(self, request: Request, account: Account | None = None) -> Prepared:
        self.times += 1
        return super().prepare(request, account)


class Laned:
    """The full lane `way` and the fast one beside it, both by the same config; `keys` may be changed (`changed`)."""

    def __init__(self, way: Way, snapshot: Snapshot, room: int) -> None:
        self.way = way
        self.clock = way.clock
        self.keys = dict(snapshot.keys)
        snapshot = replace(snapshot, keys=self.keys)
        way.meter.configure(Roster.of(snapshot.keys.values(), snapshot.timezone))
        self.preparer = Counting(snapshot)
        self.memo = Memo(self.preparer, snapshot.trusted_proxies)
        self.live = way.pipeline.live = Live(snapshot, self.memo, {"api": way.upstream})
        self.heads = Heads(snapshot, way.meter.seat, room)
        self.planning = Planning(self.live, self.preparer, way.cache, Answering(way.clock), way.watch, room, 8 << 10)
        self.lane = FastLane(
            self.heads, self.planning, AtOnce(way.meter, way.ledger), way.pipeline.go_on, way.watch, way.clock
        )

    async def ask(self, data: bytes, address: str = ADDRESS) -> Got | None:
        """The fast lane's answer, None where it leaves `data` to the full one."""
        (answer,) = await self.ask_at_once((data,), address)
        return answer

    async def ask_at_once(self, heads: tuple[bytes, ...], address: str = ADDRESS) -> list[Got | None]:
        """As `ask`, by a client each, all in one turn; a moment after what was before, so that it may hold a while."""
        self.clock.advance(_MOMENT)
        clients = [Client(address) for _ in heads]
        for client, data in zip(clients, heads, strict=True):
            assert self.lane.take(client, data)
        async with asyncio.timeout(20):
            while not all(client.sent or client.declined or client.served for client in clients):  # noqa: ASYNC110
                await asyncio.sleep(0)
        for client, data in zip(clients, heads, strict=True):
            assert (len(client.sent), client.declined, len(client.served)) in ((1, [], 0), (0, [data], 0), (0, [], 1))
            for answering, _ in client.served:
                answering.close()
        return [read(client.sent[0]) if client.sent else None for client in clients]

    async def ask_full(self, data: bytes, address: str = ADDRESS) -> Got:
        """The full lane's answer; the fast one learns from what aiohttp's parser made of `data`."""
        message = parsed(data)
        self.lane.learn(Client(address), data, message)
        request = Request(message.method, message.path, message.headers, address)
        answer = await self.way.pipeline.handle(request)
        answer.bodiless = message.method == "HEAD"
        return await received(answer)

    async def hit(self, data: bytes, address: str = ADDRESS) -> Got | None:
        """The fast lane's answer to what the full one has answered before; None where it still leaves it to that."""
        await self.ask_full(data, address)
        return await self.ask(data, address)

    def changed(self, key: str, account: Account | None, of: Account) -> None:
        """Let `key` stand for `account` or for nobody, as the app does it when keys of the account `of` change."""
        self.keys.pop(digest(key.encode()), None)
        if account is not None:
            self.keys[digest(key.encode())] = account
        self.memo.forget(of.id)
        self.way.meter.enroll(account or of)

    def charged(self, key: str) -> int:
        """Tokens that the account of `key` has spent."""
        return self.way.ledger.accounts.balance(ACCOUNTS[key].holder).charged


def read(message: bytes) -> Got:
    """A message as its client has it."""
    head, _, body = message.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    fields = CIMultiDict([(name, value) for name, _, value in (line.partition(": ") for line in lines)])
    return Got(int(status.split(" ")[1]), fields, body)


@asynccontextmanager
async def laned(
    folder: Path, *routes: Route, accounts: Mapping[str, Account] = ACCOUNTS, room: int = 8 << 20, **changes: Any
) -> AsyncIterator[Laned]:
    """Both lanes; `accounts` by their keys, `changes` as for `make_snapshot`."""
    keys = {digest(key.encode()): account for key, account in accounts.items()}
    async with way(folder, *routes) as running:
        yield Laned(running, make_snapshot(*routes, keys=keys, **changes), room)
