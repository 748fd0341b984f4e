"""One upstream over HTTP/1.1: its exchanges, where they go, how they are counted and when its connections close."""

import asyncio
from typing import Protocol

import aiohttp
from yarl import URL

from gateway.admission.allowance import Allowance
from gateway.admission.snapshot import ThrottlePolicy, UpstreamPolicy
from gateway.admission.throttle import TokenBucket
from gateway.errors import Problem, Reason
from gateway.messages import Outgoing, Stream
from gateway.ports import Clock
from gateway.rfc9111.dates import retry_after
from gateway.tasks import Tasks
from gateway.upstreams.backlog import Backlog
from gateway.upstreams.bare import METHODS, Reply, Site
from gateway.upstreams.circuit import Circuit, Pass, UpstreamState
from gateway.upstreams.content import Content
from gateway.upstreams.framing import is_delimited, refuse_ambiguous
from gateway.upstreams.gate import Gate
from gateway.upstreams.session import session
from gateway.upstreams.translate import LABELS, NOT_CONNECTED, TRANSLATED, translated

# Nothing is there behind what answered; of a 500 the request may be the cause, and a 429 comes from who is well.
_DOWN = frozenset({502, 503, 504})


class UpstreamMeter(Protocol):
    """Where an upstream counts its exchanges (the metrics of the design)."""

    def upstream(self, name: str, code: str, seconds: float) -> None:
        """One exchange ended: HTTP status or failure label, seconds until its head or failure."""

    def retry(self, name: str) -> None:
        """One exchange is tried again."""


