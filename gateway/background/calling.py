"""Upstream calls of the gateway's own that store nothing: triggers, waits and lists, on the house account."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress

import orjson
from multidict import CIMultiDict

from gateway.admission.background import Json
from gateway.admission.charge import Quote
from gateway.admission.jobs import Sending
from gateway.admission.outcomes import Outcome
from gateway.admission.prepared import Prepared
from gateway.admission.pricing import charges
from gateway.admission.provision import Intent
from gateway.admission.snapshot import Route
from gateway.errors import Problem, Reason
from gateway.fetch import Fetcher
from gateway.lookup import Live
from gateway.messages import Outgoing, Request, Response, Stream
from gateway.meter import HOUSE
from gateway.onward import for_later
from gateway.reading import asked, is_proven, judge, read
from gateway.reservation import Reservation
from gateway.settlement import Settlement
from gateway.watch import Watch

ON_LOOP = 64 * 1024
"""Bytes of content up to which it is parsed on the event loop."""

MOST = 1 << 20
"""Bytes of content that an answer to one of these calls may have, but for lists."""

_ASKING = (("Accept", "application/json"), ("Accept-Encoding", "identity"))


class Calls:
    """One exchange each, reserved before and settled after."""

    def __init__(self, fetcher: Fetcher, settlement: Settlement, watch: Watch) -> None:
        self._buffers = fetcher.buffers
        self._costs = fetcher.costs
        self._settlement = settlement
        self._watch = watch

    async def get(self, route: Route, live: Live, target: str, *, most: int = MOST, background: bool = True) -> bytes:
        """The content that the upstream of `route` has at `target`, in canonical form.

        Raises as `send` does, for any other status than 200 and for content in a coding, which was not asked for.
        """
        response = await self.send(route, live, Sending("GET", target, _ASKING), most=most, background=background)
        if response.status != 200:
            raise Problem(Reason.upstream_error, upstream_status=response.status)
        if response.fields.get("Content-Encoding", "identity").strip().lower() != "identity":
            raise Problem(Reason.upstream_invalid, upstream_status=response.status)
        return response.body

    async def send(
        self, route: Route, live: Live, sending: Sending, *, most: int = MOST, background: bool = True
    ) -> Response:
        """The whole answer to a request, of at most `most` bytes.

        Raises Problem: for transport, with `upstream_status` for what is no answer to it (5xx, credentials, 429), and
        ledger_unavailable before anything is sent.
        """
        prepared = _prepared(route, sending)
        request_id = self._watch.request_id(CIMultiDict(sending.fields))
        outgoing = for_later(route, live.snapshot, sending, request_id, background=background)
        reservation = await self._settlement.reserve_house(prepared)
        try:
            response = await self._exchange(prepared, live, outgoing, most)
        except BaseException as error:
            # A cancellation as well: nothing may stay reserved for a call that nobody makes any more.
            reason = error.reason if isinstance(error, Problem) else Reason.internal_error
            await _settled(self._settlement.release_house(reservation, reason.name))
            raise
        await self._settle(reservation, route, response.status)
        return response

    async def _exchange(self, prepared: Prepared, live: Live, outgoing: Outgoing, most: int) -> Response:
        route, policy = prepared.route, live.snapshot.upstreams[prepared.route.upstream]
        try:
            async with asyncio.timeout(policy.total_timeout) as deadline:
                stream = await asked(live.upstreams[route.upstream], outgoing, policy.total_timeout, deadline)
                if problem := judge(stream, ours=route.send_credentials, metered=True):
                    await stream.close()
                    raise problem
                whole = await read(stream, most, self._buffers)
        except TimeoutError:
            raise Problem(Reason.upstream_read_timeout) from None
        if isinstance(whole, Stream):
            await whole.close()
            raise Problem(Reason.upstream_invalid, "The upstream's answer is too long.", upstream_status=stream.status)
        # Raises for JSON that was cut.
        is_proven(stream, whole.body)
        await self._costs.record(prepared, policy, whole, ours=True)
        return whole

    async def _settle(self, reservation: Reservation, route: Route, status: int) -> None:
        charged = route.price is not None and charges(route.price, status)
        outcome = Outcome.passed if charged else Outcome.uncharged
        await _settled(self._settlement.settle_house(reservation, outcome))


async def parsed(content: bytes) -> Json:
    """JSON content; a long one is read in a thread. Raises ValueError."""
    document: Json = await asyncio.to_thread(orjson.loads, content) if len(content) > ON_LOOP else orjson.loads(content)
    return document


def _prepared(route: Route, sending: Sending) -> Prepared:
    """The call as the books and the vendor's costs see it."""
    base = 0 if route.price is None else route.price.base
    request = Request(sending.method, sending.target, CIMultiDict(sending.fields))
    path, quote = sending.target.partition("?")[0], Quote(base, lines=(("base", base),))
    return Prepared(request, route, {}, HOUSE, Intent.pass_, quote, sending.target, path, "", "")


async def _settled(settling: Awaitable[None]) -> None:
    # What the journal does not take now the settlement gives back itself.
    with suppress(Problem):
        await settling
