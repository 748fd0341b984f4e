"""The schema: short forms, ranges, empty values, and the JSON Schema made of it."""

from datetime import date
from typing import Any

import pytest
from config.texts import Errors, Read

from gateway.admission.snapshot import Every, Rate, Scope
from gateway.config.schema import Config, described

LIMITS = (
    "body, body_timeout, buffered, connections, connections_per_address, fields, head_timeout, target, write_timeout"
)
CHARGED = "must be a status class from 1xx to 4xx or a status code below 500"
NAME = "must be a name of letters, digits and . _ @ + -"
RATE = "must be a rate of at least one such as 10/s, 100/min, 1000/h or 5000/d"
BASE = "upstreams: {api: {url: http://api}}\n"


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("cache: 15m", "cache: {ttl: 15m}"),
        ("price: 1", "price: {base: 1}"),
        ("refresh: true, cache: 1m", "refresh: {}, cache: 1m"),
        ("refresh: On, cache: 1m", "refresh: {}, cache: 1m"),
        ("refresh: false", "refresh: null"),
        ("match: /v1", "match: {path: /v1}"),
        ("match: {methods: get}", "match: {methods: [GET]}"),
        ("forward: X-A", "forward: [X-A]"),
        ("price: {charge_on: 2xx}", "price: {charge_on: [2xx]}"),
        ("cache: {tags: all}", "cache: {tags: [all]}"),
        ("cache: , price: , match: , name: ", ""),
        ("cache: {ttl: , vary_on: }", "cache: {}"),
    ],
)
def test_short_forms_of_a_route(read: Read, short: str, long: str) -> None:
    assert read(f"{BASE}routes: [{{{short}}}]\n").routes == read(f"{BASE}routes: [{{{long}}}]\n").routes


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("upstreams: {api: {url: http://a, timeout: 5s}}", "upstreams: {api: {url: [http://a], timeout: {total: 5s}}}"),
        ("plans: {p: }", "plans: {p: {}}"),
        ("plans: {p: {tokens: 5, throttle: 5/s}}", "plans: {p: {tokens: {grant: 5}, throttle: {rate: 5/s}}}"),
        ("organizations: {o: }", "organizations: {o: {}}"),
        ("keys: [{id: a, key: k}]", "keys: [{id: a, key: [k]}]"),
        ("keys: [{id: a, throttle: 5/s}]", "keys: [{id: a, throttle: {rate: 5/s}}]"),
        ("keys: [{id: a, scopes: refresh}]", "keys: [{id: a, scopes: [refresh]}]"),
        ("keys: [{id: a, scopes: , expires: , formerly: }]", "keys: [{id: a}]"),
        ("auth: {accept: bearer}", "auth: {accept: [bearer]}"),
        ("hosts: a.example", "hosts: [a.example]"),
        ("limits:\nstore:\nadmin:\nlog:\nplans:\n", ""),
    ],
)
def test_other_short_forms(read: Read, short: str, long: str) -> None:
    rest = "routes: [{}]\n" if "upstreams" in short else f"{BASE}routes: [{{}}]\n"
    assert read(f"{rest}{short}\n").model_dump() == read(f"{rest}{long}\n").model_dump()


def test_what_is_left_out(read: Read) -> None:
    config = read(
        f"{BASE}routes: [{{cache: 1m, refresh: true}}]\nplans: {{p: }}\norganizations: {{o: }}\nkeys: [{{id: a}}]\n"
    )
    [route] = config.routes
    assert (route.name, route.upstream, route.access, route.price.base) == (None, None, "key", 1)
    assert (route.match.host, route.match.path, route.match.methods) == ("*", "/{path:.*}", None)
    assert (route.price.options, route.price.force_refresh, route.price.charge_on) == ((), 0, (2, 3, 4))
    assert route.cache
    assert (route.cache.share, route.cache.max_body, route.cache.vary_on.query_sort) == (None, 8 << 20, False)
    assert route.refresh
    assert (route.refresh.query, route.refresh.post) == (("include_force_refresh", "force_refresh"), "auto")
    assert (config.plans["p"].tokens.grant, config.plans["p"].tokens.every) == (None, Every.never)
    assert config.plans["p"].tokens.carry_over is False
    assert (config.organizations["o"].balance, config.organizations["o"].formerly) == ("key", None)
    [key] = config.keys
    assert (key.key, key.throttle, key.scopes, key.expires, key.formerly) == ((), None, tuple(Scope), None, None)
    assert config.upstreams["api"].cost is None
    assert config.upstreams["api"].breaker is None


