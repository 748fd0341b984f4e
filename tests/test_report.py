"""Workers' numbers put together: sums that never become less, and a way for each gauge."""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.in_process import no_gauges

from gateway.admission.breaker import State
from gateway.errors import Reason
from gateway.gauges import Gauges, InRedis, OnDisk
from gateway.metrics import Metrics
from gateway.report import Counted, Estate, Report, best, combined, report
from gateway.upstreams.circuit import UpstreamState

# What has to be waited for is told by the first worker alone.
WAITED_FOR = {"accounts_above", "ledger_drift"}


def metrics_of(**gauges: Callable[[], Any]) -> Metrics:
    changed: dict[str, Any] = {**gauges}
    return Metrics(replace(no_gauges(), **changed), "0")


def report_of(metrics: Metrics, incarnation: str = "a", failing: tuple[str, ...] = ()) -> Report:
    return report(metrics, incarnation, "info", [*failing], {})


def total_of(estate: Estate) -> Counted:
    total = Counted()
    for part in estate.parts():
        for _ in total.add(part):
            pass
    return total


def together(*metrics: Metrics) -> Metrics:
    estate, told = Estate(), [report_of(one, str(number)) for number, one in enumerate(metrics)]
    for number, one in enumerate(told):
        estate.hear(number, one)
    return combined(metrics[0], "0", total_of(estate), told, len(told))


def samples(metrics: Metrics) -> dict[tuple[str, tuple[str, ...]], float]:
    lines = metrics.exposition(None)[1].decode().splitlines()
    values = (line.rpartition(" ") for line in lines if line.startswith(("gateway_", "process_")))
    return {(name.partition("{")[0], (name.partition("{")[2],)): float(value) for name, _, value in values}


@pytest.mark.parametrize(
    ("name", "each", "of_all"),
    [
        pytest.param("stored_responses", (3, 4), 7, id="sum"),
        pytest.param("stored_bytes", (3, 4), 7, id="sum of bytes"),
        pytest.param("evictions", (3, 4), 7, id="sum of what was counted"),
        pytest.param("log_lines_dropped", (3, 4), 7, id="sum of lines"),
        pytest.param("fetches_in_flight", (3, 4), 7, id="sum of fetches"),
        pytest.param("ledger_bytes", (3, 4), 3, id="the first one's, of what all share"),
        pytest.param("config_reload_ok", (False, True), False, id="the first one's, which alone reads it"),
        pytest.param("config_reload_time", (5.0, 6.0), 5.0, id="the first one's time"),
        pytest.param("store_up", (True, False), False, id="all"),
        pytest.param("certificate_expires", (9.0, 8.0), 8.0, id="the soonest"),
        pytest.param("certificate_expires", (None, None), None, id="none"),
        pytest.param(
            "upstreams_up",
            ({"a": True, "b": False}, {"a": False, "b": False, "c": True}),
            {"a": True, "b": False, "c": True},
            id="any",
        ),
        pytest.param(
            "tokens_charged",
            ({("r", "lookup"): 1}, {("r", "lookup"): 2, ("s", "lookup"): 4}),
            {("r", "lookup"): 3, ("s", "lookup"): 4},
            id="sums by labels",
        ),
        pytest.param("tokens_released", ({"r": 1}, {"r": 2, "s": 4}), {"r": 3, "s": 4}, id="sums by route"),
        pytest.param("disk", (OnDisk(1, 2, 3, up=True), None), OnDisk(1, 2, 3, up=True), id="one disk"),
        pytest.param(
            "disk", (OnDisk(1, 2, 3, up=True), OnDisk(4, 5, 6, up=False)), OnDisk(5, 7, 9, up=False), id="disks"
        ),
        pytest.param("disk", (None, None), None, id="no disk"),
        pytest.param(
            "shared", (InRedis(1, 2, 3), InRedis(1, 2, 6)), InRedis(1, 2, 9), id="one Redis, and who put out of it"
        ),
    ],
)
def test_each_gauge_has_its_way(name: str, each: tuple[Any, Any], of_all: object) -> None:
    first, second = (metrics_of(**{name: lambda value=value: value}) for value in each)
    assert getattr(together(first, second).gauges, name)() == of_all


def test_no_gauge_is_left_out() -> None:
    told = report_of(Metrics(no_gauges(), "0"))
    counted = {"evictions", "log_lines_dropped", "tokens_charged", "tokens_released"}
    assert {*told.gauges} | counted | WAITED_FOR == {field.name for field in fields(Gauges)}


def test_what_was_counted_is_added_up_bucket_by_bucket() -> None:
    first, second = metrics_of(), metrics_of()
    for metrics, seconds in ((first, 0.001), (second, 0.001), (second, 3.0)):
        metrics.request("r", 200, "hit", seconds)
    second.refusal("r", Reason.throttled)
    whole = together(first, second)
    assert whole.requests["r", 200, "hit"] == 3
    assert whole.refusals["r", "throttled"] == 1
    histogram = whole.request_seconds["r", "hit"]
    assert sum(histogram.counts) == 3
    assert histogram.total == pytest.approx(3.002)
    # Nothing of it is the workers' own.
    assert sum(first.request_seconds["r", "hit"].counts) == 1


def test_processes_are_added_up_and_one_build_is_told() -> None:
    told = samples(together(metrics_of(), metrics_of()))
    assert told["gateway_workers", ("",)] == told["gateway_workers_ready", ("",)] == 2
    assert len([name for name, _ in told if name == "gateway_build_info"]) == 1
    alone = samples(metrics_of())
    assert told["process_open_fds", ("",)] == pytest.approx(2 * alone["process_open_fds", ("",)], abs=4)
    assert told["process_start_time_seconds", ("",)] == alone["process_start_time_seconds", ("",)]
    assert {name for name, _ in alone} < {name for name, _ in told}


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(("count", "die", "first dies"))), max_size=30))
def test_no_count_ever_becomes_less(steps: list[tuple[int, str]]) -> None:
    """Whoever dies, the first one included, as long as what was told before was kept."""
    estate, counted, lives = Estate(), 0, [0, 0, 0]
    workers = [metrics_of() for _ in lives]
    for number, step in steps:
        if step == "count":
            workers[number].requests["r", 200, "hit"] += 1
            counted += 1
        else:
            workers[number], lives[number] = metrics_of(), lives[number] + 1
        if step == "first dies":
            estate = Estate(estate.kept())
        for of, metrics in enumerate(workers):
            estate.hear(of, report_of(metrics, f"{of}-{lives[of]}"))
        assert total_of(estate).numbers["gateway_requests"].get(("r", 200, "hit"), 0) == counted


@pytest.mark.parametrize(
    ("states", "found"),
    [
        pytest.param((), None, id="nobody knows it"),
        pytest.param((State.open, State.failing), State.failing, id="the best"),
        pytest.param((State.open, State.closed, State.half_open), State.closed, id="one that gets through"),
    ],
)
def test_an_upstream_is_as_well_as_where_it_is_best(states: tuple[State, ...], found: State | None) -> None:
    told = best([UpstreamState(state, 0.0, 0, 0, 1) for state in states])
    assert (None if told is None else told.state) == found
