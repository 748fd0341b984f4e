"""What an operation says of itself: in Cache-Status, and as the metrics' label."""

from typing import Any

import pytest
from admission.snapshots import make_request, make_snapshot, seed_route

from gateway.admission.prepare import Preparer
from gateway.answers.cache_status import CacheStatus
from gateway.operation import Operation
from gateway.rfc9111.reuse import Fwd


def operation(target: str = "/v1/products/1", **found: Any) -> Operation:
    request = make_request(target)
    return Operation(request, "id", 0.0, Preparer(make_snapshot(seed_route())).prepare(request), **found)


@pytest.mark.parametrize(
    ("found", "label"),
    [
        ({}, "pass"),
        ({"ttl": 5}, "hit"),
        ({"ttl": -5, "stale": True}, "stale"),
        ({"fwd": Fwd.stale, "stale": True, "fwd_status": 500}, "stale"),
        ({"fwd": Fwd.bypass}, "pass"),
        ({"fwd": Fwd.method}, "pass"),
        ({"fwd": Fwd.uri_miss}, "miss"),
        ({"fwd": Fwd.uri_miss, "collapsed": True}, "collapsed"),
        ({"fwd": Fwd.stale, "fwd_status": 304}, "validated"),
        ({"fwd": Fwd.stale, "fwd_status": 200}, "miss"),
    ],
)
def test_the_label(found: dict[str, Any], label: str) -> None:
    assert operation(**found).outcome() == label


def test_a_force_refresh_is_a_refresh_even_collapsed() -> None:
    forced = operation("/v1/products/1?force_refresh=1", fwd=Fwd.request, collapsed=True)
    assert (forced.forced, forced.outcome()) == (True, "refresh")


def test_what_was_not_prepared_is_not_forced() -> None:
    assert not Operation(make_request("/"), "id", 0.0).forced


@pytest.mark.parametrize(
    ("found", "saved"),
    [
        pytest.param({}, False, id="never asked the cache"),
        pytest.param({"ttl": 5}, True, id="hit"),
        pytest.param({"ttl": 5, "detail": "cooldown"}, True, id="cooldown"),
        pytest.param({"ttl": -5, "stale": True}, True, id="stale"),
        pytest.param({"ttl": 5, "called": True}, False, id="hit after a fetch of its own that was overtaken"),
        pytest.param({"ttl": 5, "collapsed": True}, True, id="hit after another's fetch"),
        pytest.param({"ttl": -5, "stale": True, "fwd": Fwd.stale, "called": True}, False, id="stale if error"),
        pytest.param(
            {"ttl": -5, "stale": True, "fwd": Fwd.stale, "fwd_status": 500, "collapsed": True},
            False,
            id="stale as another's fetch failed",
        ),
        pytest.param({"fwd": Fwd.uri_miss, "fwd_status": 200, "called": True}, False, id="miss"),
        pytest.param({"fwd": Fwd.stale, "fwd_status": 304, "called": True}, False, id="validated"),
        pytest.param({"fwd": Fwd.method, "fwd_status": 200}, False, id="passed by"),
        pytest.param({"fwd": Fwd.uri_miss, "fwd_status": 200, "collapsed": True}, True, id="collapsed"),
        pytest.param({"fwd": Fwd.uri_miss, "fwd_status": 404, "collapsed": True}, True, id="collapsed, a 404"),
        pytest.param({"fwd": Fwd.uri_miss, "fwd_status": 503, "collapsed": True}, False, id="collapsed, a failure"),
        pytest.param({"fwd": Fwd.uri_miss, "collapsed": True}, False, id="collapsed, no answer"),
        pytest.param(
            {"fwd": Fwd.uri_miss, "fwd_status": 200, "collapsed": True, "called": True},
            False,
            id="collapsed after a fetch of its own",
        ),
        pytest.param({"ttl": 5, "refusal": "ledger_unavailable"}, False, id="refused"),
    ],
)
def test_what_saved_an_upstream_call(found: dict[str, Any], saved: bool) -> None:
    assert operation(**found).saved is saved


@pytest.mark.parametrize(
    ("found", "status"),
    [
        ({}, CacheStatus()),
        ({"ttl": 5}, CacheStatus(hit=True, ttl=5)),
        (
            {"fwd": Fwd.uri_miss, "fwd_status": 200, "stored": True},
            CacheStatus(fwd="uri-miss", fwd_status=200, stored=True),
        ),
        (
            {"fwd": Fwd.stale, "ttl": -3, "detail": "stale-if-error", "collapsed": True},
            CacheStatus(fwd="stale", ttl=-3, detail="stale-if-error", collapsed=True),
        ),
    ],
)
def test_the_cache_status(found: dict[str, Any], status: CacheStatus) -> None:
    assert operation(**found).cache_status() == status
