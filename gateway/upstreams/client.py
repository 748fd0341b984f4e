"""One upstream over HTTP/1.1: aiohttp's client, held to what a proxy needs of it."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Protocol

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpVersion10, HttpVersion11
from yarl import URL

from gateway.admission.snapshot import ThrottlePolicy, UpstreamPolicy
from gateway.admission.throttle import TokenBucket
from gateway.errors import Problem, Reason
from gateway.messages import Outgoing, Stream
from gateway.ports import Clock
from gateway.upstreams.connection import UpstreamConnection
from gateway.upstreams.gate import Gate
from gateway.upstreams.translate import LABELS, NOT_CONNECTED, TRANSLATED, translated

_CHUNK = 64 * 1024
_MAX_FIELD = 64 * 1024


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
        self._session = _session(policy)
        self._urls = tuple(url.rstrip("/") for url in policy.urls)

    async def close(self) -> None:
        """Close every connection of the pool."""
        await self._session.close()

    async def send(self, outgoing: Outgoing) -> Stream:
        """One exchange up to the response's head; see `ports.Upstream`."""
        await self._gate.enter()
        began = self._clock.steady()
        try:
            response = await self._attempt(outgoing)
            _refuse_ambiguous(response, outgoing)
        except BaseException as error:
            self._gate.leave()
            if isinstance(error, Problem) and error.reason in LABELS:
                self._count(LABELS[error.reason], began)
            elif isinstance(error, asyncio.CancelledError):
                # Only the total timeout gives up an exchange before its head.
                self._count(LABELS[Reason.upstream_read_timeout], began)
            raise
        return self._stream(response, began)

    async def _attempt(self, outgoing: Outgoing) -> aiohttp.ClientResponse:
        """Each URL in turn while connecting fails; then one more try where the first connection died unanswered."""
        for url in self._urls[:-1]:
            try:
                return await self._exchange(url, outgoing)
            except Problem as problem:
                if problem.reason not in NOT_CONNECTED:
                    return await self._again(url, outgoing, problem)
                self._metrics.retry(self.policy.name)
        try:
            return await self._exchange(self._urls[-1], outgoing)
        except Problem as problem:
            return await self._again(self._urls[-1], outgoing, problem)

    async def _again(self, url: str, outgoing: Outgoing, problem: Problem) -> aiohttp.ClientResponse:
        unanswered = isinstance(problem.__cause__, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError)
        if not unanswered or problem.reason in NOT_CONNECTED or outgoing.method not in ("GET", "HEAD"):
            raise problem
        if outgoing.body is not None:
            raise problem
        self._metrics.retry(self.policy.name)
        return await self._exchange(url, outgoing)

    async def _exchange(self, url: str, outgoing: Outgoing) -> aiohttp.ClientResponse:
        try:
            return await self._session.request(
                outgoing.method,
                URL(url + outgoing.target, encoded=True),
                headers=outgoing.fields,
                data=outgoing.body,
                allow_redirects=False,
            )
        except TRANSLATED as error:
            if isinstance(error.__cause__, Problem):
                # Reading the request's own content failed: that is the client's doing.
                raise error.__cause__ from None
            raise translated(error) from error

    def _stream(self, response: aiohttp.ClientResponse, began: float) -> Stream:
        exchange = _Exchange(self, response, self._clock.steady() - began)
        return Stream(
            status=response.status,
            reason=response.reason or "",
            fields=response.headers,
            chunks=exchange.chunks(),
            close=exchange.close,
            length=response.content_length,
            delimited=_delimited(response),
        )

    def _count(self, label: str, began: float) -> None:
        self._metrics.upstream(self.policy.name, label, self._clock.steady() - began)

    def finished(self, label: str, seconds: float) -> None:
        """An exchange gave its connection back or up."""
        self._gate.leave()
        self._metrics.upstream(self.policy.name, label, seconds)


class _Exchange:
    """The content of one response, until it ended, broke or was given up; counted once."""

    def __init__(self, upstream: HttpUpstream, response: aiohttp.ClientResponse, seconds: float) -> None:
        self._upstream = upstream
        self._response = response
        self._seconds = seconds
        self._open = True

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._response.content.iter_chunked(_CHUNK):
                yield chunk
        except TRANSLATED as error:
            problem = translated(error)
            self._end(LABELS[problem.reason])
            raise problem from error
        self._end(str(self._response.status))

    async def close(self) -> None:
        self._end(str(self._response.status))

    def _end(self, label: str) -> None:
        if self._open:
            self._open = False
            # Gives the connection back where the content was read to its end, else closes it.
            if self._response.content.is_eof():
                self._response.release()
            else:
                self._response.close()
            self._upstream.finished(label, self._seconds)


def _session(policy: UpstreamPolicy) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=0, ttl_dns_cache=10)
    kind: type[ResponseHandler] = UpstreamConnection
    connector._factory = partial(kind, loop=asyncio.get_running_loop())  # noqa: SLF001 - there is no public way
    session = aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=policy.connect_timeout, sock_read=policy.first_byte_timeout, ceil_threshold=3600
        ),
        skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent", "Content-Type"),
        auto_decompress=False,
        trust_env=False,
        requote_redirect_url=False,
        max_line_size=_MAX_FIELD,
        max_field_size=_MAX_FIELD,
    )
    # aiohttp repeats GET and PUT by itself when a kept-alive connection dies: that would be an uncounted, unpaid call.
    session._retry_connection = False  # noqa: SLF001 - there is no public way
    return session


def _refuse_ambiguous(response: aiohttp.ClientResponse, outgoing: Outgoing) -> None:
    """Framing that two parsers may read differently, unasked-for answers and what cannot be sent on are invalid."""
    # aiohttp's parser lets NUL pass in a reason phrase.
    unsendable = not 200 <= response.status <= 999 or "\0" in (response.reason or "")
    if unsendable or _is_ambiguous(response) or _is_unasked(response, outgoing):
        response.close()
        raise Problem(Reason.upstream_invalid)


def _is_ambiguous(response: aiohttp.ClientResponse) -> bool:
    """RFC 9112 §6.1 to §6.3; no transfer coding but chunked was asked for, and none could be taken off."""
    codings = [coding.strip(" \t").lower() for coding in response.headers.getall("Transfer-Encoding", ())]
    lengths = set(response.headers.getall("Content-Length", ()))
    if response.version not in (HttpVersion10, HttpVersion11) or len(lengths) > 1:
        return True
    if response.status == 204:
        return bool(codings) or not lengths <= {"0"}
    return bool(codings) and (codings != ["chunked"] or bool(lengths) or response.version == HttpVersion10)


def _is_unasked(response: aiohttp.ClientResponse, outgoing: Outgoing) -> bool:
    """A part or a confirmation, to a request that had asked for neither."""
    if response.status == 206:
        return "Range" not in outgoing.fields
    validated = "If-None-Match" in outgoing.fields or "If-Modified-Since" in outgoing.fields
    return response.status == 304 and not validated


def _delimited(response: aiohttp.ClientResponse) -> bool:
    """Whether the content's end is told by the framing, not by the connection's close (RFC 9112 §6.3)."""
    chunked = "Transfer-Encoding" in response.headers
    bodiless = response.method == "HEAD" or response.status in (204, 304)
    return chunked or bodiless or response.content_length is not None
