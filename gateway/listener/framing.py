"""How much of a request's content is framing: aiohttp's parser skips chunk extensions and the like without bound."""

from aiohttp.streams import StreamReader

# What chunk extensions, chunk sizes and trailers may take: this much, and 16 times the content.
_MOST_FRAMING = 16 * 1024
_WORTH = 17


class Framing:
    """Weighs what has arrived behind one head against the content that it came to."""

    __slots__ = ("_taken", "content")

    def __init__(self, content: StreamReader) -> None:
        self.content = content
        self._taken = 0

    def outweighs(self, size: int) -> bool:
        """Whether, with the `size` bytes that have just been read, it is mostly framing."""
        self._taken += size
        return self._taken - _WORTH * self.content.total_bytes > _MOST_FRAMING
