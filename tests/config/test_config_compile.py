"""From a config to a snapshot: defaults resolved, keys digested."""

from hashlib import sha256
from pathlib import Path

import pytest
from config.test_config_load import SECRETS, SIX_LINES, WHOLE
from config.texts import Read
from support.certificates import issued, place

from gateway.admission.cors import Cors
from gateway.admission.snapshot import (
    Account,
    BreakerPolicy,
    Every,
    KeySource,
    Plan,
    PriceOption,
    Rate,
    Route,
    Share,
    Snapshot,
    ThrottlePolicy,
    UpstreamPolicy,
)
from gateway.config.compile import accounts_by_id, snapshot
from gateway.config.load import single
from gateway.config.warnings import warnings
from gateway.rfc9111.stored import Policy

ONE = "upstreams: {api: {url: http://api}}\n"
TLS = "tls: {cert: tls.crt, key: tls.key}\n"


def account(values: Snapshot, key: str) -> Account:
    return values.keys[sha256(key.encode()).digest()]


def only_route(read: Read, text: str) -> Route:
    [route] = snapshot(read(text)).routes
    return route


def test_the_simplest_case(read: Read) -> None:
    values = snapshot(read(SIX_LINES, {"API_KEY": "sk", "GATEWAY_KEY": "rk"}))
    [route] = values.routes
    assert (route.name, route.host, route.path.text, route.methods) == ("api", "*", "/{path:.*}", None)
    assert (route.upstream, route.public, route.send_credentials) == ("api", False, True)
    assert route.cache
    assert (route.cache.policy, route.cache.share) == (Policy(ttl=900.0), Share.everyone)
    assert route.price
    assert (route.price.base, route.price.options, route.price.force_refresh) == (1, (), 0)
    assert route.refresh
    assert route.refresh.query == ("include_force_refresh", "force_refresh")
    assert route.refresh.post
    assert route.refresh.post.text == "/{path:.*}/refresh"
    assert values.upstreams["api"].headers == (("Authorization", "Bearer sk"),)
    assert account(values, "rk") == Account("me", "me", Plan("unlimited"), "me")


def test_the_whole_case(read: Read) -> None:
    values = snapshot(read(WHOLE, SECRETS))
    product, public = values.routes
    assert product.cache
    assert product.cache.policy == Policy(900.0, {404: 60.0}, False, 30.0, 3600.0)
    assert (product.cache.query_ignore, product.cache.query_sort) == (frozenset({"utm_source"}), True)
    assert [tag.text for tag in product.cache.tags] == ["product:{id}"]
    assert (product.forward, product.methods) == (("x-api-version",), frozenset({"GET", "HEAD"}))
    assert product.price
    assert product.price.options == (PriceOption("offers_reviews", 5, ("include_offers", "include_reviews")),)
    assert (product.price.force_refresh, product.price.charge_on) == (3, frozenset({2, 3, 4}))
    assert product.refresh
    assert product.refresh.post_query == (("include_offers", "true"), ("include_reviews", "true"))
    assert product.refresh.post
    assert product.refresh.post.text == "/v1/products/{id}/refresh"
    assert (public.public, public.price, public.refresh, public.send_credentials) == (True, None, None, False)
    assert public.cache
    assert public.cache.policy == Policy()
    pro = Plan("pro", 2000, Every.month, ThrottlePolicy(Rate(600, 60.0), 600))
    assert values.keys == {sha256(b"rk_live_ci").digest(): Account("acme-ci", "acme", pro, "acme-ci", Rate(100, 60.0))}
    assert values.upstreams["retailer"].cost == ()
    assert values.upstreams["elsewhere"] == UpstreamPolicy("elsewhere", ("http://elsewhere.example",))
    assert values.accept[2] == KeySource("header", "X-Api-Key")


def test_secrets_stay_out_of_the_snapshots_repr(read: Read) -> None:
    shown = repr(snapshot(read(WHOLE, SECRETS)))
    assert not [secret for secret in SECRETS.values() if secret in shown]


