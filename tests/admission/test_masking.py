"""Targets as they may be shown."""

from dataclasses import replace

import pytest
from admission.snapshots import ACCEPT, REFRESH, make_request, make_snapshot, seed_route

from gateway.admission.masking import masked
from gateway.admission.prepare import Preparer
from gateway.admission.snapshot import KeySource

ACCEPTING = (*ACCEPT, KeySource("query", "api_key"))


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        pytest.param("/a", "/a", id="no query"),
        pytest.param("/a?b=1&b=2", "/a?b=1&b=2", id="nothing secret"),
        pytest.param("/a?b=1&api_key=s", "/a?b=1&api_key=...", id="an API key"),
        pytest.param("/a?api%5Fkey=s", "/a?api%5Fkey=...", id="an API key, spelled otherwise"),
        pytest.param("/a?api_key", "/a?api_key", id="an API key without a value"),
    ],
)
def test_masked(target: str, shown: str) -> None:
    assert masked(target, make_snapshot(accept=ACCEPTING)) == shown


def test_what_a_forced_fetch_adds_is_the_configs_secret() -> None:
    snapshot = make_snapshot(seed_route(refresh=replace(REFRESH, upstream_query=(("token", "s"),))))
    prepared = Preparer(snapshot).prepare(make_request("/v1/products/1"))
    assert masked("/v1/products/1?token=s&a=b", snapshot, prepared) == "/v1/products/1?token=...&a=b"
