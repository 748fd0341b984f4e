"""What the vendor charges for a call (`upstreams.*.cost`): read from its answer, recorded on whoever caused it.

One call, one spend: of collapsed requests the one that began the fetch has it, of the gateway's own fetches and of the
public's the house account. Nothing here fails an answer.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import structlog

from gateway.admission.prepared import Prepared
from gateway.admission.snapshot import UpstreamPolicy
from gateway.answers.cost import Untold, told
from gateway.messages import Response, Stream
from gateway.settlement import Settlement

_ON_LOOP = 64 * 1024
# Of content that passes through; held once for each of the upstream's connections (`upstreams.*.limits`) at most.
_MOST_OVERHEARD = 256 * 1024


class Costs:
    """Records what answers tell; what they do not tell is logged once for each route and cause."""

    def __init__(self, settlement: Settlement) -> None:
        self._settlement = settlement
        self._named: set[tuple[str, Untold]] = set()
        self._log = structlog.get_logger("gateway.costs")

    async def record(self, prepared: Prepared, policy: UpstreamPolicy, answer: Response, *, ours: bool = False) -> None:
        """The cost of the call that brought a whole answer; `ours`: the call was the gateway's own."""
        if not policy.cost or not answer.body:
            return
        cost = await _told(answer, policy.cost)
        if isinstance(cost, Untold):
            self._untold(prepared, answer.status, cost)
        else:
            self._settlement.spend(prepared, cost, ours=ours)

    def overheard(self, prepared: Prepared, policy: UpstreamPolicy, stream: Stream) -> Stream:
        """The stream, whose cost is recorded when all of its content has passed."""
        if not policy.cost or prepared.request.method == "HEAD":
            return stream
        if stream.length is not None and stream.length > _MOST_OVERHEARD:
            self._untold(prepared, stream.status, Untold.too_large)
            return stream
        return replace(stream, chunks=self._overhear(prepared, policy, stream))

    async def _overhear(self, prepared: Prepared, policy: UpstreamPolicy, stream: Stream) -> AsyncIterator[bytes]:
        parts: list[bytes] = []
        size = 0
        async for chunk in stream.chunks:
            size += len(chunk)
            if size <= _MOST_OVERHEARD:
                parts.append(chunk)
            else:
                parts.clear()
            yield chunk
        if size > _MOST_OVERHEARD:
            self._untold(prepared, stream.status, Untold.too_large)
        else:
            await self.record(prepared, policy, Response(stream.status, stream.reason, stream.fields, b"".join(parts)))

    def _untold(self, prepared: Prepared, status: int, why: Untold) -> None:
        """Of errors nobody expects that they tell a cost."""
        route = prepared.route
        if 200 <= status < 300 and (route.name, why) not in self._named:
            self._named.add((route.name, why))
            self._log.warning("vendor cost not recorded", route=route.name, upstream=route.upstream, reason=why.value)


async def _told(answer: Response, path: tuple[str, ...]) -> int | Untold:
    if answer.status == 206:
        # Its client chose where it begins: a part may be an object with a member of that name by itself.
        return Untold.part
    coding = ", ".join(answer.fields.getall("Content-Encoding", ()))
    if coding or len(answer.body) > _ON_LOOP:
        return await asyncio.to_thread(told, answer.body, coding, path)
    return told(answer.body, coding, path)
