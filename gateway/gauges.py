"""What is read at a scrape instead of counted on a request's way, as Prometheus families."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

PERCENTS = (80, 95, 100)
"""Of a grant: so much of it used is told of."""


class OnDisk(NamedTuple):
    """Stored responses on disk: how many, bytes that they take, how many made room, whether it can be written."""

    responses: int
    bytes: int
    evictions: int
    up: bool


class InRedis(NamedTuple):
    """Stored responses that a fleet shares: how many, bytes that they take, how many this process has put out."""

    responses: int
    bytes: int
    evictions: int


@dataclass(slots=True, frozen=True)
class Gauges:
    """Where it is read; none may raise.

    `tokens_charged` counts by route and by the ledger's closed set of reasons, `tokens_released` by route, both and
    `evictions` since the start. `accounts_above` takes percentages: for each, the accounts that have used that much of
    their grant. `config_reload_time` and `certificate_expires`, which is None without TLS, are in seconds since the
    epoch, bytes and tokens are whole numbers. `disk` and `shared` are None where nothing is kept there. `upstreams_up`
    goes by the upstream's name.
    """

    stored_responses: Callable[[], int]
    stored_bytes: Callable[[], int]
    evictions: Callable[[], int]
    disk: Callable[[], OnDisk | None]
    shared: Callable[[], InRedis | None]
    fetches_in_flight: Callable[[], int]
    tokens_charged: Callable[[], Mapping[tuple[str, str], int]]
    tokens_released: Callable[[], Mapping[str, int]]
    accounts_above: Callable[[Sequence[int]], Awaitable[Mapping[int, int]]]
    ledger_drift: Callable[[], Awaitable[int]]
    ledger_bytes: Callable[[], int]
    store_up: Callable[[], bool]
    config_reload_ok: Callable[[], bool]
    config_reload_time: Callable[[], float]
    certificate_expires: Callable[[], float | None]
    upstreams_up: Callable[[], Mapping[str, bool]]
    log_lines_dropped: Callable[[], int]


def families(gauges: Gauges, accounts_above: Mapping[int, int], ledger_drift: int) -> Iterator[Metric]:
    """All of them; what has to be waited for is given: `accounts_above` is of `PERCENTS`."""
    yield from _stored(gauges)
    yield from _on_disk(gauges.disk())
    yield from _in_redis(gauges.shared())
    yield from _tokens(gauges)
    yield from _ledger(gauges, accounts_above, ledger_drift)
    yield _upstreams(gauges)
    yield from _process(gauges)


def _stored(gauges: Gauges) -> Iterator[Metric]:
    gauge = GaugeMetricFamily
    yield gauge("gateway_fetches_in_flight", "Fetches under way.", gauges.fetches_in_flight())
    yield gauge("gateway_stored_responses", "Responses in the memory tier.", gauges.stored_responses())
    yield gauge("gateway_stored_bytes", "Bytes that the memory tier holds.", gauges.stored_bytes())
    yield CounterMetricFamily("gateway_evictions", "Stored responses that made room.", gauges.evictions())


def _on_disk(disk: OnDisk | None) -> Iterator[Metric]:
    if disk is None:
        return
    gauge, put_out = GaugeMetricFamily, "Stored responses that made room on disk."
    yield gauge("gateway_stored_disk_responses", "Responses on disk.", disk.responses)
    yield gauge("gateway_stored_disk_bytes", "Bytes of the file of responses that are used.", disk.bytes)
    yield CounterMetricFamily("gateway_disk_evictions", put_out, disk.evictions)
    yield gauge("gateway_stored_disk_up", "Whether the file of responses can be used.", disk.up)


def _in_redis(shared: InRedis | None) -> Iterator[Metric]:
    if shared is None:
        return
    gauge, put_out = GaugeMetricFamily, "Stored responses that this gateway's saves put out of Redis."
    yield gauge("gateway_stored_shared_responses", "Responses in Redis, of all gateways.", shared.responses)
    yield gauge("gateway_stored_shared_bytes", "Bytes that they take there.", shared.bytes)
    yield CounterMetricFamily("gateway_shared_evictions", put_out, shared.evictions)


def _tokens(gauges: Gauges) -> Iterator[Metric]:
    charged = CounterMetricFamily("gateway_tokens_charged", "Tokens charged.", labels=["route", "reason"])
    for labels, tokens in list(gauges.tokens_charged().items()):
        charged.add_metric(list(labels), tokens)
    yield charged
    released = CounterMetricFamily("gateway_tokens_released", "Tokens reserved and given back.", labels=["route"])
    for route, tokens in list(gauges.tokens_released().items()):
        released.add_metric([route], tokens)
    yield released


def _ledger(gauges: Gauges, accounts_above: Mapping[int, int], ledger_drift: int) -> Iterator[Metric]:
    gauge = GaugeMetricFamily
    above = gauge("gateway_accounts_above", "Accounts that used this much of their grant.", labels=["percent"])
    for percent in PERCENTS:
        above.add_metric([str(percent)], accounts_above[percent])
    yield above
    yield gauge("gateway_ledger_drift_tokens", "Tokens the ledger cannot account for.", ledger_drift)
    yield gauge("gateway_ledger_bytes", "Bytes of the ledger on disk.", gauges.ledger_bytes())
    yield gauge("gateway_store_up", "Whether the store can be reached.", gauges.store_up())


def _upstreams(gauges: Gauges) -> Metric:
    about = "Whether requests are sent upstream, and not all fail."
    up = GaugeMetricFamily("gateway_upstream_up", about, labels=["upstream"])
    for name, well in list(gauges.upstreams_up().items()):
        up.add_metric([name], well)
    return up


def _process(gauges: Gauges) -> Iterator[Metric]:
    gauge, reload = GaugeMetricFamily, "gateway_config_last_reload"
    lost = "Log lines that were not written: the reader was too slow, or could not be written to."
    yield CounterMetricFamily("gateway_log_lines_dropped", lost, gauges.log_lines_dropped())
    yield gauge(f"{reload}_successful", "Whether the last config load worked.", gauges.config_reload_ok())
    yield gauge(f"{reload}_success_timestamp_seconds", "When a config was last loaded.", gauges.config_reload_time())
    expires = gauges.certificate_expires()
    if expires is not None:
        about = "When the certificate that clients are shown expires."
        yield gauge("gateway_tls_certificate_expiry_timestamp_seconds", about, expires)
