"""The listening socket: accepts, reads heads into requests, hands them to the pipeline, drains."""

import asyncio
import select
import socket
from collections.abc import Iterable
from itertools import chain
from time import time
from typing import Any, cast

import structlog
from aiohttp import http_parser, web
from aiohttp.hdrs import TRANSFER_ENCODING
from aiohttp.http import HttpVersion10, HttpVersion11

from gateway.admission.peers import is_local, is_trusted
from gateway.config.schema import Limits
from gateway.errors import BadStart, Problem, Reason
from gateway.health import Health
from gateway.listener.binding import bound
from gateway.listener.body import declared_body, read_body, refuse_oversized
from gateway.listener.census import Census
from gateway.listener.connection import MOST_FIELDS, Connection
from gateway.listener.handshake import Handshake
from gateway.listener.lane import Lane
from gateway.listener.reply import Reply
from gateway.listener.tls import Encryption, tell
from gateway.messages import Answer, Fields, Request
from gateway.own import Own
from gateway.pipeline import Pipeline

_IDLE = 75.0
_BACKLOG = 4096
_PER_ADDRESS = 500
_POLL = 0.02


class _Server(web.Server):
    """Makes connections of our own kind."""

    def __init__(self, listener: "Listener", **options: Any) -> None:
        super().__init__(listener.handle, **options)
        self._listener = listener
        self.options = options

    def __call__(self) -> Connection:
        return Connection(self, self._listener, loop=asyncio.get_running_loop(), **self.options)


class Listener:
    """One address that clients connect to, over TLS where there is an `encryption`.

    `handshakes` are the connections for which that has yet to begin, or has.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        health: Health,
        own: Own,
        limits: Limits,
        trusted_proxies: tuple[str, ...] = (),
        encryption: Encryption | None = None,
    ) -> None:
        self.pipeline = pipeline
        self.limits = limits
        self.census = Census()
        self.encryption: Encryption | None = None
        self.handshakes: set[Handshake] = set()
        self.log = structlog.get_logger("gateway.listener")
        self._health = health
        self._resources = own
        self._trusted = trusted_proxies
        self.draining = False
        self._lane: Lane | None = None
        self._socket: asyncio.Server | None = None
        self._protocols = _Server(self, **_options(limits))
        self._scheme = "http" if encryption is None else "https"
        self._encrypt(encryption)

    def configure(self, limits: Limits, trusted_proxies: tuple[str, ...], encryption: Encryption | None = None) -> None:
        """Go by other limits: requests from now on, and of heads those on new connections, which get the `encryption`.

        Whether there is one cannot change.
        """
        self.limits, self._trusted = limits, trusted_proxies
        self._protocols.options = _options(limits)
        self._encrypt(encryption)

    async def open(self, host: str, port: int) -> None:
        """Bind and accept; raises BadStart where the address cannot be had, or aiohttp lacks its C parser."""
        await self.open_on(bound(host, port))

    async def open_on(self, listening: socket.socket) -> None:
        """Accept on a socket that is bound, to be closed by `drain`; raises BadStart as `open` does."""
        if http_parser.HttpRequestParser is http_parser.HttpRequestParserPy:
            listening.close()
            raise BadStart("aiohttp runs without its C parser, which hostile input must be read with: reinstall it")
        self._listening = listening
        self._socket = await asyncio.get_running_loop().create_server(self._accepted, sock=listening, backlog=_BACKLOG)

    def connection(self) -> Connection:
        """The protocol for one client, in plain text or within TLS."""
        return self._protocols()

    @property
    def lane(self) -> Lane | None:
        """What connections ask before aiohttp reads a request; one that has taken requests still answers them."""
        return self._lane

    @lane.setter
    def lane(self, lane: Lane | None) -> None:
        self._lane = lane
        self._tell_connections()

    def admits(self, address: str) -> bool:
        """Whether one more connection from `address` is within the limits."""
        limits, most = self.limits, self.limits.connections_per_address
        if is_trusted(address, self._trusted) or (most is None and is_local(address)):
            most = limits.connections
        return self.census.admits(address, limits.connections, _PER_ADDRESS if most is None else most)

    def _encrypt(self, encryption: Encryption | None) -> None:
        if encryption is not None and encryption != self.encryption:
            tell(self.log, encryption.valid, time())
        self.encryption = encryption

    def _accepted(self) -> asyncio.Protocol:
        return self.connection() if self.encryption is None else Handshake(self, self.encryption)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """One request, from aiohttp's reading of it to the reply."""
        connection = cast("Connection", request.protocol)
        connection.begun += 1
        try:
            if request.raw_path.startswith("/-/"):
                answer = await self._own(request, connection)
            else:
                answer = await self.pipeline.handle(self._read(request, connection))
        except Problem as problem:
            answer = self.pipeline.refuse_unread(problem, request.headers)
        if request.method == "HEAD":
            answer.bodiless = True
        close = self._is_last(connection) or not request.keep_alive or not _is_framed_surely(request)
        return Reply(answer, close=close, write_timeout=self.limits.write_timeout)

    async def _own(self, request: web.BaseRequest, connection: Connection) -> Answer:
        """Below `/-/` the gateway answers itself; nothing there is ever forwarded."""
        answer = self._health.answer(request.raw_path)
        answer = answer or await self._resources.answer(self._read(request, connection))
        if answer is None:
            raise Problem(Reason.no_route)
        return answer

    async def drain(self) -> None:
        """Take no new connection, let what was accepted finish, close what idles."""
        self.draining = True
        self._tell_connections()
        if self._socket is not None:
            await _taken_in(self._socket.sockets)
            # Closed alone, it would go on taking connections in where another process has it as well.
            self._listening.shutdown(socket.SHUT_RD)
            self._socket.close()
            self._socket = None
            for handshake in self.handshakes:
                handshake.hurry()
            # Those taken in last are only counted in a few turns later.
            await asyncio.sleep(_POLL)
        # Polled: a connection may fall idle, after its answer was given as one of many, without telling.
        while self.census.total:
            self._close_idle()
            await asyncio.sleep(_POLL)
        await self._protocols.shutdown(0)

    def _tell_connections(self) -> None:
        for connection in self._protocols.connections:
            if isinstance(connection, Connection):
                connection.reconsider()

    def _close_idle(self) -> None:
        for connection in self._protocols.connections:
            if isinstance(connection, Connection) and connection.rests():
                connection.force_close()

    def _is_last(self, connection: Connection) -> bool:
        return (self.draining or connection.eof) and not connection.pipelined

    def _read(self, request: web.BaseRequest, connection: Connection) -> Request:
        fields = request.headers
        _refuse_foreign(request)
        _refuse_long(request, self.limits, short=connection.short)
        refuse_oversized(fields, self.limits)
        return Request(
            method=request.method,
            target=request.raw_path,
            fields=fields,
            peer=connection.address,
            body=read_body(request, self.limits) if declared_body(fields) else None,
            version="1.0" if request.version == HttpVersion10 else "1.1",
            scheme=self._scheme,
        )


