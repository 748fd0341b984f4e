"""Which nodes have died that single refreshes are left of."""

from collections.abc import Collection

from gateway.fleet.connection import Unreachable
from gateway.fleet.enlisting import HEARTBEAT
from gateway.fleet.nodes import Nodes
from gateway.jobs.owning import NOBODY
from gateway.ports import Clock


class Missing:
    """A node is `dead` once it has been missed for as long as a heartbeat lasts, and Redis was there all the time.

    While Redis is ill everybody's heartbeat ends.
    """

    def __init__(self, nodes: Nodes, clock: Clock) -> None:
        self._nodes = nodes
        self._clock = clock
        self._since: dict[int, float] = {}
        self.dead: frozenset[int] = frozenset()

    async def look(self, owners: Collection[int]) -> bool:
        """Whether any of them is dead. To be asked every second or so. Raises Unreachable."""
        try:
            alive = await self._nodes.alive() if owners else set[int]()
        except Unreachable:
            self._since.clear()
            raise
        now = self._clock.steady()
        self._since = {node: self._since.get(node, now) for node in owners if node not in alive}
        self.dead = frozenset([node for node, since in self._since.items() if _is_dead(node, now - since)])
        return bool(self.dead)


def _is_dead(node: int, missed: float) -> bool:
    return node == NOBODY or missed >= HEARTBEAT
