"""What is allowed in a config but seldom meant."""

from pathlib import Path

import pytest
from config.test_config_load import SECRETS, WHOLE
from config.texts import Read
from support.clock import FakeClock

from gateway.config.warnings import warnings

ONE = "upstreams: {api: {url: http://api}}\n"
ONE_KEY = "keys: [{id: me, key: k}]\n"

NEVER = "routes[1]: never matches: the route on line 3 takes all it could"
OPEN_DOOR = "an open door to a paid API: anyone may call it with the upstream's credentials"
BALANCES = "organizations.o: each of its 2 keys has a balance of its own; `balance: organization` makes it one"


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        ("{}", "{match: /a}", True),
        ("{match: /a}", "{match: /a}", True),
        ("{match: '/a/{x}'}", "{match: '/a/{y}'}", True),
        ("{match: '/{all:.*}'}", "{match: '/a/{y}'}", True),
        ("{match: {methods: [GET, HEAD]}}", "{match: {path: /a, methods: GET}}", True),
        ("{match: {host: '*.example'}}", "{match: {host: a.example}}", True),
        ("{match: {host: '*.example'}}", "{match: {host: '*.a.example'}}", True),
        ("{match: {host: a.example}}", "{match: {host: a.example}}", True),
        ("{match: '/a/{x}'}", "{match: '/a/{x:.*}'}", False),
        ("{match: '/a/{x}'}", "{match: /a}", False),
        ("{match: {methods: [GET]}}", "{match: {methods: [GET, HEAD]}}", False),
        ("{match: {methods: [GET]}}", "{}", False),
        ("{match: {host: '*.example'}}", "{match: {host: example}}", False),
        ("{match: {host: a.example}}", "{}", False),
    ],
)
def test_routes_that_never_match(read: Read, first: str, second: str, told: bool) -> None:
    found = warnings(read(f"{ONE}routes:\n- {first}\n- {second}\n{ONE_KEY}"))
    assert [(error.line, error.message) for error in found] == ([(4, NEVER)] if told else [])


CLIENT = "upstreams: {api: {url: http://api, credentials: client}}\n"
KEYS = "keys: [{id: a, key: a, organization: o}, {id: b, key: b, organization: o}]\n"
ONE_OF_O = "keys: [{id: a, key: a, organization: o}]\n"
KEYLESS = "needs an API key, and `keys` holds none: 401 until one is made with `gateway keys create`"
HEADERS = "not sent with `credentials: client`, where the client's fields go on"
PLAN = "plans: {p: {tokens: {grant: 1}}}\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            f"{ONE}routes: [{{access: public, credentials: upstream}}]\n",
            f"2:40: routes[0].credentials: {OPEN_DOOR}",
        ),
        (
            f"{CLIENT}routes: [{{cache: {{share: everyone}}}}]\n{ONE_KEY}",
            "2:26: routes[0].cache.share: what the upstream answers to one client's credentials is served to everyone",
        ),
        (f"{ONE}routes: [{{}}]\n{KEYS}{PLAN}organizations: {{o: {{plan: p}}}}\n", f"5:17: {BALANCES}"),
        (
            f"{ONE}routes: [{{access: public, match: /open}}, {{}}]\nkeys: [{{id: a, key: '${{EMPTY}}'}}]\n",
            f"2:42: routes[1]: {KEYLESS}",
        ),
        (
            f"upstreams: {{a: {{url: http://a, credentials: client, headers: {{A: b}}}}}}\nroutes: [{{}}]\n{ONE_KEY}",
            f"1:62: upstreams.a.headers: {HEADERS}",
        ),
        (f"{CLIENT}routes: [{{cache: {{share: everyone}}, access: public}}]\n", None),
        (f"{CLIENT}routes: [{{cache: {{}}}}]\n{ONE_KEY}", None),
        (f"{ONE}routes: [{{cache: {{share: everyone}}}}]\n{ONE_KEY}", None),
        (f"{ONE}routes: [{{}}]\n{KEYS}{PLAN}organizations: {{o: {{plan: p, balance: organization}}}}\n", None),
        (f"{ONE}routes: [{{}}]\n{KEYS}organizations: {{o: {{}}}}\n", None),
        (f"{ONE}routes: [{{}}]\n{ONE_OF_O}{PLAN}organizations: {{o: {{plan: p}}}}\n", None),
    ],
    ids=[
        "open door",
        "shared answers",
        "several balances",
        "no key",
        "fields not sent",
        "public",
        "shared by key",
        "the gateway's credentials",
        "one balance",
        "no grant",
        "one key",
    ],
)
def test_what_is_seldom_meant(read: Read, text: str, told: str | None) -> None:
    found = [f"{error.line}:{error.column}: {error.message}" for error in warnings(read(text))]
    assert found == ([told] if told else [])


@pytest.mark.parametrize(
    ("expires", "told"),
    [
        ("2026-01-15", True),
        ("2026-01-15T12:00:00Z", True),
        ("2026-01-15T12:00:01Z", False),
        ("2026-01-16", False),
    ],
    ids=["yesterday", "right now", "in a second", "tomorrow"],
)
def test_keys_that_have_expired(read: Read, expires: str, told: bool) -> None:
    config = read(f"{ONE}routes: [{{}}]\nkeys: [{{id: a, key: k}}, {{id: b, key: l, expires: '{expires}'}}]\n")
    found = [f"{error.line}:{error.column}: {error.message}" for error in warnings(config, FakeClock().wall)]
    assert found == (["3:50: keys[1].expires: is over: every request with its keys gets 401"] if told else [])