def test_what_keys_and_the_ledger_may_say(read: Read) -> None:
    key = "{id: a, scopes: [lookup, lookup], expires: 2027-01-31}"
    config = read(f"{BASE}routes: [{{}}]\nledger: {{keep: 63d}}\nkeys: [{key}]\n")
    assert config.ledger.keep == 63 * 86400
    assert (config.keys[0].scopes, config.keys[0].expires) == ((Scope.lookup, Scope.lookup), date(2027, 1, 31))


def test_rates_may_be_none(read: Read) -> None:
    text = "upstreams: {a: {url: http://a, limits: {rate: RATE}}}\nroutes: [{}]\n"
    assert read(text.replace("RATE", "none")).upstreams["a"].limits.rate is None
    assert read(text.replace("RATE", "10/s")).upstreams["a"].limits.rate == Rate(10, 1.0)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("limits: {connections: 0}", "3:23: limits.connections: must be at least 1"),
        ("limits: {connections: 10000000000}", "3:23: limits.connections: must be at most 1000000000"),
        ("limits: {connections: 1.5}", "3:23: limits.connections: must be a whole number"),
        ("limits: {connections: [1]}", "3:23: limits.connections: must be a whole number"),
        ("limits: {head_timeout: 0s}", "3:24: limits.head_timeout: must be more than 0"),
        ("limits: {body: 0B}", "3:16: limits.body: must be more than 0"),
        ("limits: []", "3:9: limits: must be a mapping of keys to values"),
        ("plans: []", "3:8: plans: must be a mapping of keys to values"),
        ("keys: {a: b}", "3:7: keys: must be a list"),
        ("auth: {accept: []}", "3:16: auth.accept: must not be empty"),
        ("admin: {token: [a]}", "3:16: admin.token: must be text"),
        ("log: {level: infos}", "3:14: log.level: must be 'debug', 'info', 'warning' or 'error', did you mean `info`?"),
        ("store: {kind: rediss}", "3:15: store.kind: must be 'embedded' or 'redis', did you mean `redis`?"),
        ("plans: {p: {tokens: {grant: -1}}}", "3:29: plans.p.tokens.grant: must be at least 0"),
        (
            "plans: {p: {tokens: {grant: 1, every: mont}}}",
            "3:39: plans.p.tokens.every: must be 'month', 'day', 'hour' or 'never', did you mean `month`?",
        ),
        ("plans: {p: {throttle: {rate: 1/s, burst: 0}}}", "3:42: plans.p.throttle.burst: must be at least 1"),
        ("plans: {p: {throttle: {burst: 1}}}", "3:13: plans.p.throttle: `rate` is required"),
        (
            "plans: {p: {tokens: {grant: 1, every: day, carry_over: maybe}}}",
            "3:56: plans.p.tokens.carry_over: must be true or false",
        ),
        ("keys: [{id: a, scopes: []}]", "3:24: keys[0].scopes: must not be empty"),
        (
            "keys: [{id: a, scopes: [lookup, refrsh]}]",
            "3:33: keys[0].scopes[1]: must be 'lookup', 'refresh' or 'background', did you mean `refresh`?",
        ),
        (
            "keys: [{id: a, expires: tomorrow}]",
            "3:25: keys[0].expires: must be a date such as 2027-01-31, or a time such as 2027-01-31T12:00:00Z",
        ),
        ("keys: [{id: a, throttle: 5}]", f"3:26: keys[0].throttle.rate: {RATE}"),
        ("keys: [{id: a, formerly: 'a b'}]", f"3:26: keys[0].formerly: {NAME}"),
        ("organizations: {o: {formerly: 'org:a'}}", f"3:31: organizations.o.formerly: {NAME}"),
        (
            "ledger: {keep: 62d}",
            "3:16: ledger.keep: must be at least 63d, so that the month that ended last is whole",
        ),
        ("plans: {p q: {}}", "3:9: plans: must be a name of letters, digits and . _ @ + -"),
        (
            "limits: {tll: 1}",
            f"3:10: limits: unknown key `tll`; allowed here: {LIMITS}",
        ),
        ("plans: {url: {token: 1}}", "3:15: plans.url: unknown key `token`, did you mean `tokens`?"),
        ("rutes: []", "3:1: unknown key `rutes`, did you mean `routes`?"),
        ("log: {sample: {hits: all}}", "3:16: log.sample: unknown key `hits`, did you mean `hit`?"),
        (
            "log: {sample: {all: none}}",
            "3:16: log.sample: unknown key `all`; allowed here: hit, stale, validated, miss, refresh, collapsed, pass",
        ),
        ("log: {k3y: 1}", "3:7: log: unknown key; allowed here: format, level, sample"),
    ],
)
def test_ranges_and_kinds(errors: Errors, text: str, told: str) -> None:
    assert errors(f"{BASE}routes: [{{}}]\n{text}\n") == [told]


