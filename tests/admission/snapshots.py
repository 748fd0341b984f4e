"""Snapshots and requests for the admission suites: the seed's route, and small builders for what a test varies."""

from collections.abc import AsyncIterator, Mapping
from hashlib import sha256
from typing import Any

from multidict import CIMultiDict

from gateway.admission.patterns import PathPattern
from gateway.admission.prepare import Preparer
from gateway.admission.prepared import Prepared
from gateway.admission.snapshot import (
    Account,
    CachePolicy,
    KeySource,
    Plan,
    Price,
    PriceOption,
    RefreshPolicy,
    Route,
    Snapshot,
    UpstreamPolicy,
)
from gateway.messages import Request
from gateway.rfc9111.stored import Policy

KEY = "rk_live_alpha"
ACCOUNT = Account("ci", "acme", Plan("pro"), "ci")
ACCEPT = (
    KeySource("bearer"),
    KeySource("basic"),
    KeySource("header", "X-Api-Key"),
    KeySource("header", "Authorization"),
)
TTL = CachePolicy(Policy(ttl=900.0))
PRICE = Price(1, (PriceOption("offers_reviews", 5, ("include_offers", "include_reviews")),), 3)
REFRESH = RefreshPolicy(
    query=("include_force_refresh", "force_refresh"),
    post=PathPattern.parse("/v1/products/{id}/refresh"),
    post_query=(("include_offers", "true"), ("include_reviews", "true")),
)


def digest(key: bytes) -> bytes:
    """What a snapshot finds a key by."""
    return sha256(key).digest()


def make_route(path: str = "/v1/products/{id}", **changes: Any) -> Route:
    """A metered route to upstream `api`, uncached unless said."""
    values: dict[str, Any] = {
        "name": "product",
        "host": "*",
        "path": PathPattern.parse(path),
        "methods": None,
        "upstream": "api",
        "public": False,
        "send_credentials": True,
        "price": PRICE,
    }
    return Route(**values | changes)


ROUTE = make_route()


def seed_route(**changes: Any) -> Route:
    """The seed's: cached by ttl, priced 1 + 5 + 3, both ways to force a refresh."""
    values: dict[str, Any] = {"methods": frozenset({"GET", "HEAD"}), "cache": TTL, "refresh": REFRESH}
    return make_route(**values | changes)


def public_route(path: str = "/public/{rest:.*}", **changes: Any) -> Route:
    """A route without key and price, to upstream `api`."""
    return make_route(path, **{"name": "open", "public": True, "send_credentials": False, "price": None} | changes)


def make_snapshot(*routes: Route, **changes: Any) -> Snapshot:
    """One account, one upstream `api` with credentials of its own; `credentials` changes whose they are."""
    credentials = changes.pop("credentials", "gateway")
    upstream = UpstreamPolicy("api", ("http://up.example",), credentials, (("Authorization", "Bearer upstream"),))
    keys = {digest(KEY.encode()): ACCOUNT}
    values: dict[str, Any] = {"upstreams": {"api": upstream}, "keys": keys, "accept": ACCEPT}
    return Snapshot(routes, **values | changes)


def make_request(
    target: str,
    method: str = "GET",
    fields: Mapping[str, str] | None = None,
    *,
    body: bool = False,
    key: str | None = KEY,
) -> Request:
    """A request as the listener reads it, to host gw.example and with the account's key unless said."""
    given = {"Host": "gw.example"} | ({"Authorization": f"Bearer {key}"} if key else {})
    return Request(method, target, CIMultiDict(given | dict(fields or {})), body=_content() if body else None)


def prepare(route: Route, request: Request, **changes: Any) -> Prepared:
    """The request prepared where `route` is the only one; `changes` as for `make_snapshot`."""
    return Preparer(make_snapshot(route, **changes)).prepare(request)


def groups(prepared: Prepared) -> tuple[str, ...]:
    """What a refresh of this outdates together."""
    return prepared.outdated(prepared.memberships())


async def _content() -> AsyncIterator[bytes]:
    yield b"{}"


IDENTITY = make_snapshot().upstreams["api"].identity
"""How the keys of what is stored from the upstream of these snapshots begin."""
