"""The fleet's rounds in Redis: one stream, in which each entry says which one it comes after."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.fleet import names
from gateway.fleet.connection import Connection, Unreachable
from gateway.fleet.script import Script
from gateway.jobs.replica import Round, Standing

# Rounds that one reply brings, and one that has been waited for; and bytes from which on it brings no further one.
_MOST, _MOST_FOLLOWED, _MOST_BYTES = 256, 16, 256 * 1024

_ROUND = Script("jobs_round")


class Apart(Exception):
    """The fleet's rounds do not go on where this node's register stands."""


@dataclass(slots=True, frozen=True)
class Asked:
    """One call: `number` is that among the node's calls that ask for something, 0 for one that only looks."""

    number: int = 0
    id: str = ""
    free: bytes = b""
    led: bytes = b""


@dataclass(slots=True, frozen=True)
class Told:
    """What a call has learnt: the latest round's `number`, whether the leader's batch was `taken`, the next `rounds`.

    `since` counts the rounds that the latest copy does not have, and `heavier` says that they weigh more than it.
    """

    number: int
    taken: bool
    since: int
    heavier: bool
    rounds: tuple[Round, ...]


class Rounds:
    """One node's way to them; `node` is its own word, which no other process ever has."""

    def __init__(self, connection: Connection, node: str, light: int) -> None:
        self._connection = connection
        self._call = names.jobs_call(node)
        self._light = light

    async def ask(self, standing: Standing, asked: Asked, token: str) -> Told:
        """Put what is asked for behind all rounds there are, and learn of those that come after `standing`.

        Raises Unreachable, and it may have been put there or not; Apart, and it has not.
        """
        keys = (names.EPOCH, names.JOBS_HEAD, names.JOBS, self._call)
        told = (asked.number, asked.id, asked.free, token, asked.led, _MOST, _MOST_BYTES)
        arguments = (self._connection.server, standing.number, standing.id, *told)
        status, *reply = await self._connection.run(_ROUND, keys, arguments)
        match bytes(status):
            case b"done":
                return self._told(*reply)
            case b"apart":
                raise Apart
            case other:
                raise Unreachable(other.decode())

    async def follow(self, after: int, seconds: float) -> tuple[Round, ...]:
        """The next rounds after that number, none after so many seconds. Raises Unreachable."""
        found = await self._connection.follow({names.JOBS: f"{after}-0"}, _MOST_FOLLOWED, seconds)
        return tuple([_round(*entry) for _, entries in found for entry in entries])

    def _told(self, number: int, taken: int, since: int, weight: int, copy: int, entries: Sequence[Any]) -> Told:
        heavier = weight > max(self._light, copy)
        return Told(number, bool(taken), since, heavier, tuple([_returned(*entry) for entry in entries]))


def _returned(id_: bytes, fields: Sequence[bytes]) -> Round:
    """An entry as a script returns it: names and values one after the other."""
    return _round(id_.decode(), dict(zip(fields[::2], fields[1::2], strict=True)))


def _round(id_: str, fields: Mapping[bytes, bytes]) -> Round:
    number = int(id_.partition("-")[0])
    return Round(number, fields[b"r"].decode(), fields[b"p"].decode(), fields[b"f"], fields[b"l"])
