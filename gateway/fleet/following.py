"""Reading streams as they grow, on connections of their own: a call that waits would hold up all that follow it."""

from collections.abc import Mapping, Sequence

from gateway.fleet.settings import Settings
from gateway.fleet.wire import Part, Wire

Followed = list[tuple[str, list[tuple[str, dict[bytes, bytes]]]]]
"""By stream what is new in it, each entry with its id and its fields; streams without anything new are left out."""


class Followers:
    """As many connections as there are readers at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._wires = set[Wire]()
        self._idle = list[Wire]()

    async def read(self, streams: Mapping[str, str], most: int, block: float) -> Followed:
        """XREAD for `block` seconds. Raises Unreachable and Refused."""
        milliseconds = max(round(block * 1000), 1)
        command: list[Part] = [
            b"XREAD",
            b"COUNT",
            most,
            b"BLOCK",
            milliseconds,
            b"STREAMS",
            *streams,
            *streams.values(),
        ]
        wire = await self._take()
        try:
            reply = await wire.ask(command, block + self._settings.timeout)
            self._idle.append(wire)
        finally:
            # Without the reply nobody else can ask there: Redis answers in order.
            if wire not in self._idle:
                self._wires.discard(wire)
                wire.end()
        return [(stream.decode(), [_entry(*entry) for entry in entries]) for stream, entries in reply or ()]

    def drop(self, reason: str) -> None:
        """End all of them: Redis is gone, or another has taken its place."""
        for wire in self._wires:
            wire.end(reason)
        self._wires.clear()
        self._idle.clear()

    async def close(self) -> None:
        """End all of them, and return once they are closed."""
        wires, self._wires = self._wires, set()
        self._idle.clear()
        for wire in wires:
            await wire.close()

    async def _take(self) -> Wire:
        while self._idle:
            if (wire := self._idle.pop()).is_open:
                return wire
            self._wires.discard(wire)
        wire = await Wire.open(self._settings, self._settings.attempt)
        self._wires.add(wire)
        return wire


def _entry(number: bytes, fields: Sequence[bytes]) -> tuple[str, dict[bytes, bytes]]:
    return number.decode(), dict(zip(fields[::2], fields[1::2], strict=True))
