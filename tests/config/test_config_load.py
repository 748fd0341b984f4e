"""From files and from the command line: the design's examples, everything wrong at once, no secret told."""

from pathlib import Path

import pytest
from config.texts import ENVIRON, Errors, Read
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.admission.snapshot import Rate
from gateway.config.errors import ConfigInvalid
from gateway.config.load import load, single
from gateway.config.units import Address

SIX_LINES = """\
upstreams:
  api:
    url: https://api.example.com
    headers: {Authorization: "Bearer ${API_KEY}"}
keys: [{id: me, key: "${GATEWAY_KEY}"}]
routes: [{cache: 15m, price: 1, refresh: true}]
"""

WHOLE = """\
listen: ${GATEWAY_LISTEN:-127.0.0.1:8080}
hosts: []
trusted_proxies: []
limits: {target: 8KiB, fields: 32KiB, body: 10MiB, connections: 10000, connections_per_address: 500,
         head_timeout: 10s, body_timeout: 30s, write_timeout: 30s, buffered: 256MiB}
admin:
  listen: ${GATEWAY_ADMIN:-127.0.0.1:9180}
  token: ${GATEWAY_ADMIN_TOKEN:-}
log: {level: info, format: auto}
timezone: UTC
store:
  kind: embedded
  path: var
  memory: 256MiB
  durability: process
ledger: {keep: 400d}
auth:
  accept: [bearer, basic, "header:X-Api-Key", "header:Authorization"]

upstreams:
  retailer:
    url: https://api.retailer.example
    credentials: gateway
    headers:
      Authorization: Bearer ${RETAILER_API_KEY}
    timeout: {connect: 3s, first_byte: 30s, total: 60s}
    limits: {connections: 100, queue: 1000, wait: 2s, rate: none}
  elsewhere: {url: "http://elsewhere.example"}

plans:
  pro:
    tokens: {grant: 2000, every: month}
    throttle: {rate: 600/min, burst: 600}
organizations:
  acme:
    plan: pro
    balance: key
    caps: {force_refresh: 100/min}
keys:
  - id: acme-ci
    organization: acme
    key: ["${CI_KEY}", "${CI_KEY_OLD:-}"]

routes:
  - name: product
    match: {host: "*", path: "/v1/products/{id}", methods: [GET, HEAD]}
    upstream: retailer
    rewrite: {strip_prefix: ""}
    forward: [X-Api-Version]
    cache:
      ttl: 15m
      ttl_by_status: {404: 60s}
      override_origin: false
      stale_while_revalidate: 30s
      stale_if_error: 1h
      share: everyone
      vary_on: {query_ignore: [utm_source], query_sort: true, headers: []}
      tags: ["product:{id}"]
      max_body: 8MiB
    price:
      base: 1
      options:
        - {name: offers_reviews, tokens: 5, when: {query_any: [include_offers, include_reviews]}}
      force_refresh: 3
      charge_on: [2xx, 3xx, 4xx]
    refresh:
      query: [include_force_refresh, force_refresh]
      post: "/v1/products/{id}/refresh"
      post_query: {include_offers: "true", include_reviews: "true"}
      upstream: {query: {}, headers: {}}
      cooldown: 0s
    tokens_in_body: true
  - name: open
    match: {path: "/public/{rest:.*}"}
    upstream: elsewhere
    access: public
    cache: {}
"""

SECRETS = {"RETAILER_API_KEY": "sk-retailer", "CI_KEY": "rk_live_ci"}


def test_the_simplest_case(read: Read) -> None:
    config = read(SIX_LINES, {"API_KEY": "sk", "GATEWAY_KEY": "rk"})
    assert config.upstreams["api"].url == ("https://api.example.com",)
    assert config.upstreams["api"].headers == {"Authorization": "Bearer sk"}
    assert config.keys[0].key == ("rk",)
    [route] = config.routes
    assert (route.cache and route.cache.ttl, route.price.base) == (900.0, 1)
    assert route.refresh is not None


def test_the_whole_case(read: Read, tmp_path: Path) -> None:
    config = read(WHOLE, SECRETS)
    assert config.limits.buffered == 256 << 20
    assert config.store.path == tmp_path / "var"
    assert config.ledger.keep == 400 * 86400
    assert config.organizations["acme"].caps.force_refresh == Rate(100, 60.0)
    product, public = config.routes
    assert product.cache
    assert product.cache.ttl_by_status == {404: 60.0}
    assert product.price.charge_on == (2, 3, 4)
    assert public.cache
    assert public.cache.ttl is None