@pytest.mark.parametrize(
    ("breaker", "told"),
    [
        ("{after: 0}", "1:49: upstreams.a.breaker.after: must be at least 1"),
        ("{for: 0s}", "1:47: upstreams.a.breaker.for: must be more than 0"),
        ("{fro: 1s}", "1:42: upstreams.a.breaker: unknown key `fro`, did you mean `for`?"),
        ("{pause: 1s}", "1:42: upstreams.a.breaker: unknown key `pause`; allowed here: after, for"),
        ("true", "1:41: upstreams.a.breaker: must be a mapping of keys to values"),
    ],
)
def test_breakers(errors: Errors, breaker: str, told: str) -> None:
    assert errors(f"upstreams: {{a: {{url: http://a, breaker: {breaker}}}}}\nroutes: [{{}}]\n") == [told]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("cach: 1m", "2:11: routes[0]: unknown key `cach`, did you mean `cache`?"),
        (
            "cache: {vary_on: {query_sorted: true}}",
            "2:29: routes[0].cache.vary_on: unknown key `query_sorted`, did you mean `query_sort`?",
        ),
        (
            "cache: {ttl_by_status: {99: 1s}}",
            "2:35: routes[0].cache.ttl_by_status: must be a status code from 100 to 599",
        ),
        (
            "cache: {ttl_by_status: {404: 1}}",
            "2:40: routes[0].cache.ttl_by_status.404: must be a duration such as 250ms, 30s, 15m, 1h or 7d",
        ),
        ("cache: {override_origin: maybe}", "2:36: routes[0].cache.override_origin: must be true or false"),
        ("price: -1", "2:18: routes[0].price.base: must be at least 0"),
        ("price: {options: {}}", "2:28: routes[0].price.options: must be a list"),
        ("price: {options: [{name: a, tokens: 1}]}", "2:29: routes[0].price.options[0]: `when` is required"),
        (
            "price: {options: [{name: a, tokens: 1, when: {query_any: []}}]}",
            "2:68: routes[0].price.options[0].when.query_any: must not be empty",
        ),
        (
            "price: {charge_on: [2xx, 5xx]}",
            f"2:36: routes[0].price.charge_on[1]: 5xx is always free: {CHARGED}",
        ),
        ("refresh: maybe", "2:20: routes[0].refresh: must be a mapping of keys to values"),
        ("access: private", "2:19: routes[0].access: must be 'key' or 'public'"),
        ("match: {methods: []}", "2:28: routes[0].match.methods: must not be empty"),
    ],
)
def test_ranges_and_kinds_in_routes(errors: Errors, text: str, told: str) -> None:
    assert errors(f"{BASE}routes: [{{{text}}}]\n") == [told]


def properties(schema: dict[str, Any], *names: str) -> dict[str, Any]:
    found: dict[str, Any] = schema["$defs"][names[0]]["properties"][names[1]]
    return found


def test_every_setting_is_described() -> None:
    schema = described()
    for name, section in [("Config", schema), *schema["$defs"].items()]:
        for key, setting in section.get("properties", {}).items():
            assert setting.get("description"), f"{name}.{key}"


def test_the_json_schema_has_the_short_forms() -> None:
    schema = described()
    assert {"type": "string"} in properties(schema, "Upstream", "url")["anyOf"]
    assert "{'type': 'boolean'}" in str(properties(schema, "Route", "refresh"))
    assert "{'type': 'integer'}" in str(properties(schema, "Route", "price"))
    assert "{'const': 'none'}" in str(properties(schema, "UpstreamLimits", "rate"))
    assert schema["patternProperties"] == {"^x-": {}}


def test_the_json_schema_spells_defaults_as_the_config_does() -> None:
    schema = described()
    assert properties(schema, "Limits", "target")["default"] == "8KiB"
    assert properties(schema, "Ledger", "keep")["default"] == "400d"
    assert properties(schema, "Price", "charge_on")["default"] == ["2xx", "3xx", "4xx"]
    assert properties(schema, "Auth", "accept")["default"] == [
        "bearer",
        "basic",
        "header:X-Api-Key",
        "header:Authorization",
    ]
    assert schema["properties"]["listen"]["default"] == "127.0.0.1:8080"


def test_a_config_is_frozen(read: Read) -> None:
    config = read(f"{BASE}routes: [{{}}]\n")
    with pytest.raises(ValueError, match="frozen"):
        Config.__setattr__(config, "timezone", "UTC")
