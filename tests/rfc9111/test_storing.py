"""RFC 9111 §3 and §5.2.1.5, RFC 9110 §9.3.3, RFC 9213: whether a response is stored."""

import pytest
from multidict import CIMultiDict

from gateway.rfc9111.dates import format_date
from gateway.rfc9111.stored import Policy
from gateway.rfc9111.storing import NotStored, Storable, Unstorable, storability

NOW = 784111777.0  # Sun, 06 Nov 1994 08:49:37 GMT
PAST, FUTURE = format_date(NOW - 60), format_date(NOW + 60)
PURE = Policy()
TTL = Policy(ttl=900.0, ttl_by_status={410: 60.0})
OVERRIDE = Policy(ttl=900.0, override_origin=True)

Lines = list[tuple[str, str]]


def cc(value: str, *more: tuple[str, str]) -> Lines:
    return [("Cache-Control", value), *more]


def varying(count: int) -> tuple[str, str]:
    return "Vary", ", ".join(f"X-{number}" for number in range(count))


ODD_STATUSES = (299, 302, 400, 403, 499, 500, 502, 503, 504, 599, 999)
ETAG = ("ETag", '"a"')
COOKIE = ("Set-Cookie", "a=b")


@pytest.mark.parametrize(
    ("status", "fields", "policy"),
    [
        pytest.param(200, cc("max-age=60"), PURE, id="3-max-age"),
        pytest.param(200, cc("s-maxage=60"), PURE, id="3-s-maxage"),
        pytest.param(200, [("Expires", FUTURE)], PURE, id="3-expires"),
        *(pytest.param(status, cc("max-age=60"), PURE, id=f"3-{status}-explicit") for status in ODD_STATUSES),
        *(pytest.param(status, [("Expires", FUTURE)], TTL, id=f"3-{status}-expires") for status in ODD_STATUSES),
        pytest.param(302, cc("max-age=60"), TTL, id="3-redirect-explicit"),
        pytest.param(200, [], TTL, id="3-ttl"),
        pytest.param(410, [], TTL, id="3-ttl-by-status"),
        pytest.param(200, cc('private="a", max-age=60'), PURE, id="5.2.2.7-qualified-private"),
        pytest.param(200, cc('no-cache="a", max-age=60'), PURE, id="5.2.2.4-qualified-no-cache"),
        pytest.param(200, cc("no-store, must-understand, max-age=60"), PURE, id="5.2.2.3-understood"),
        pytest.param(200, cc('max-age=60, no-cache="Set-Cookie"', COOKIE), PURE, id="7.3-cookie-withheld"),
        pytest.param(200, cc("max-age=0", ETAG), PURE, id="4.3-zero-with-validator"),
        pytest.param(200, cc("no-cache", ETAG), PURE, id="4.3-no-cache-with-validator-pure"),
        pytest.param(200, cc("no-cache", ETAG), TTL, id="4.3-no-cache-with-validator-ttl"),
        pytest.param(200, [("Last-Modified", PAST)], PURE, id="4.3-validator-alone"),
        pytest.param(200, cc("max-age=60", varying(64)), PURE, id="4.1-many-in-vary"),
        pytest.param(404, [ETAG], PURE, id="4.3-validator-heuristically-cacheable"),
        pytest.param(302, cc("public", ETAG), PURE, id="4.3-validator-public"),
        pytest.param(302, cc("public", ("Last-Modified", PAST)), PURE, id="4.2.2-public"),
        pytest.param(200, [("CDN-Cache-Control", "max-age=60")], PURE, id="RFC9213-2.2-max-age"),
        pytest.param(
            200, cc("no-store", ("CDN-Cache-Control", "max-age=60")), PURE, id="RFC9213-2.2-over-cache-control"
        ),
        pytest.param(200, cc("max-age=60", ("CDN-Cache-Control", "No-Store")), PURE, id="RFC9213-2.1-invalid"),
        pytest.param(200, cc("max-age=0, stale-while-revalidate=5"), PURE, id="RFC5861-3-stale-by-origin"),
        pytest.param(200, cc("max-age=0, stale-if-error=5"), PURE, id="RFC5861-4-stale-by-origin"),
        pytest.param(200, cc("max-age=0"), Policy(stale_if_error=5.0), id="RFC5861-4-stale-by-route"),
        pytest.param(200, cc("no-store"), OVERRIDE, id="5.2.2.5-override-no-store"),
        pytest.param(200, cc("private, max-age=0"), OVERRIDE, id="5.2.2.7-override-private"),
        pytest.param(200, cc("no-cache"), OVERRIDE, id="5.2.2.4-override-no-cache"),
    ],
)
def test_storable(status: int, fields: Lines, policy: Policy) -> None:
    outcome = storability("GET", status, CIMultiDict(fields), policy, authorized=False, public=True, now=NOW)
    assert outcome == Storable()


