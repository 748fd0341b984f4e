"""What one worker tells of itself, and all workers' together: every number has its way of being put together."""

import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from prometheus_client import ProcessCollector
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.counting import Durations, Histogram
from gateway.gauges import InRedis, OnDisk
from gateway.logs.logs import Level
from gateway.metrics import Metrics
from gateway.upstreams.circuit import BEST_FIRST, UpstreamState

Labels = tuple[str | int, ...]

_CPU = "process_cpu_seconds"
# Evictions that gauges of several numbers count, by the gauge.
_EVICTIONS = {"disk": "gateway_disk_evictions", "shared": "gateway_shared_evictions"}


@dataclass(slots=True)
class Counted:
    """What only ever grows, by family and labels: numbers, and histograms."""

    numbers: dict[str, dict[Labels, float]] = field(default_factory=dict)
    histograms: dict[str, dict[tuple[str, ...], Histogram]] = field(default_factory=dict)

    def add(self, other: "Counted") -> Iterator[None]:
        """Take in another's, a family in each step."""
        for name, numbers in other.numbers.items():
            total = self.numbers.setdefault(name, {})
            for labels, number in numbers.items():
                total[labels] = total.get(labels, 0) + number
            yield
        for name, series in other.histograms.items():
            sums = self.histograms.setdefault(name, {})
            for names, histogram in series.items():
                sums.setdefault(names, Histogram()).add(histogram)
            yield


@dataclass(slots=True)
class Report:
    """One worker's. `incarnation` is another one's for each process; `failing` are the checks that it is not ready for.

    `gauges` are the values of `gauges.Gauges` that nothing has to be waited for, `process` what the operating system
    tells of it, by metric.
    """

    incarnation: str
    level: Level
    failing: list[str]
    upstreams: dict[str, UpstreamState]
    counted: Counted
    gauges: dict[str, Any]
    process: dict[str, float]


def report(
    metrics: Metrics, incarnation: str, level: Level, failing: list[str], upstreams: Mapping[str, UpstreamState]
) -> Report:
    """What this process has counted in `metrics`, and how it stands."""
    gauges = {name: getattr(metrics.gauges, name)() for name in (*_COUNTED, *_STANDING)}
    process = {family.name: family.samples[0].value for family in ProcessCollector(registry=None).collect()}
    counted = Counted(
        {family.name: dict(family) for family in metrics.counted() if not isinstance(family, Durations)},
        {family.name: dict(family) for family in metrics.counted() if isinstance(family, Durations)},
    )
    for name, numbers in _COUNTED.items():
        counted.numbers[name] = numbers(gauges.pop(name))
    for name, evictions in _EVICTIONS.items():
        tier: OnDisk | InRedis | None = gauges[name]
        counted.numbers[evictions] = {(): tier.evictions if tier is not None else 0}
    counted.numbers[_CPU] = {(): process.pop(_CPU, 0.0)}
    return Report(incarnation, level, failing, dict(upstreams), counted, gauges, process)


class Estate:
    """What all workers have counted: those that run as they told last, and those that have ended as well."""

    def __init__(self, kept: bytes = b"") -> None:
        self._gone = Counted()
        self._last = dict[int, tuple[str, Counted]]()
        if kept:
            self._gone, self._last = pickle.loads(kept)  # noqa: S301 - it comes from a process of our own

    def hear(self, number: int, told: Report) -> None:
        """The worker with that number has told this; what it has counted if it is another one than before stays."""
        incarnation, counted = self._last.get(number, (told.incarnation, told.counted))
        if incarnation != told.incarnation:
            for _ in self._gone.add(counted):
                pass
        self._last[number] = told.incarnation, told.counted

    def parts(self) -> list[Counted]:
        """Which, added up, are all of it."""
        return [self._gone, *[counted for _, counted in self._last.values()]]

    def kept(self) -> bytes:
        """To begin another one with."""
        return pickle.dumps((self._gone, self._last), pickle.HIGHEST_PROTOCOL)