@pytest.mark.parametrize(
    ("upstream", "route", "sends"),
    [
        ("gateway", "", True),
        ("gateway", "credentials: upstream", True),
        ("gateway", "access: public", False),
        ("gateway", "access: public, credentials: upstream", True),
        ("client", "", False),
        ("client", "access: public", False),
    ],
)
def test_whose_credentials_are_sent(read: Read, upstream: str, route: str, sends: bool) -> None:
    text = f"upstreams: {{api: {{url: http://api, credentials: {upstream}}}}}\nroutes: [{{{route}}}]\n"
    assert only_route(read, text).send_credentials is sends


@pytest.mark.parametrize(
    ("upstream", "route", "share"),
    [
        ("gateway", "cache: {}", Share.everyone),
        ("gateway", "cache: {share: organization}", Share.organization),
        ("client", "cache: {}", Share.key),
        ("client", "cache: {share: everyone}", Share.everyone),
        ("client", "cache: {}, access: public", Share.everyone),
    ],
)
def test_who_shares(read: Read, upstream: str, route: str, share: Share) -> None:
    text = f"upstreams: {{api: {{url: http://api, credentials: {upstream}}}}}\nroutes: [{{{route}}}]\n"
    cache = only_route(read, text).cache
    assert cache
    assert cache.share is share


@pytest.mark.parametrize(
    ("match", "refresh", "post"),
    [
        ("/v1/{id}", "true", "/v1/{id}/refresh"),
        ("/v1/{id}/", "true", "/v1/{id}/refresh"),
        ("/", "true", "/refresh"),
        ("/v1/{id}", "{post: '/refresh/{id}'}", "/refresh/{id}"),
        ("/v1/{id}", "{post: none}", None),
    ],
)
def test_the_path_of_a_refresh(read: Read, match: str, refresh: str, post: str | None) -> None:
    route = only_route(read, f"{ONE}routes: [{{match: '{match}', cache: 1m, refresh: {refresh}}}]\n")
    assert route.refresh
    assert (route.refresh.post and route.refresh.post.text) == post


def test_what_a_refresh_adds_upstream(read: Read) -> None:
    upstream = "{query: {fresh: 'true'}, headers: {X-Fresh: '1'}}"
    route = only_route(read, f"{ONE}routes: [{{cache: 1m, refresh: {{upstream: {upstream}, cooldown: 5s}}}}]\n")
    assert route.refresh
    assert route.refresh.upstream_query == (("fresh", "true"),)
    assert route.refresh.upstream_headers == (("X-Fresh", "1"),)
    assert route.refresh.cooldown == 5.0


@pytest.mark.parametrize("cors", ["https://a.example", "[https://a.example]", "{origins: 'https://a.example'}"])
def test_which_pages_may_call(read: Read, cors: str) -> None:
    assert only_route(read, f"{ONE}routes: [{{cors: {cors}}}]").cors == Cors(frozenset({"https://a.example"}))


def test_field_names_are_folded(read: Read) -> None:
    route = only_route(read, f"{ONE}routes: [{{forward: [X-A, x-a], cache: {{vary_on: {{headers: [Accept]}}}}}}]\n")
    assert route.cache
    assert (route.forward, route.cache.vary_on) == (("x-a",), ("accept",))


ACCOUNTS = f"""{ONE}routes: [{{}}]
plans: {{small: {{tokens: {{grant: 1}}}}, large: {{tokens: {{grant: 9, every: day}}, throttle: 5/s}}}}
organizations:
  each: {{plan: large, caps: {{force_refresh: 1/min}}}}
  one: {{plan: small, balance: organization}}
  none: {{}}
keys:
- {{id: a, organization: each, key: [ka, '', "sha256:{sha256(b"kb").hexdigest()}"]}}
- {{id: b, organization: each, plan: small, key: kc}}
- {{id: c, organization: one, key: kd}}
- {{id: d, organization: one, key: ke}}
- {{id: e, organization: none, key: kf}}
- {{id: one.f, key: kg}}
- {{id: g, key: ''}}
"""


