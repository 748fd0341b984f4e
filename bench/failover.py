"""What a failure of Redis loses, by its settings, and what is lost for good once the nodes have put back their part.

`python -m bench.failover` starts Redis on a socket, charges there as a gateway does, kills it without warning, and
holds the charges that were answered against those that Redis has when it is back. A power cut is another matter: it
takes what the kernel had not written by then as well.
"""

import asyncio
import subprocess
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from struct import unpack_from
from time import sleep
from typing import cast

from redis import Redis, RedisError

from bench.processes import HOST, free_port
from gateway.admission.charge import Quote
from gateway.admission.outcomes import Outcome
from gateway.admission.patterns import PathPattern
from gateway.admission.snapshot import Account, Plan, Price, Route
from gateway.clock import SystemClock
from gateway.errors import Problem
from gateway.fleet import names
from gateway.fleet.connection import Connection
from gateway.fleet.link import Link
from gateway.fleet.log import Log
from gateway.fleet.recovery import Recovery
from gateway.fleet.settings import Settings
from gateway.ledger.follower import Follower
from gateway.roster import Roster
from gateway.till.meter import RedisMeter

CALLERS = 64
SECONDS = 4.0
SETTINGS = {
    "nothing is saved": [],
    "RDB, a snapshot every second": ["--save", "1 1"],
    "AOF everysec": ["--appendonly", "yes", "--appendfsync", "everysec"],
    "AOF always": ["--appendonly", "yes", "--appendfsync", "always"],
    "a replica is promoted": [],
}

ACCOUNT = Account("ci", "acme", Plan("unlimited"), "ci")
ROUTE = Route(
    "product", "*", PathPattern.parse("/{x}"), None, "api", public=False, send_credentials=True, price=Price(1)
)
QUOTE = Quote(1, lines=(("base", 1),))


class Server:
    """A Redis on a socket in a folder of its own."""

    def __init__(self, folder: Path, options: list[str]) -> None:
        folder.mkdir(parents=True)
        self.socket = folder / "socket"
        self.port = free_port()
        place = ["--bind", HOST, "--port", str(self.port), "--unixsocket", str(self.socket), "--dir", str(folder)]
        nothing = ["--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0"]
        self._command = ["redis-server", *place, *nothing, *options]
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        self.client = Redis(unix_socket_path=str(self.socket))
        while True:
            try:
                self.client.ping()
                return
            except RedisError:
                sleep(0.01)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@dataclass(slots=True)
class Load:
    """What the callers were told."""

    answered: int = 0
    refused: int = 0

    async def call(self, meter: RedisMeter, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while loop.time() < end:
            try:
                await meter.charge(ACCOUNT, ROUTE, QUOTE, Outcome.hit)
                self.answered += 1
            except Problem:
                self.refused += 1
                await asyncio.sleep(0.05)


@dataclass(slots=True, frozen=True)
class Told:
    """Tokens that were charged before the failure as callers know it, and as Redis has it after."""

    answered: int
    known: int

    @property
    def lost(self) -> int:
        """Those that Redis knows nothing of; below zero where it has charged what was refused."""
        return self.answered - self.known


async def measured(folder: Path, name: str, *, put_back: bool) -> Told:
    """One run: charges for `SECONDS` in which Redis fails half-way, with the nodes' records put back or not."""
    first = Server(folder / "first", SETTINGS[name])
    servers = [first]
    address = folder / "address"
    address.symlink_to(first.socket)
    if promoted := name == "a replica is promoted":
        servers.append(Server(folder / "second", ["--replicaof", f"{HOST} {first.port}"]))
    async with AsyncExitStack() as opened:
        for server in servers:
            opened.callback(server.kill)
        clock = SystemClock()
        connection = await Connection.open(Settings(f"unix://{address}"), clock)
        opened.push_async_callback(connection.close)
        recovery, log = Recovery(connection), Log(connection)
        if put_back:
            follower = await Follower.open(folder / "node", connection, recovery, clock)
            opened.push_async_callback(follower.close)
        else:
            connection.before_up(recovery.agree)
            await recovery.agree()
        link = Link(connection, log, clock, 0.05)
        link.open()
        opened.push_async_callback(link.close)
        meter = RedisMeter(link, connection, clock)
        meter.configure(Roster.of([ACCOUNT], "UTC"))
        load = Load()
        callers = [asyncio.create_task(load.call(meter, SECONDS)) for _ in range(CALLERS)]
        await asyncio.sleep(SECONDS / 2)
        await asyncio.to_thread(fail, servers, address, promoted=promoted)
        before = load.answered
        await asyncio.gather(*callers)
        return Told(before, charged(servers[-1]) - (load.answered - before))


def fail(servers: list[Server], address: Path, *, promoted: bool) -> None:
    """Kill Redis, and bring back what there is."""
    servers[0].kill()
    if promoted:
        servers[1].client.replicaof("NO", "ONE")
        following = address.with_name("following")
        following.symlink_to(servers[1].socket)
        following.replace(address)
    else:
        servers[0].start()


def charged(server: Server) -> int:
    """Tokens charged, as Redis has it."""
    balance = cast("bytes | None", server.client.get(names.balance(names.shard("acme"), "ci")))
    # The second of its doubles.
    return 0 if balance is None else int(unpack_from(">d", balance, 8)[0])


def main() -> None:
    """Print a line for each setting."""
    print(f"{'':38}{'answered':>10}{'lost':>10}{'with the nodes:':>20}{'lost':>10}")
    for name in SETTINGS:
        with tempfile.TemporaryDirectory() as folder:
            alone = asyncio.run(measured(Path(folder) / "alone", name, put_back=False))
            nodes = asyncio.run(measured(Path(folder) / "nodes", name, put_back=True))
        print(f"{name:38}{alone.answered:10}{alone.lost:10}{nodes.answered:20}{nodes.lost:10}")


if __name__ == "__main__":
    main()
