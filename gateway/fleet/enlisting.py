"""What a node asks of a Redis it has connected to: whether it will do, and a place in the fleet."""

import re
from collections.abc import Iterator, Mapping
from uuid import uuid4

from gateway.fleet import names
from gateway.fleet.failures import CLUSTER, LOADING, STRANGE, Unreachable
from gateway.fleet.script import Script
from gateway.fleet.wire import Wire

BEAT = 1.0
"""Seconds between two heartbeats of a node."""

HEARTBEAT = 3.0
"""Seconds after its last heartbeat that a node counts as alive."""

_PARTS = (b"server", b"memory", b"persistence")
_OLDEST = (6, 2)
_ENLIST = Script("enlist")


class Unfit(Exception):
    """This Redis will not do, however long one waits; the message says why."""


class Membership:
    """A node's place in the fleet. `incarnation` is its number, 0 before the first; `server` the Redis's run id.

    `doubts` are what may go wrong with that Redis, where stored responses take up to `stored` bytes.
    """

    def __init__(self, stored: int = 0) -> None:
        self.incarnation = 0
        self.server = ""
        self.doubts: tuple[str, ...] = ()
        self._stored = stored
        self._word = uuid4().hex

    async def begin(self, wire: Wire, within: float) -> None:
        """Look whether the Redis will do, and enlist. Raises Unfit, Unreachable, Refused."""
        info = {name: value for part in _PARTS for name, value in told(await wire.ask((b"INFO", part), within)).items()}
        if (reason := unfit(info)) is not None:
            raise Unfit(reason)
        if info.get("loading") == "1":
            # Until it has read its append-only file it says that it has none.
            raise Unreachable(LOADING)
        self.doubts = tuple(doubtful(info, self._stored))
        await self.beat(wire, within)
        self.server = info["run_id"]

    async def beat(self, wire: Wire, within: float) -> None:
        """Renew the heartbeat; where a failover gave the number to another node, take a new one. Raises as `begin`."""
        keys = (names.VERSION, names.INCARNATIONS, names.NODES, names.node(self.incarnation))
        arguments = (names.LAYOUT, self._word, self.incarnation, round(HEARTBEAT * 1000), names.NODE)
        match await wire.run(_ENLIST, keys, arguments, within):
            case [bytes() as layout, int() as incarnation]:
                _check(layout.decode(errors="replace"))
                self.incarnation = incarnation
            case _:
                raise Unreachable(STRANGE)


def _check(layout: str) -> None:
    if layout != names.LAYOUT:
        raise Unfit(f"its data has layout {layout[:20]!r}, and this version needs {names.LAYOUT!r}")


def unfit(info: Mapping[str, str]) -> str | None:
    """What of a Redis's INFO forbids to use it, None where nothing does."""
    version = info.get("redis_version", "")
    if not info.get("run_id"):
        return "its INFO does not tell a run_id"
    if info.get("redis_mode") == "cluster":
        return CLUSTER
    if info.get("redis_mode") == "sentinel":
        return "it is a Sentinel, and not a Redis"
    if tuple(int(number) for number in re.findall(r"\d+", version)[:2]) < _OLDEST:
        return f"it is version {version or 'unknown'}, and 6.2 is the oldest that will do"
    if info.get("maxmemory", "0") != "0" and info.get("maxmemory_policy", "").startswith("allkeys-"):
        policy = info["maxmemory_policy"]
        return f"its maxmemory-policy {policy} would throw balances away; set volatile-lru or noeviction"
    return None


def doubtful(info: Mapping[str, str], stored: int) -> Iterator[str]:
    """What of a Redis's INFO may cost balances or answers one day, where stored responses may take `stored` bytes."""
    room, policy = int(info.get("maxmemory", "0")), info.get("maxmemory_policy", "")
    if info.get("aof_enabled") == "0":
        yield "appendonly is off: a Redis that dies forgets the latest charges; set appendonly yes"
    if not room and policy.startswith("allkeys-"):
        yield f"with a maxmemory its maxmemory-policy {policy} would throw balances away; set volatile-lru"
    if 0 < room <= stored and policy == "noeviction":
        yield "its maxmemory is no more than store.shared, and full it refuses all charges; set volatile-lru"


def told(info: object) -> dict[str, str]:
    """The members of an answer to INFO. Raises Unreachable for what is none."""
    if not isinstance(info, bytes):
        raise Unreachable(STRANGE)
    lines = (line.partition(":") for line in info.decode(errors="replace").splitlines())
    return {name: value for name, colon, value in lines if colon}
