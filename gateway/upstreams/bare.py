"""Exchanges that send no content: a head in our own bytes on one of aiohttp's connections, and the answer to it.

aiohttp's own request builds URL, fields, cookies, timers and a writer anew each time: more than twice the work.
"""

import asyncio
from collections import deque

import aiohttp
from aiohttp import hdrs
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection
from aiohttp.http import HttpVersion, RawResponseMessage
from aiohttp.streams import StreamReader
from multidict import CIMultiDictProxy
from yarl import URL

from gateway.messages import Outgoing
from gateway.upstreams.session import MAX_FIELD

METHODS = frozenset({"GET", "HEAD"})
"""Those of which nobody expects content; of others aiohttp has to say that there is none."""

_NOT_ADDED = (hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.USER_AGENT)
_ADDED = frozenset({hdrs.HOST, hdrs.AUTHORIZATION})

# Seconds that a connection is kept for the next request.
_KEPT = 15.0


class Reply:
    """An answer whose head is there, with what is read of aiohttp's ClientResponse."""

    __slots__ = ("_connection", "_site", "content", "headers", "method", "reason", "status", "version")

    def __init__(
        self, method: str, message: RawResponseMessage, content: StreamReader, connection: Connection, site: "Site"
    ) -> None:
        self.method = method
        self.version: HttpVersion | None = message.version
        self.status = message.code
        self.reason: str | None = message.reason
        self.headers: CIMultiDictProxy[str] = message.headers
        self.content = content
        self._connection = connection
        self._site = site

    @property
    def content_length(self) -> int | None:
        """What the head declares, in bytes; None where it declares none."""
        declared = self.headers.get(hdrs.CONTENT_LENGTH)
        return None if declared is None else int(declared)

    def release(self) -> None:
        """Give the connection back."""
        self._site.keep(self._connection)

    def close(self) -> None:
        """Give the connection up."""
        self._connection.close()


class Site:
    """One URL of an upstream, asked over connections that `session`'s connector makes."""

    def __init__(self, session: aiohttp.ClientSession, connector: aiohttp.BaseConnector, url: str) -> None:
        self._loop = asyncio.get_running_loop()
        # What the connector goes by, and what it would write for itself: Host, and the URL's own credentials.
        self._model = ClientRequest(
            "GET", URL(url, encoded=True), loop=self._loop, session=session, skip_auto_headers=_NOT_ADDED
        )
        self._connector = connector
        self._timeout = session.timeout
        self._base = self._model.url.raw_path.rstrip("/")
        self._added = [(name, value) for name, value in self._model.headers.items() if name in _ADDED]
        # Given back last, used first: what is not needed falls idle. With the time of that.
        self._idle: deque[tuple[Connection, float]] = deque()
        self._sweeping: asyncio.TimerHandle | None = None
        self._closed = False

    async def ask(self, outgoing: Outgoing) -> Reply:
        """The answer's head, past any interim ones. Raises one of `translate.TRANSLATED`."""
        opening = self._opening(outgoing)
        connection = self._kept() or await self._connected()
        try:
            protocol = _sent(connection, opening, self._timeout.sock_read, bodiless=outgoing.method == "HEAD")
            while True:
                message, content = await protocol.read()
                if not 100 <= message.code < 200 or message.code == 101:
                    return Reply(outgoing.method, message, content, connection, self)
        except BaseException:
            connection.close()
            raise

    def keep(self, connection: Connection) -> None:
        """Take a connection back whose answer was read to its end."""
        protocol = connection.protocol
        if self._closed or protocol is None or protocol.should_close:
            connection.close()
            return
        self._idle.append((connection, self._loop.time()))
        if self._sweeping is None:
            self._sweeping = self._loop.call_later(_KEPT, self._sweep)

    def close(self) -> None:
        """Close every connection that is not in use, and each other one when it is given back."""
        self._closed = True
        if self._sweeping is not None:
            self._sweeping.cancel()
        while self._idle:
            self._idle.pop()[0].close()

    def _kept(self) -> Connection | None:
        while self._idle:
            connection, _ = self._idle.pop()
            if not connection.closed:
                return connection
            connection.close()
        return None

    async def _connected(self) -> Connection:
        try:
            return await self._connector.connect(self._model, [], self._timeout)
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError from error

    def _sweep(self) -> None:
        self._sweeping = None
        now = self._loop.time()
        while self._idle and self._idle[0][1] + _KEPT <= now:
            self._idle.popleft()[0].close()
        if self._idle:
            self._sweeping = self._loop.call_at(self._idle[0][1] + _KEPT, self._sweep)

    def _opening(self, outgoing: Outgoing) -> bytes:
        """The whole head (RFC 9112 §3, §5). Raises ValueError for what would not be one."""
        fields = outgoing.fields
        lines = [f"{outgoing.method} {self._base}{outgoing.target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in self._added if name not in fields]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        text = "\r\n".join(lines)
        ends = len(lines) - 1
        if text.count("\r") != ends or text.count("\n") != ends or "\0" in text:
            raise ValueError("a line of the request's head holds CR, LF or NUL")
        # A validator goes back as the bytes that it came in.
        return f"{text}\r\n\r\n".encode("utf-8", "surrogateescape")


def _sent(connection: Connection, opening: bytes, read_timeout: float | None, *, bodiless: bool) -> ResponseHandler:
    """What will hear the answer to a request that has gone out whole."""
    protocol = connection.protocol
    if protocol is None or protocol.transport is None or protocol.transport.is_closing():
        raise aiohttp.ServerDisconnectedError
    protocol.set_response_params(
        skip_payload=bodiless,
        read_until_eof=True,
        auto_decompress=False,
        read_timeout=read_timeout,
        max_line_size=MAX_FIELD,
        max_field_size=MAX_FIELD,
    )
    protocol.transport.write(opening)
    protocol.start_timeout()
    return protocol