def test_accounts(read: Read) -> None:
    values = snapshot(read(ACCOUNTS))
    small = Plan("small", 1)
    large = Plan("large", 9, Every.day, ThrottlePolicy(Rate(5, 1.0), 5))
    cap = Rate(1, 60.0)
    assert account(values, "ka") == account(values, "kb") == Account("a", "each", large, "a", cap)
    assert account(values, "kc") == Account("b", "each", small, "b", cap)
    assert account(values, "kd") == Account("c", "one", small, "org:one")
    assert account(values, "ke") == Account("d", "one", small, "org:one")
    assert account(values, "kf") == Account("e", "none", Plan("unlimited"), "e")
    assert account(values, "kg") == Account("one.f", "one.f", Plan("unlimited"), "one.f")
    assert len(values.keys) == 7


def test_the_rest_of_the_snapshot(read: Read) -> None:
    text = "hosts: [A.example]\ntrusted_proxies: 10.0.0.1\ntimezone: Europe/Rome\nauth: {accept: 'query:key'}\n"
    values = snapshot(read(f"{ONE}routes: [{{}}]\n{text}"))
    assert (values.hosts, values.trusted_proxies) == (frozenset({"a.example"}), ("10.0.0.1/32",))
    assert (values.timezone, values.accept) == ("Europe/Rome", (KeySource("query", "key"),))


@pytest.mark.parametrize(
    ("tls", "host", "known"),
    [
        ("", "a.example:80", "a.example"),
        ("", "a.example:443", "a.example:443"),
        (TLS, "a.example:443", "a.example"),
        (TLS, "*.a.example:443", "*.a.example"),
        (TLS, "[::1]:443", "[::1]"),
        (TLS, "a.example:8443", "a.example:8443"),
    ],
)
def test_the_default_port_is_the_schemes(read: Read, tmp_path: Path, tls: str, host: str, known: str) -> None:
    place(tmp_path, issued())
    served = "" if host[0] == "*" else f"hosts: ['{host}']\n"
    found = read(f"{ONE}{tls}{served}routes: [{{access: public, match: {{host: '{host}'}}}}]\n")
    assert [route.host for route in snapshot(found).routes] == [known]
    assert snapshot(found).hosts == (frozenset({known}) if served else frozenset())
    assert not warnings(found)


def test_one_host_is_served_with_and_without_the_port_of_tls(read: Read, tmp_path: Path) -> None:
    place(tmp_path, issued())
    text = f"{ONE}{TLS}hosts: [a.b.example]\nroutes: [{{access: public, match: {{host: '*.b.example:443'}}}}]\n"
    assert not warnings(read(text))


def test_where_an_upstream_tells_its_cost(read: Read) -> None:
    values = snapshot(read("upstreams: {api: {url: http://api, cost: {body: usage.tokens}}}\nroutes: [{}]\n"))
    assert values.upstreams["api"].cost == ("usage", "tokens")


@pytest.mark.parametrize(
    ("breaker", "policy"),
    [
        ("{after: 3, for: 250ms}", BreakerPolicy(3, 0.25)),
        ("{for: 1m}", BreakerPolicy(5, 60.0)),
        ("{}", BreakerPolicy(5, 10.0)),
        ("", None),
    ],
)
def test_when_an_upstream_is_left_alone(read: Read, breaker: str, policy: BreakerPolicy | None) -> None:
    values = snapshot(read(f"upstreams: {{api: {{url: http://api, breaker: {breaker}}}}}\nroutes: [{{}}]\n"))
    assert values.upstreams["api"].breaker == policy


def test_the_command_line_alone() -> None:
    [route] = snapshot(single("http://api", "15m", {})).routes
    assert (route.name, route.public, route.send_credentials, route.price) == ("upstream", True, False, None)
    assert route.methods is None, "what is no lookup passes"
    assert route.cache
    assert route.cache.policy == Policy(ttl=900.0)


def test_an_account_without_an_api_key_is_one_too(read: Read) -> None:
    config = read(f"{ONE}keys: [{{id: a, key: k}}, {{id: b, key: ''}}]\nroutes: [{{}}]\n")
    assert {name: found.id for name, found in accounts_by_id(config).items()} == {"a": "a", "b": "b"}
    assert [found.id for found in snapshot(config).keys.values()] == ["a"]
