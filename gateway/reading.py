"""Reading an upstream's answer: judged by its head, then buffered within bounds or handed on as a stream."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace

import orjson

from gateway.errors import Problem, Reason
from gateway.messages import Outgoing, Response, Stream
from gateway.ports import Upstream
from gateway.rfc9111.dates import retry_after

_PROVABLE = 1024 * 1024
_CREDENTIAL_STATUSES = frozenset({401, 402, 403, 407})


class Buffers:
    """The bytes of unfinished content that the gateway holds, under one bound for all (`limits.buffered`)."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0

    def take(self, size: int) -> None:
        """Hold `size` bytes more; raises Problem(buffers_full) where the bound would be passed."""
        if self.held + size > self.limit:
            raise Problem(Reason.buffers_full, retry_after=1)
        self.held += size

    def give(self, size: int) -> None:
        """Hold `size` bytes less."""
        self.held -= size


def judge(stream: Stream, *, ours: bool, metered: bool) -> Problem | None:
    """What a status means that is not passed on, None for any other.

    `ours`: the gateway holds the credentials, so what the upstream says of them is not the client's affair.
    """
    status = stream.status
    if ours and status in _CREDENTIAL_STATUSES:
        return Problem(Reason.upstream_credentials_rejected, upstream_status=status)
    if ours and status == 429:
        return Problem(Reason.upstream_rate_limited, retry_after=retry_after(stream.fields), upstream_status=status)
    return failure(stream) if metered and status >= 500 else None


def failure(stream: Stream) -> Problem:
    """An upstream's 5xx as a problem of ours; its own words are not shown."""
    match stream.status:
        case 503:
            reason = Reason.upstream_unavailable
        case 504:
            reason = Reason.upstream_read_timeout
        case _:
            reason = Reason.upstream_error
    return Problem(reason, retry_after=retry_after(stream.fields), upstream_status=stream.status)


async def asked(upstream: Upstream, outgoing: Outgoing, seconds: float, deadline: asyncio.Timeout) -> Stream:
    """The head of the answer, by a `deadline` that is `seconds` away.

    That of a background call is set anew when its head has come: until then the upstream sees to it, which alone knows
    how long the call has waited for its turn.
    """
    if not outgoing.background:
        return await upstream.send(outgoing)
    deadline.reschedule(None)
    stream = await upstream.send(outgoing)
    deadline.reschedule(asyncio.get_running_loop().time() + seconds)
    return stream


async def read(stream: Stream, most: int, buffers: Buffers) -> Response | Stream:
    """The whole answer, or, past `most` bytes, a stream of what was read and what is still to come.

    Raises the Problem with which the content broke; the stream is closed then.
    """
    if stream.length is not None and stream.length > most:
        return stream
    if stream.whole is not None:
        return (
            Response(stream.status, stream.reason, stream.fields, stream.whole) if len(stream.whole) <= most else stream
        )
    parts: list[bytes] = []
    with _holding(buffers) as hold:
        try:
            async for chunk in stream.chunks:
                parts.append(chunk)
                if hold(len(chunk)) > most:
                    return _resumed(stream, parts, hold.handed_on())
        except BaseException:
            await stream.close()
            raise
    return Response(stream.status, stream.reason, stream.fields, b"".join(parts))


def is_proven(stream: Stream, body: bytes) -> bool:
    """Whether the content is known to be whole: by its framing, else because it is JSON that parses.

    A close-delimited body that the peer closed too early looks like a complete one. Raises
    Problem(upstream_truncated) for JSON that does not parse.
    """
    if stream.delimited:
        return True
    kind = stream.fields.get("Content-Type", "").partition(";")[0].strip().lower()
    if not (kind == "application/json" or kind.endswith("+json")) or len(body) > _PROVABLE:
        return False
    try:
        orjson.loads(body)
    except ValueError:
        raise Problem(Reason.upstream_truncated) from None
    return True


@contextmanager
def _holding(buffers: Buffers) -> Iterator["_Hold"]:
    hold = _Hold(buffers)
    try:
        yield hold
    finally:
        hold.give(hold.size)


class _Hold:
    """One answer's share of the buffers; called with a chunk's size, returns the share's."""

    def __init__(self, buffers: Buffers) -> None:
        self._buffers = buffers
        self.size = 0

    def __call__(self, size: int) -> int:
        self._buffers.take(size)
        self.size += size
        return self.size

    def give(self, size: int) -> None:
        """Hold `size` bytes less."""
        self._buffers.give(size)
        self.size -= size

    def handed_on(self) -> "_Hold":
        """The share as another's, which this one no longer gives back."""
        other = _Hold(self._buffers)
        other.size, self.size = self.size, 0
        return other


def _resumed(stream: Stream, parts: list[bytes], hold: _Hold) -> Stream:
    """What was read stays held until it is sent or the stream is closed."""
    unsent = deque(parts)

    async def chunks() -> AsyncIterator[bytes]:
        while unsent:
            hold.give(len(unsent[0]))
            yield unsent.popleft()
        async for chunk in stream.chunks:
            yield chunk

    async def close() -> None:
        unsent.clear()
        hold.give(hold.size)
        await stream.close()

    return replace(stream, chunks=chunks(), close=close)