def _options(limits: Limits) -> dict[str, Any]:
    """What aiohttp is told of a new connection."""
    return {
        "access_log": None,
        "auto_decompress": False,
        "keepalive_timeout": _IDLE,
        "lingering_time": limits.body_timeout,
        "max_line_size": limits.target,
        "max_field_size": limits.fields,
        "max_headers": MOST_FIELDS,
    }


def _refuse_foreign(request: web.BaseRequest) -> None:
    """What the parser lets pass: other versions (RFC 9112 §2.3), codings that nobody here takes off (§6.1), tunnels."""
    if request.method == "CONNECT":
        raise Problem(Reason.not_implemented, "CONNECT is not forwarded.")
    if request.version not in (HttpVersion10, HttpVersion11):
        raise Problem(Reason.malformed_request, "Only HTTP/1.0 and HTTP/1.1 are spoken here.")
    coding = request.headers.get(TRANSFER_ENCODING)
    if coding is not None and request.version < HttpVersion11:
        raise Problem(Reason.malformed_request, "HTTP/1.0 has no transfer codings.")
    if coding is not None and coding.lower() != "chunked":
        raise Problem(Reason.not_implemented, "Only the chunked transfer coding is understood.")


def _is_framed_surely(request: web.BaseRequest) -> bool:
    """Whether another request may be read behind this one (RFC 9112 §9.3).

    aiohttp's parser takes the last trailer field of chunked content for the first field of the next request.
    """
    return request.version >= HttpVersion11 and TRANSFER_ENCODING not in request.headers


async def _taken_in(listening: Iterable[socket.socket]) -> None:
    """Return once what the kernel has accepted already is accepted here too: closing its socket would reset it."""
    waiting = select.poll()
    for endpoint in listening:
        waiting.register(endpoint.fileno(), select.POLLIN)
    # A turn of the loop accepts one at least, and a queue holds no more; who comes later need not be waited for.
    for _ in range(_BACKLOG):
        empty = not waiting.poll(0)
        await asyncio.sleep(0)
        if empty:
            return


def _refuse_long(request: web.BaseRequest, limits: Limits, *, short: bool) -> None:
    if len(request.raw_path) > limits.target:
        raise Problem(Reason.target_too_long)
    if not short and _size(request.headers) > limits.fields:
        raise Problem(Reason.fields_too_large)


def _size(fields: Fields) -> int:
    # Through the items: the keys of a multidict leave repeated names out.
    return len("".join(chain.from_iterable(fields.items()))) + 4 * len(fields)