@pytest.mark.parametrize(
    ("status", "fields", "policy", "reason"),
    [
        pytest.param(200, cc("no-store, max-age=60"), TTL, Unstorable.no_store, id="3-no-store"),
        pytest.param(200, cc('x="a, No-Store'), TTL, Unstorable.no_store, id="3-no-store-behind-unclosed-quote"),
        pytest.param(599, cc("no-store, must-understand"), TTL, Unstorable.no_store, id="5.2.2.3-no-store"),
        pytest.param(599, cc("must-understand, max-age=60"), TTL, Unstorable.status, id="5.2.2.3-not-understood"),
        pytest.param(200, cc("private, max-age=60"), TTL, Unstorable.private, id="5.2.2.7-private"),
        pytest.param(200, cc('private="", max-age=60'), TTL, Unstorable.private, id="5.2.2.7-private-empty"),
        pytest.param(200, cc("public, max-age=60", COOKIE), TTL, Unstorable.set_cookie, id="7.3-cookie"),
        pytest.param(200, [COOKIE], OVERRIDE, Unstorable.set_cookie, id="7.3-cookie-override"),
        pytest.param(200, cc("max-age=60", ("Vary", "a, *")), TTL, Unstorable.vary_star, id="4.1-vary-star"),
        pytest.param(200, cc("max-age=60", varying(65)), PURE, Unstorable.vary_star, id="4.1-vary-without-end"),
        pytest.param(200, [("Vary", "*")], OVERRIDE, Unstorable.vary_star, id="4.1-vary-star-override"),
        pytest.param(206, cc("max-age=60"), TTL, Unstorable.partial, id="3.3-partial"),
        pytest.param(304, cc("max-age=60"), TTL, Unstorable.not_modified, id="3-not-modified"),
        pytest.param(412, cc("max-age=60"), TTL, Unstorable.not_modified, id="RFC9110-13.1-precondition"),
        pytest.param(416, cc("max-age=60"), TTL, Unstorable.partial, id="RFC9110-14.2-range"),
        pytest.param(103, cc("max-age=60"), TTL, Unstorable.status, id="3-interim"),
        pytest.param(200, [], PURE, Unstorable.no_lifetime, id="3-nothing"),
        pytest.param(404, [], TTL, Unstorable.no_lifetime, id="3-no-ttl-for-status"),
        pytest.param(404, [ETAG], TTL, Unstorable.no_lifetime, id="3-no-ttl-for-status-with-validator"),
        pytest.param(302, [ETAG], PURE, Unstorable.no_lifetime, id="3-not-heuristically-cacheable"),
        pytest.param(302, [("Last-Modified", PAST)], PURE, Unstorable.no_lifetime, id="4.2.2-not-assumable"),
        pytest.param(200, cc('no-cache="ETag"', ETAG), PURE, Unstorable.no_lifetime, id="5.2.2.4-validator-withheld"),
        pytest.param(
            200,
            cc("max-age=60", ("CDN-Cache-Control", "no-store")),
            TTL,
            Unstorable.no_store,
            id="RFC9213-2.2-no-store",
        ),
        pytest.param(
            200, cc("public", ("CDN-Cache-Control", "private=x")), TTL, Unstorable.private, id="RFC9213-2.1-private"
        ),
        pytest.param(
            200,
            [("CDN-Cache-Control", "none"), ("Expires", FUTURE)],
            PURE,
            Unstorable.no_lifetime,
            id="RFC9213-2.2-expires",
        ),
        pytest.param(200, cc("public"), PURE, Unstorable.no_lifetime, id="3-public-alone"),
        pytest.param(200, cc("max-age=0"), TTL, Unstorable.no_lifetime, id="3-zero"),
        pytest.param(200, [("Expires", PAST)], TTL, Unstorable.no_lifetime, id="3-expired"),
        pytest.param(200, cc("no-cache, max-age=60"), TTL, Unstorable.no_lifetime, id="3-no-cache-without-validator"),
        pytest.param(404, cc("no-store"), OVERRIDE, Unstorable.no_store, id="5.2.2.5-override-without-ttl"),
        pytest.param(
            200,
            cc("max-age=0, must-revalidate"),
            Policy(stale_while_revalidate=9.0, stale_if_error=9.0),
            Unstorable.no_lifetime,
            id="5.2.2.2-no-stale-use",
        ),
    ],
)
def test_not_stored(status: int, fields: Lines, policy: Policy, reason: Unstorable) -> None:
    outcome = storability("GET", status, CIMultiDict(fields), policy, authorized=False, public=True, now=NOW)
    assert outcome == NotStored(reason)


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "QUERY", "get", "post"])
def test_3_methods_that_are_not_stored(method: str) -> None:
    fields = CIMultiDict(cc("max-age=60"))
    outcome = storability(method, 200, fields, PURE, authorized=False, public=True, now=NOW)
    assert outcome == NotStored(Unstorable.method)