def test_the_whole_case_states_the_defaults(read: Read) -> None:
    left_out = read("upstreams: {u: {url: http://u}}\nroutes: [{}]\n", {})
    whole = read(WHOLE, SECRETS)
    # Left out it is 500 as well, but not for this machine.
    assert left_out.limits.model_copy(update={"connections_per_address": 500}) == whole.limits
    for key in ("listen", "hosts", "trusted_proxies", "admin", "log", "timezone", "store", "ledger", "auth"):
        assert getattr(left_out, key) == getattr(whole, key), key
    for key in ("credentials", "timeout", "limits"):
        assert getattr(left_out.upstreams["u"], key) == getattr(whole.upstreams["retailer"], key), key


def test_the_environment_gives_what_the_file_leaves_out(read: Read) -> None:
    environ = {"GATEWAY_LISTEN": "0.0.0.0:80", "GATEWAY_ADMIN": ":9", "GATEWAY_ADMIN_TOKEN": "t"}
    config = read("upstreams: {u: {url: http://u}}\nroutes: [{}]\n", environ)
    assert (config.listen, config.admin.listen, config.admin.token) == (Address("0.0.0.0", 80), Address("", 9), "t")
    stated = read(
        "listen: 127.0.0.1:1\nadmin: {listen: 127.0.0.1:2}\n" + SIX_LINES,
        environ | {"GATEWAY_KEY": "k", "API_KEY": "a"},
    )
    assert (stated.listen.port, stated.admin.listen.port, stated.admin.token) == (1, 2, "t")


EVERYTHING_WRONG = """\
listen: nowhere
admin: {listen: ":80"}
x-cache: &cache {tll: 15m}
timezone: ${UNSET}
upstreams:
  api: {url: ftp://api, timeout: 5}
  other: {url: http://other}
keys:
  - {id: one, key: "${CI_KEY}", plan: pto}
  - {id: two, key: "${CI_KEY}"}
  - {key: three}
plans: {pro: {tokens: 2000}}
routes:
  - 15m
  - {name: a, upstream: apj, cache: *cache, cach: 1m}
  - {name: a, upstream: api, refresh: true, price: free}
  - {name: b, upstream: api, cache: 1m, refresh: true, match: {methods: [POST]}, ttl: 1m, ttl: 2m}
"""


def test_everything_wrong_is_told_at_once_by_place(errors: Errors) -> None:
    duration = "must be a duration such as 250ms, 30s, 15m, 1h or 7d"
    route_keys = (
        "access, cache, cors, credentials, forward, match, name, price, refresh, rewrite, tokens_in_body, upstream"
    )
    assert errors(EVERYTHING_WRONG) == [
        "1:9: listen: must be an address such as 127.0.0.1:8080, [::1]:8080 or :8080 for every interface",
        "2:17: admin.listen: off loopback it needs a `token`, or anyone could change the gateway",
        "3:18: routes[1].cache: unknown key `tll`, did you mean `ttl`?",
        "4:11: the environment variable UNSET is not set; ${UNSET:-default} gives it a default",
        "6:14: upstreams.api.url: must be a URL such as https://api.example.com, with a base path where it has one",
        f"6:34: upstreams.api.timeout.total: {duration}",
        "9:39: keys[0].plan: unknown plan `pto`, did you mean `pro`?",
        "10:20: keys[1].key: another account has this API key, on line 9",
        "11:5: keys[2]: `id` is required",
        "14:5: routes[0]: must be a mapping of keys to values",
        "15:25: routes[1].upstream: unknown upstream `apj`, did you mean `api`?",
        "15:45: routes[1]: unknown key `cach`, did you mean `cache`?",
        "16:12: routes[2].name: is the name of another route, on line 15",
        "16:30: routes[2].refresh: needs a `cache`: there is nothing to refresh",
        "16:52: routes[2].price.base: must be a whole number",
        "17:41: routes[3].refresh: a refresh stands for a GET, which `match.methods` leaves out",
        f"17:82: routes[3]: unknown key `ttl`; allowed here: {route_keys}",
        "17:91: the key is given twice, first on line 17",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "admin: {listen: ':80', token: '${UNSET}'}\nupstreams: {u: {url: http://u}}\nroutes: [{}]",
        "upstreams: {u: {url: '${UNSET}'}}\nroutes: [{upstream: u}]",
        "upstreams: {u: {url: http://u}}\nroutes: [{cache: 15, refresh: true}]",
        "upstreams: {u: {url: http://u}}\nroutes: [{match: 'v1', cache: {tags: ['{id}']}}]",
        "upstreams: {u: {url: http://u}}\nroutes: [{match: {methods: ['', POST]}, cache: 1m, refresh: true}]",
        "upstreams: {u: {url: http://u}}\nroutes: [x]",
        "upstreams: {u: 1}\nroutes: [{}]",
        "upstreams: {u: {url: http://u}}\nplans: 1\nkeys: [{id: a, plan: b}]\nroutes: [{}]",
        "upstreams: {u: {url: http://u}}\nplans: {b: 1}\nkeys: [{id: a, plan: b}]\nroutes: [{}]",
    ],
    ids=["token", "url", "cache", "match", "methods", "routes", "upstream", "plans", "plan"],
)
def test_what_follows_from_a_mistake_is_not_told(errors: Errors, text: str) -> None:
    assert len(errors(text)) == 1


