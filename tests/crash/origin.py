"""The campaign's upstream: slow answers, failing ones, streams that break; it counts each call by its X-Request-Id."""

import asyncio
import random
from collections import Counter
from contextlib import suppress

from support.scripts import End, Pause, Script, head, json_answer, numbered
from support.upstream import ScriptedUpstream

_DELAYS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.3)


class Origin(ScriptedUpstream):
    """What a path gets is in its first words. `seed` orders the delays."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self._random = random.Random(seed)

    def __enter__(self) -> "Origin":
        super().__enter__()
        return self

    def take_calls(self) -> Counter[str]:
        """How often each request has arrived since the last time this was asked, by its X-Request-Id."""
        with self._changed:
            taken, self.requests = self.requests, []
        return Counter(request.field("X-Request-Id") or "" for request in taken)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A gateway that was killed has closed what is to be reset.
        with suppress(OSError):
            await super()._serve(reader, writer)

    def _script(self, path: str) -> Script:
        delay = Pause(self._random.choice(_DELAYS))
        if path.startswith("/streams/broken"):
            return head(200, "Content-Length: 1000"), b"part", delay, End.reset
        if path.startswith("/streams/"):
            return head(200, "Content-Length: 8"), b"half", delay, b"more"
        if path.startswith("/v1/products/failing"):
            return delay, json_answer({}, 500)
        return delay, numbered
