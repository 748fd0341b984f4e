import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.answers.cache_status import CacheStatus, cache_status, cache_status_line, is_readable


@pytest.mark.parametrize(
    ("status", "value"),
    [
        pytest.param(CacheStatus(), "gateway", id="9211-2-own-answer"),
        pytest.param(CacheStatus(hit=True, ttl=376), "gateway; hit; ttl=376", id="9211-2.1-hit"),
        pytest.param(CacheStatus(hit=True, ttl=-412), "gateway; hit; ttl=-412", id="9211-2.4-stale"),
        pytest.param(CacheStatus(hit=True, ttl=0), "gateway; hit; ttl=0", id="9211-2.4-zero"),
        pytest.param(
            CacheStatus(fwd="uri-miss", fwd_status=200, stored=True, collapsed=True),
            "gateway; fwd=uri-miss; fwd-status=200; stored; collapsed",
            id="9211-2.2-miss",
        ),
        pytest.param(
            CacheStatus(fwd="stale", fwd_status=304, ttl=900, stored=True),
            "gateway; fwd=stale; fwd-status=304; ttl=900; stored",
            id="9211-2.3-validated",
        ),
        pytest.param(
            CacheStatus(fwd="bypass", detail="no_store"), "gateway; fwd=bypass; detail=no_store", id="9211-2.8-token"
        ),
        pytest.param(
            CacheStatus(fwd="miss", detail='say "no"\\'),
            'gateway; fwd=miss; detail="say \\"no\\"\\\\"',
            id="9211-2.8-string",
        ),
        pytest.param(CacheStatus(detail=""), 'gateway; detail=""', id="9211-2.8-empty"),
        pytest.param(CacheStatus(detail="9lives"), 'gateway; detail="9lives"', id="9651-3.3.4-digit-first"),
        pytest.param(CacheStatus(detail="é\r\n"), 'gateway; detail="???"', id="9651-3.3.3-printable"),
        pytest.param(CacheStatus(detail="word\n"), 'gateway; detail="word?"', id="9651-3.3.4-newline-last"),
    ],
)
def test_value_and_line(status: CacheStatus, value: str) -> None:
    assert cache_status(status) == value
    assert cache_status_line(status) == f"Cache-Status: {value}\r\n".encode()


@pytest.mark.parametrize(
    ("origin", "value"),
    [
        pytest.param(
            "OriginCache; hit; ttl=1100", "OriginCache; hit; ttl=1100, gateway; hit; ttl=5", id="9211-2-order"
        ),
        pytest.param("", "gateway; hit; ttl=5", id="empty"),
        pytest.param(None, "gateway; hit; ttl=5", id="none"),
    ],
)
def test_caches_nearer_the_origin_come_first(origin: str | None, value: str) -> None:
    assert cache_status(CacheStatus(hit=True, ttl=5), origin) == value


@pytest.mark.parametrize(
    ("lines", "readable"),
    [
        pytest.param(["Origin; hit, Edge; fwd=stale"], True, id="9211-2-two-members"),
        pytest.param(["Origin; hit", '"the edge"'], True, id="9651-4.2-two-lines"),
        pytest.param(["HIT from there"], False, id="9651-4.2.1-no-list"),
        pytest.param(["Origin; hit,"], False, id="9651-4.2.1-trailing-comma"),
        pytest.param(["Origin; hit", ""], False, id="9651-4.2.1-an-empty-line"),
        pytest.param([""], False, id="9651-4.2-empty"),
        pytest.param(["\udcff"], False, id="9651-4.2-not-ascii"),
    ],
)
def test_what_another_member_may_follow(lines: list[str], *, readable: bool) -> None:
    assert is_readable(lines) is readable


@given(st.text())
def test_any_detail_is_one_token_or_one_string(detail: str) -> None:
    value = cache_status(CacheStatus(detail=detail)).removeprefix("gateway; detail=")
    token = r"[A-Za-z*][!#$%&'*+.^_`|~:/0-9A-Za-z-]*"
    string = r'"(?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"'
    assert re.fullmatch(f"{token}|{string}", value)
