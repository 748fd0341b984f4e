"""What a scrape gets, written down a part at a time; both formats, by the library's own encoders."""

from collections.abc import Iterable

from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from gateway.answers.negotiation import weights

SAMPLES = 200
"""How many are written in one go: one to three milliseconds."""


class Exposition:
    """What is written down for one scrape, a part of a family at a time."""

    def __init__(self, accept: str | None) -> None:
        named = weights(accept or "")
        openmetrics = named.get("application/openmetrics-text", 0.0)
        preferred = openmetrics > 0 and openmetrics >= named.get("text/plain", 0.0)
        # Not the client's own value: the library raises on a version that is not a number.
        accepted = "application/openmetrics-text; version=1.0.0" if preferred else ""
        self._encode, self.content_type = choose_encoder(accepted)
        self._end = b"# EOF\n" if preferred else b""
        self._parts: list[bytes] = []
        self._name = ""

    def add(self, family: Metric, start: int) -> None:
        """Writes some of the family's samples, from the one at `start` on."""
        part = Metric(family.name, family.documentation, family.type, family.unit)
        part.samples = family.samples[start : start + SAMPLES]
        text = self._encode(_Part(part)).removesuffix(self._end)
        # What says of a family what it is stands before its first sample alone.
        while family.name == self._name and text.startswith(b"# "):
            text = text.partition(b"\n")[2]
        self._name = family.name
        self._parts.append(text)

    def content(self) -> bytes:
        return b"".join([*self._parts, self._end])


class _Part(Collector):
    """What the encoders take for a registry."""

    def __init__(self, part: Metric) -> None:
        self._part = part

    def collect(self) -> Iterable[Metric]:
        return (self._part,)
