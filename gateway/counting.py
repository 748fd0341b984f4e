"""Plain integers and histograms that the hot path counts in, and the Prometheus families that they make at a scrape."""

from bisect import bisect_left
from collections.abc import Iterator
from operator import add

from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.utils import floatToGoString

from gateway.exposition import SAMPLES

# Upper bounds in seconds: a hit takes well below a millisecond, an upstream may take its whole 60 s.
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_BOUNDS = [*map(floatToGoString, BUCKETS), "+Inf"]

# Each has a sample for every bucket, and its sum and count.
_HISTOGRAMS = SAMPLES // 20


class Counts(dict[tuple[str | int, ...], int]):
    """A counter family: its label values, in the order of `labels`, and what was counted under them."""

    def __init__(self, name: str, documentation: str, *labels: str) -> None:
        super().__init__()
        self.name = name
        self._documentation = documentation
        self._labels = labels

    def __missing__(self, key: tuple[str | int, ...]) -> int:
        return 0

    def families(self) -> Iterator[CounterMetricFamily]:
        """The family in parts, each of a few of its series."""
        keys = list(self)
        for start in range(0, len(keys) or 1, SAMPLES):
            family = CounterMetricFamily(self.name, self._documentation, labels=self._labels)
            for key in keys[start : start + SAMPLES]:
                family.add_metric([str(value) for value in key], self[key])
            yield family


class Histogram:
    """Observations per bucket, not cumulated, the last of them past every bound; and their sum in seconds."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * len(_BOUNDS)
        self.total = 0.0

    def observe(self, seconds: float, times: int = 1) -> None:
        """So many more, each of `seconds`."""
        self.counts[bisect_left(BUCKETS, seconds)] += times
        self.total += seconds * times

    def add(self, other: "Histogram") -> None:
        """Take in what the other has observed."""
        self.counts = list(map(add, self.counts, other.counts))
        self.total += other.total

    def buckets(self) -> list[tuple[str, float]]:
        """Upper bound and the number of observations up to it, as the exposition wants it."""
        reached = 0
        cumulated: list[tuple[str, float]] = []
        for bound, count in zip(_BOUNDS, self.counts, strict=True):
            reached += count
            cumulated.append((bound, reached))
        return cumulated


class Durations(dict[tuple[str, ...], Histogram]):
    """A histogram family over `BUCKETS`: its label values, in the order of `labels`, and their series."""

    def __init__(self, name: str, documentation: str, *labels: str) -> None:
        super().__init__()
        self.name = name
        self._documentation = documentation
        self._labels = labels

    def __missing__(self, key: tuple[str, ...]) -> Histogram:
        series = self[key] = Histogram()
        return series

    def families(self) -> Iterator[HistogramMetricFamily]:
        """The family in parts, each of a few of its series."""
        keys = list(self)
        for start in range(0, len(keys) or 1, _HISTOGRAMS):
            family = HistogramMetricFamily(self.name, self._documentation, labels=self._labels)
            for key in keys[start : start + _HISTOGRAMS]:
                family.add_metric(list(key), self[key].buckets(), self[key].total)
            yield family
