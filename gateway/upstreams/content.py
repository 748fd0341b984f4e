"""The content of one response, from its head to its end."""

from collections.abc import AsyncIterator, Callable

import aiohttp
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader

from gateway.upstreams.bare import Reply
from gateway.upstreams.translate import LABELS, TRANSLATED, translated

_CHUNK = 64 * 1024
# In one piece, up to so much has not made the connection wait until it is read.
_UNPAUSED = 64 * 1024


class Content:
    """Until it has ended, broken or been given up; `finished` is told once, with the label that the metrics have.

    `whole` is all of it where it is there already: then it has ended.
    """

    def __init__(self, response: Reply | aiohttp.ClientResponse, finished: Callable[[str], None]) -> None:
        self._response = response
        self._finished = finished
        self._open = True
        self.whole = self._come()

    async def chunks(self) -> AsyncIterator[bytes]:
        """The content in pieces. Raises Problem with an `upstream_…` reason where it breaks."""
        if self.whole is not None:
            yield self.whole
            return
        try:
            async for chunk in self._response.content.iter_chunked(_CHUNK):
                yield chunk
        except TRANSLATED as error:
            problem = translated(error)
            self._end(LABELS[problem.reason])
            raise problem from error
        self._end(str(self._response.status))

    async def close(self) -> None:
        """Give up what is left. Idempotent."""
        self._end(str(self._response.status))

    def _come(self) -> bytes | None:
        content = self._response.content
        # What broke is told to who reads it.
        if not content.is_eof() or content.exception() is not None:
            return None
        whole = _taken(content)
        self._open = False
        self._response.release()
        self._finished(str(self._response.status))
        return whole

    def _end(self, label: str) -> None:
        if self._open:
            self._open = False
            # Gives the connection back where the content was read to its end, else closes it.
            if self._response.content.is_eof():
                self._response.release()
            else:
                self._response.close()
            self._finished(label)


def _taken(content: StreamReader) -> bytes:
    """All of what has come whole. To read it is to ask for more, which takes longer than all else here."""
    if content is EMPTY_PAYLOAD:
        return b""
    pieces = content._buffer  # noqa: SLF001 - there is no public way past that
    return pieces[0] if len(pieces) == 1 and content.total_bytes <= _UNPAUSED else content.read_nowait()