def test_the_whole_case_needs_no_warning(read: Read) -> None:
    assert warnings(read(WHOLE, SECRETS)) == []


@pytest.mark.parametrize(
    ("routes", "told"),
    [
        (
            [
                "{match: {methods: GET}}",
                "{match: {methods: [HEAD, POST]}}",
                "{match: {path: /a, methods: [HEAD, GET]}}",
            ],
            "5: routes[2]: never matches: the routes on line 3 and on line 4 take all it could",
        ),
        (
            ["{match: {methods: GET}}", "{match: {methods: [GET, HEAD, POST]}}", "{match: {methods: HEAD}}"],
            "5: routes[2]: never matches: the route on line 4 takes all it could",
        ),
        (["{match: {methods: GET}}", "{match: {methods: HEAD}}", "{match: {methods: [GET, PUT]}}"], None),
        (
            ["{match: '/a/{x}'}", "{match: '/a/{y}', cache: 1m, refresh: true}"],
            "4: routes[1]: matches nothing but its POST for a refresh: the route on line 3 takes all it could",
        ),
        (
            ["{match: '/a/{x:.*}'}", "{match: '/a/{y}', cache: 1m, refresh: true}"],
            "4: routes[1]: never matches: the route on line 3 takes all it could",
        ),
        (
            ["{match: '/a/{x}', cache: 1m, refresh: true}", "{match: {path: '/a/{x}/refresh', methods: POST}}"],
            "4: routes[1]: never matches: the route on line 3 takes all it could",
        ),
        (
            ["{match: {host: a.example}}", "{match: {host: 'a.example:8080', path: /a}}"],
            "4: routes[1]: never matches: the route on line 3 takes all it could",
        ),
        (
            ["{match: {host: '*.example'}}", "{match: {host: 'a.example:8080', path: /a}}"],
            "4: routes[1]: never matches: the route on line 3 takes all it could",
        ),
        (["{match: {host: 'a.example:8080'}}", "{match: {host: a.example, path: /a}}"], None),
        (["{match: {host: a.example, path: '/a/{x:.*}'}}", "{match: '/a/b'}"], None),
    ],
    ids=[
        "two together",
        "one of two alone",
        "a method is left",
        "its refresh is left",
        "its refresh as well",
        "another's refresh takes it",
        "any port of its host",
        "any port of hosts below",
        "one port alone",
        "one host alone",
    ],
)
def test_routes_that_others_leave_nothing(read: Read, routes: list[str], told: str | None) -> None:
    listed = "".join(f"- {route}\n" for route in routes)
    found = [f"{error.line}: {error.message}" for error in warnings(read(f"{ONE}routes:\n{listed}{ONE_KEY}"))]
    assert found == ([told] if told else [])


def test_a_route_and_what_takes_its_requests_in_two_files(read: Read, tmp_path: Path) -> None:
    (tmp_path / "first.yaml").write_text("routes:\n- {match: '/a/{x:.*}'}\n")
    [found] = warnings(read(f"include: first.yaml\n{ONE}routes: [{{match: /a/b}}, {{}}]\n{ONE_KEY}"))
    assert found.message.endswith(f"never matches: the route at {tmp_path / 'first.yaml'}:2 takes all it could")


@pytest.mark.parametrize(
    ("hosts", "host", "told"),
    [
        ("a.example", "b.example", True),
        ("a.example", "'*.example'", False),
        ("a.example", "'a.example:8080'", False),
        ("'a.example:8080'", "a.example", False),
        ("a.example", "'*'", False),
        ("a.example", "'*.b.example'", True),
    ],
)
def test_routes_of_hosts_that_are_not_served(read: Read, hosts: str, host: str, told: bool) -> None:
    text = f"hosts: {hosts}\n{ONE}{ONE_KEY}routes: [{{match: {{host: {host}}}}}]\n"
    message = "4:25: routes[0].match.host: never matches: `hosts` does not have this one, and others get 421"
    found = [f"{error.line}:{error.column}: {error.message}" for error in warnings(read(text))]
    assert found == ([message] if told else [])


UNUSED = "upstreams: {api: {url: http://api}, spare: {url: http://spare}}\nroutes: [{upstream: api}]\n"
ANY = f"{ONE}routes: [{{}}]\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"{UNUSED}{ONE_KEY}", "1:37: upstreams.spare: no route goes to it"),
        (
            f"{ANY}{ONE_KEY}{PLAN}",
            "4:9: plans.p: no key and no organization has it; right only if keys made with `gateway keys create` do",
        ),
        (
            f"{ANY}{ONE_KEY}organizations: {{o: {{}}}}\n",
            "4:17: organizations.o: no key belongs to it; right only if keys made with `gateway keys create` do",
        ),
        (f"{ANY}{PLAN}keys: [{{id: a, key: k, plan: p}}]\n", None),
        (f"{ANY}{PLAN}organizations: {{o: {{plan: p}}}}\n{ONE_OF_O}", None),
    ],
    ids=["an upstream", "a plan", "an organization", "a key's own plan", "an organization's plan"],
)
def test_what_nobody_uses(read: Read, text: str, told: str | None) -> None:
    found = [f"{error.line}:{error.column}: {error.message}" for error in warnings(read(text))]
    assert found == ([told] if told else [])


def test_plans_of_keys_that_are_all_made_elsewhere(read: Read) -> None:
    [found] = warnings(read(f"{ANY}{PLAN}organizations: {{o: {{}}}}\n"))
    assert "needs an API key" in found.message