@pytest.mark.parametrize(
    ("fields", "policy", "expected"),
    [
        pytest.param(cc("max-age=60"), PURE, Storable(), id="RFC9110-9.3.3-explicit"),
        pytest.param([("Expires", FUTURE)], PURE, Storable(), id="RFC9110-9.3.3-expires"),
        pytest.param([ETAG], PURE, NotStored(Unstorable.no_lifetime), id="RFC9110-9.3.3-validator-alone"),
        pytest.param([("Last-Modified", PAST)], PURE, NotStored(Unstorable.no_lifetime), id="RFC9110-9.3.3-heuristic"),
        pytest.param([], TTL, NotStored(Unstorable.no_lifetime), id="RFC9110-9.3.3-ttl-is-for-get"),
        pytest.param([], OVERRIDE, NotStored(Unstorable.no_lifetime), id="RFC9110-9.3.3-override-is-for-get"),
        pytest.param(cc("max-age=60, private"), PURE, NotStored(Unstorable.private), id="RFC9110-9.3.3-private"),
    ],
)
def test_post(fields: Lines, policy: Policy, expected: Storable | NotStored) -> None:
    outcome = storability("POST", 200, CIMultiDict(fields), policy, authorized=False, public=True, now=NOW)
    assert outcome == expected


@pytest.mark.parametrize(
    ("fields", "policy", "reason"),
    [
        pytest.param(cc("max-age=60"), PURE, Unstorable.request_no_store, id="5.2.1.5-storable"),
        pytest.param([], OVERRIDE, Unstorable.request_no_store, id="5.2.1.5-override"),
        pytest.param(cc("no-store, must-understand"), TTL, Unstorable.request_no_store, id="5.2.1.5-must-understand"),
        pytest.param(cc("private"), TTL, Unstorable.private, id="5.2.1.5-personal-first"),
    ],
)
def test_a_request_may_say_no_store(fields: Lines, policy: Policy, reason: Unstorable) -> None:
    whole = CIMultiDict(fields)
    assert storability("GET", 200, whole, policy, authorized=False, public=True, now=NOW, unstored=True) == NotStored(
        reason
    )


@pytest.mark.parametrize("name", ["Cache-Control", "CDN-Cache-Control"])
@pytest.mark.parametrize(
    ("value", "public", "expected"),
    [
        pytest.param("max-age=60", True, NotStored(Unstorable.authorization), id="3.5-max-age"),
        pytest.param("max-age=60, proxy-revalidate", True, NotStored(Unstorable.authorization), id="3.5-proxy"),
        pytest.param("max-age=60, public", True, Storable(), id="3.5-public"),
        pytest.param("max-age=60, must-revalidate", True, Storable(), id="3.5-must-revalidate"),
        pytest.param("s-maxage=60", True, Storable(), id="3.5-s-maxage"),
        pytest.param("max-age=60", False, Storable(), id="3.5-metered"),
    ],
)
def test_authorized(name: str, value: str, public: bool, expected: Storable | NotStored) -> None:
    fields = CIMultiDict({name: value})
    assert storability("GET", 200, fields, PURE, authorized=True, public=public, now=NOW) == expected


def test_rfc9213_2_2_a_targeted_field_alone_says_who_may_share() -> None:
    fields = CIMultiDict(cc("public", ("CDN-Cache-Control", "max-age=60")))
    outcome = storability("GET", 200, fields, PURE, authorized=True, public=True, now=NOW)
    assert outcome == NotStored(Unstorable.authorization)


def test_3_personal_reasons_are_those_that_no_follower_may_share() -> None:
    shared = {reason for reason in Unstorable if not NotStored(reason).personal}
    assert shared == {
        Unstorable.request_no_store,
        Unstorable.method,
        Unstorable.status,
        Unstorable.no_lifetime,
        Unstorable.too_large,
    }
    assert all(reason.detail for reason in Unstorable)


def test_3_a_personal_reason_wins_over_a_shared_one() -> None:
    fields = CIMultiDict(cc("private"))
    outcome = storability("POST", 404, fields, PURE, authorized=True, public=True, now=NOW)
    assert outcome == NotStored(Unstorable.private)