def combined(own: Metrics, version: str, total: Counted, told: Sequence[Report], size: int) -> Metrics:
    """All workers' metrics: what they have counted in `total`, and how those stand that have `told`, the own one first.

    What has to be waited for is the own one's: all workers have one ledger. `size` is how many workers there should be.
    """
    values = {name: way([one.gauges[name] for one in told]) for name, way in _STANDING.items()}
    values |= {name: _restored(name, total.numbers.get(name, {})) for name in _COUNTED}
    for name, evictions in _EVICTIONS.items():
        if values[name] is not None:
            values[name] = values[name]._replace(evictions=int(total.numbers[evictions][()]))
    told_by_all: dict[str, Any] = {name: _always(value) for name, value in values.items()}
    gauges = replace(own.gauges, **told_by_all)
    metrics = Metrics(gauges, version, _Processes(told, total.numbers.get(_CPU, {}).get((), 0.0), size))
    for family in metrics.counted():
        counted: Mapping[Any, Any] = total.histograms if isinstance(family, Durations) else total.numbers
        family.update(counted.get(family.name, {}))
    return metrics


def best(states: Iterable[UpstreamState]) -> UpstreamState | None:
    """How an upstream is where it is best: whether some requests get through to it; None where nobody knows it."""
    return min(states, key=lambda state: BEST_FIRST.index(state.state), default=None)


class _Processes(Collector):
    """What the operating system tells of all processes, and how many of them serve."""

    def __init__(self, told: Sequence[Report], cpu: float, size: int) -> None:
        self._told = told
        self._cpu = cpu
        self._size = size

    def collect(self) -> Iterator[Metric]:
        serving = sum([not one.failing for one in self._told])
        yield GaugeMetricFamily("gateway_workers", "Workers that there should be.", self._size)
        yield GaugeMetricFamily("gateway_workers_ready", "Workers that are ready.", serving)
        yield CounterMetricFamily(_CPU, "Total user and system CPU time spent in seconds.", self._cpu)
        for name, (way, about) in _PROCESS.items():
            values = [one.process[name] for one in self._told if name in one.process]
            if values:
                yield GaugeMetricFamily(name, about, way(values))


def _first(values: Sequence[Any]) -> Any:
    return values[0]


def _anywhere(values: Sequence[Mapping[str, bool]]) -> dict[str, bool]:
    """Of each upstream, whether it is well for some worker: those that do not know have not asked for a while."""
    names = dict.fromkeys([name for ups in values for name in ups])
    return {name: any(ups.get(name, False) for ups in values) for name in names}


def _disks(values: Sequence[OnDisk | None]) -> OnDisk | None:
    disks = [disk for disk in values if disk is not None]
    if not disks:
        return None
    responses, used, evictions, ups = zip(*disks, strict=True)
    return OnDisk(sum(responses), sum(used), sum(evictions), all(ups))


def _soonest(values: Sequence[float | None]) -> float | None:
    return min([value for value in values if value is not None], default=None)


def _alone(number: int) -> dict[Labels, float]:
    return {(): number}


def _by_route(tokens: Mapping[str, int]) -> dict[Labels, float]:
    return {(route,): number for route, number in tokens.items()}


def _restored(name: str, numbers: Mapping[Labels, float]) -> object:
    """In the form that the gauge has it."""
    if _COUNTED[name] is _alone:
        return int(numbers.get((), 0))
    return {labels[0]: number for labels, number in numbers.items()} if _COUNTED[name] is _by_route else numbers


def _always(value: object) -> Callable[[], object]:
    return lambda: value


# How the gauges of `gauges.Gauges` are put together: counted since the start, by labels; or as they stand.
_COUNTED: Mapping[str, Callable[[Any], dict[Labels, float]]] = {
    "evictions": _alone,
    "log_lines_dropped": _alone,
    "tokens_charged": dict,
    "tokens_released": _by_route,
}
_STANDING: Mapping[str, Callable[[Sequence[Any]], Any]] = {
    "stored_responses": sum,
    "stored_bytes": sum,
    "disk": _disks,
    "shared": _first,
    "fetches_in_flight": sum,
    "ledger_bytes": _first,
    "store_up": all,
    "config_reload_ok": _first,
    "config_reload_time": _first,
    "certificate_expires": _soonest,
    "upstreams_up": _anywhere,
}
_PROCESS: Mapping[str, tuple[Callable[[Sequence[float]], float], str]] = {
    "process_virtual_memory_bytes": (sum, "Virtual memory size in bytes."),
    "process_resident_memory_bytes": (sum, "Resident memory size in bytes."),
    "process_start_time_seconds": (min, "Start time of the process since unix epoch in seconds."),
    "process_open_fds": (sum, "Number of open file descriptors."),
    "process_max_fds": (min, "Maximum number of open file descriptors."),
}
