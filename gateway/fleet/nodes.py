"""Who else is in the fleet, and who has died."""

from gateway.fleet import names
from gateway.fleet.connection import Connection
from gateway.fleet.enlisting import HEARTBEAT
from gateway.fleet.script import Script
from gateway.ports import Clock

_NODES = Script("nodes")


class Nodes:
    """The nodes by incarnation, as one of them sees them.

    All heartbeats expire while Redis is frozen or gone: so a node counts as dead only when it has been missed for as
    long as a heartbeat lasts, in which this node could ask Redis all the time.
    """

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock
        self._missed = dict[int, float]()
        connection.listen(self._changed)

    async def alive(self) -> set[int]:
        """Who has a heartbeat, this node included. Raises Unreachable."""
        return (await self._look())[0]

    async def dead(self) -> set[int]:
        """Who has none any more and has not come back; to be asked every second or so. Raises Unreachable.

        They stay dead until they are forgotten.
        """
        _, gone = await self._look()
        now = self._clock.steady()
        self._missed = {incarnation: self._missed.get(incarnation, now) for incarnation in gone}
        return {incarnation for incarnation, since in self._missed.items() if now - since >= HEARTBEAT}

    async def forget(self, incarnation: int) -> None:
        """A dead one has left nothing that is still to be done; its last call stays known. Raises Unreachable."""
        await self._connection.ask(b"SREM", names.NODES, incarnation)

    async def _look(self) -> tuple[set[int], set[int]]:
        alive, gone = await self._connection.run(_NODES, [names.NODES], [names.NODE])
        return set(alive), set(gone)

    def _changed(self, up: bool) -> None:
        if not up:
            self._missed.clear()
