"""The content of one response, from its head to its end."""

from collections.abc import AsyncIterator, Callable

import aiohttp

from gateway.upstreams.translate import LABELS, TRANSLATED, translated

_CHUNK = 64 * 1024


class Content:
    """Until it has ended, broken or been given up; `finished` is told once, with the label that the metrics have."""

    def __init__(self, response: aiohttp.ClientResponse, finished: Callable[[str], None]) -> None:
        self._response = response
        self._finished = finished
        self._open = True

    async def chunks(self) -> AsyncIterator[bytes]:
        """The content in pieces. Raises Problem with an `upstream_…` reason where it breaks."""
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

    def _end(self, label: str) -> None:
        if self._open:
            self._open = False
            # Gives the connection back where the content was read to its end, else closes it.
            if self._response.content.is_eof():
                self._response.release()
            else:
                self._response.close()
            self._finished(label)