SECRET = "rk-live-0123456789"

SECRET_EVERYWHERE = """\
listen: ${S}
hosts: ["${S} x"]
trusted_proxies: ["${S}"]
timezone: ${S}
log: {level: "${S}"}
limits: {target: "${S}", connections: "${S}"}
admin: {token: ["${S}"]}
auth: {accept: ["${S}"]}
upstreams:
  api: {url: "${S}", headers: {Authorization: "${S}\\n"}, credentials: "${S}"}
plans: {p: {tokens: {grant: "${S}", every: "${S}"}, throttle: "${S}"}}
organizations: {o: {plan: "${S}"}}
keys:
  - {id: a b, key: ["${S}\\t", "sha256:${S}"], organization: "${S}"}
  - {id: "${S}", key: "${S}"}
  - {id: "${S}", key: "${S}", plan: "${S}"}
routes:
  - {match: "${S}", upstream: "${S}", cache: "${S}", price: "${S}", refresh: "${S}", tokens_in_body: "${S}"}
  - {match: "/{${S}", cache: {share: "${S}", tags: ["{${S}"]}, access: "${S}"}
  - {name: "${S}", price: {charge_on: "${S}", options: [{name: "${S}", tokens: 1, when: {query_any: "${S} x"}}]}}
  - {name: "${S}", cache: 1m, refresh: {post: "${S}", upstream: {headers: {X: "${S}\\n"}}}}
  - {match: {path: "/{${S}}", host: "${S} x"}, cache: {tags: ["{id}"]}}
"""


def test_no_message_shows_a_substituted_value(errors: Errors, read: Read) -> None:
    told = errors(SECRET_EVERYWHERE, {"S": SECRET})
    assert len(told) == 39
    assert not [error for error in told if SECRET in error]
    with pytest.raises(ConfigInvalid) as raised:
        read(SECRET_EVERYWHERE, {"S": SECRET})
    assert raised.value.__cause__ is None
    assert SECRET not in repr(raised.value)


def test_no_message_shows_a_secret_that_the_file_holds(errors: Errors) -> None:
    text = f"""\
admin: {{token: [{SECRET}]}}
upstreams: {{api: {{url: "http://user:{SECRET}@api", headers: {{Authorization: "{SECRET}\\n", X: [{SECRET}]}}}}}}
keys: [{{id: a, key: "{SECRET}\\n"}}, {{id: b, {SECRET}}}, {{id: c, key: {SECRET}}}, {{id: d, key: {SECRET}}}]
routes: [{{cache: 1m, refresh: {{upstream: {{headers: {{X: "{SECRET}\\n"}}}}}}}}]
"""
    told = errors(text)
    assert len(told) == 7
    assert not [error for error in told if SECRET in error]


def test_a_config_does_not_show_its_secrets(read: Read) -> None:
    environ = {"RETAILER_API_KEY": SECRET, "CI_KEY": SECRET, "GATEWAY_ADMIN_TOKEN": SECRET}
    assert SECRET not in repr(read(WHOLE, environ))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.sampled_from("abk :{}[]#&*!|>'\"\n-<$,?%@`~x1"), max_size=60))
def test_any_text_is_read_or_refused(errors: Errors, text: str) -> None:
    for error in errors(text):
        line, column, message = error.split(":", 2)
        assert (int(line) > 0, int(column) > 0, bool(message)) == (True, True, True)


def test_the_command_line_alone() -> None:
    config = single("https://api.example.com/v2/", "15m", {})
    [route] = config.routes
    assert config.upstreams["upstream"].url == ("https://api.example.com/v2",)
    assert config.upstreams["upstream"].headers == {}
    assert (route.access, route.match.methods, route.cache and route.cache.ttl) == ("public", None, 900.0)


def test_the_command_line_without_a_lifetime_leaves_it_to_the_origin() -> None:
    [route] = single("http://api", None, {}).routes
    assert route.cache
    assert route.cache.ttl is None


def test_mistakes_on_the_command_line() -> None:
    with pytest.raises(ConfigInvalid) as told:
        single("api.example.com", "15", {})
    url, ttl = "must be a URL such as https://api.example.com", "must be a duration such as 250ms, 30s, 15m, 1h or 7d"
    assert [str(error) for error in told.value.errors] == [
        f"command line: routes[0].cache.ttl: {ttl}",
        f"command line: upstreams.upstream.url: {url}, with a base path where it has one",
    ]


def test_an_unreadable_file_is_an_invalid_config(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match=r"none\.yaml: cannot be read: No such file or directory"):
        load(tmp_path / "none.yaml", ENVIRON)