class HttpUpstream:
    """Implements `ports.Upstream`."""

    def __init__(self, policy: UpstreamPolicy, metrics: UpstreamMeter, clock: Clock) -> None:
        self.policy = policy
        self._metrics = metrics
        self._clock = clock
        bucket = TokenBucket(ThrottlePolicy(policy.rate, policy.rate.count)) if policy.rate else None
        self._gate = Gate(policy, bucket, clock)
        self._circuit = Circuit(policy, clock)
        self._allowance = Allowance()
        self._backlog = Backlog(self._gate, self._circuit, self._allowance, clock)
        self._urls = tuple(url.rstrip("/") for url in policy.urls)
        self._session: aiohttp.ClientSession | None = None
        self._sites: tuple[Site, ...] = ()
        self._exchanges = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._retired = False
        self._closing = Tasks()

    def state(self) -> UpstreamState:
        """How it is now."""
        return self._circuit.state()

    async def room(self) -> None:
        """Return once a background call may be made; see `ports.Upstream`."""
        await self._backlog.room()

    async def close(self) -> None:
        """Close every connection of the pool."""
        self._backlog.end()
        self._disconnect()
        await self._closing.finish()

    async def retire(self) -> None:
        """Close every connection as soon as no exchange is under way, and return then.

        A request that began while the upstream was in the config may still be sent, on a connection of its own; a
        background call that waits is not.
        """
        self._retired = True
        self._backlog.end()
        if not self._exchanges:
            self._disconnect()
        await self._idle.wait()
        await self._closing.finish()

    async def send(self, outgoing: Outgoing) -> Stream:
        """One exchange up to the response's head; see `ports.Upstream`."""
        self._exchanges += 1
        self._idle.clear()
        try:
            return await self._send(_Sending(outgoing))
        except BaseException:
            self._ended()
            raise

    def finished(self, label: str, seconds: float, *, background: bool) -> None:
        """An exchange gave its connection back or up."""
        self._leave(background=background)
        self._metrics.upstream(self.policy.name, label, seconds)
        self._ended()

    async def _send(self, sending: "_Sending") -> Stream:
        background = sending.outgoing.background
        if self._gate.stands_open and not background:
            leave = self._circuit.admit(uploads=sending.uploads)
            self._gate.walk_in()
        else:
            leave = await (self._let_in if background else self._entered)(uploads=sending.uploads)
        began = self._clock.steady()
        try:
            response = await (self._in_time(leave, sending) if background else self._attempt(leave, sending))
        except BaseException as error:
            self._leave(background=background)
            label = _label(error)
            if label is not None:
                self._metrics.upstream(self.policy.name, label, self._clock.steady() - began)
            raise
        now = self._clock.steady()
        self._allowance.hear(response.status, response.headers, now)
        return self._stream(response, now - began, background=background)

    def _leave(self, *, background: bool) -> None:
        if background:
            self._gate.leave_background()
        else:
            self._gate.leave()

    async def _entered(self, *, uploads: bool) -> Pass:
        """Leave to send and a place at the gate. A probe holds its leave while it waits, so that it is the only one."""
        leave, inside = self._circuit.admit(uploads=uploads), False
        try:
            while not inside:
                inside = await self._gate.enter()
                leave = self._circuit.renewed(leave, uploads=uploads)
        except BaseException:
            self._circuit.gave_up(leave)
            if inside:
                self._gate.leave()
            raise
        return leave

    async def _let_in(self, *, uploads: bool) -> Pass:
        """The same behind the foreground; whoever was let in nowhere for so long may look for room again."""
        try:
            async with asyncio.timeout(self.policy.total_timeout):
                return await self._backlog.enter(uploads=uploads)
        except TimeoutError:
            raise Problem(Reason.upstream_queue_full, retry_after=0.0) from None

    async def _in_time(self, leave: Pass, sending: "_Sending") -> Reply | aiohttp.ClientResponse:
        """One whose caller's own deadline does not run: it would have begun while this waited for its turn."""
        try:
            async with asyncio.timeout(self.policy.total_timeout):
                return await self._attempt(leave, sending)
        except TimeoutError:
            raise Problem(Reason.upstream_read_timeout) from None

    async def _attempt(self, leave: Pass, sending: "_Sending") -> Reply | aiohttp.ClientResponse:
        """Each URL that may be asked in turn, while connecting fails."""
        while True:
            try:
                return await self._try(leave, sending)
            except Problem as problem:
                following = (
                    self._circuit.next(leave.place + 1, uploads=sending.uploads)
                    if problem.reason in NOT_CONNECTED
                    else None
                )
                if following is None:
                    raise
            self._metrics.retry(self.policy.name)
            leave = following

    async def _try(self, leave: Pass, sending: "_Sending") -> Reply | aiohttp.ClientResponse:
        """One URL, whose breaker hears how it ended."""
        try:
            response = await self._persist(leave.place, sending)
            refuse_ambiguous(response, sending.outgoing)
        except BaseException as error:
            self._failed(leave, _label(error))
            raise
        if response.status in _DOWN:
            wish = retry_after(response.headers) if response.status == 503 else None
            self._failed(leave, str(response.status), wish or 0.0)
        else:
            self._circuit.answered(leave)
        return response

    def _failed(self, leave: Pass, how: str | None, at_least: float = 0.0) -> None:
        if how is None:
            self._circuit.gave_up(leave)
        elif self._circuit.failed(leave, how, at_least):
            self._gate.turn_away()

    async def _persist(self, place: int, sending: "_Sending") -> Reply | aiohttp.ClientResponse:
        """One more try where the connection died unanswered."""
        try:
            return await self._exchange(place, sending.outgoing)
        except Problem as problem:
            if not sending.may_repeat or not _is_unanswered(problem):
                raise
        sending.may_repeat = False
        self._metrics.retry(self.policy.name)
        return await self._exchange(place, sending.outgoing)

    async def _exchange(self, place: int, outgoing: Outgoing) -> Reply | aiohttp.ClientResponse:
        connected = self._connect() if self._session is None else self._session
        try:
            if outgoing.body is None and outgoing.method in METHODS:
                return await self._sites[place].ask(outgoing)
            return await connected.request(
                outgoing.method,
                URL(self._urls[place] + outgoing.target, encoded=True),
                headers=outgoing.fields,
                data=outgoing.body,
                allow_redirects=False,
            )
        except TRANSLATED as error:
            if isinstance(error.__cause__, Problem):
                # Reading the request's own content failed: that is the client's doing.
                raise error.__cause__ from None
            raise translated(error) from error

    def _connect(self) -> aiohttp.ClientSession:
        self._session, connector = session(self.policy)
        self._sites = tuple([Site(self._session, connector, url) for url in self._urls])
        return self._session

    def _stream(self, response: Reply | aiohttp.ClientResponse, seconds: float, *, background: bool) -> Stream:
        content = Content(response, lambda label: self.finished(label, seconds, background=background))
        return Stream(
            status=response.status,
            reason=response.reason or "",
            fields=response.headers,
            chunks=content.chunks(),
            close=content.close,
            length=response.content_length,
            delimited=is_delimited(response),
            whole=content.whole,
        )

    def _ended(self) -> None:
        self._exchanges -= 1
        if not self._exchanges:
            self._idle.set()
            if self._retired:
                self._disconnect()

    def _disconnect(self) -> None:
        for site in self._sites:
            site.close()
        if self._session is not None:
            self._closing.start(self._session.close())
            self._session = None


class _Sending:
    """One request on its way; what can be repeated without harm is, once."""

    __slots__ = ("may_repeat", "outgoing", "uploads")

    def __init__(self, outgoing: Outgoing) -> None:
        self.outgoing = outgoing
        self.uploads = outgoing.body is not None
        self.may_repeat = outgoing.method in ("GET", "HEAD") and not self.uploads


def _label(error: BaseException) -> str | None:
    """How an exchange ended, as the metrics call it; None where that is not the upstream's doing."""
    if isinstance(error, Problem):
        return LABELS.get(error.reason)
    # Only the total timeout gives up an exchange before its head.
    return LABELS[Reason.upstream_read_timeout] if isinstance(error, asyncio.CancelledError) else None


def _is_unanswered(problem: Problem) -> bool:
    """Whether the connection was made, and ended before any byte of an answer."""
    died = isinstance(problem.__cause__, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError)
    return died and problem.reason not in NOT_CONNECTED
