"""What another config changes, in sentences."""

import pytest
from config.test_config_load import SECRETS, WHOLE
from config.texts import Read

from gateway.config.differences import differences

API = "upstreams: {api: {url: http://api}}\n"
ROUTE = "routes: [{name: a}]\n"
BASE = API + ROUTE
NEW_REQUESTS = "for requests that begin from now on"
EXCHANGES = "for exchanges that begin from now on"


def of_plan(settings: str) -> str:
    return f"{BASE}plans: {{p: {{{settings}}}}}\nkeys: [{{id: k, plan: p}}]\n"


def of_organization(settings: str) -> str:
    plans = "plans: {p: {}, q: {}}\n"
    return f"{BASE}{plans}organizations: {{o: {{{settings}}}}}\nkeys: [{{id: k, organization: o}}]\n"


def of_upstream(settings: str) -> str:
    return f"upstreams: {{api: {{{settings}}}}}\n{ROUTE}"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("tokens: 2000", "tokens: 3000", "tokens.grant 2000 → 3000, acts at once"),
        ("tokens: 3000", "tokens: 2000", "tokens.grant 3000 → 2000, from the next grant on"),
        ("tokens: 3000", "", "tokens.grant 3000 → left out, acts at once"),
        ("throttle: 5/s", "throttle: 600/min", "throttle.rate 5/s → 600/min, acts at once, with a full bucket"),
        ("throttle: 5/s", "", "throttle rate 5/s → left out, acts at once"),
        ("tokens: {every: day}", "tokens: {every: month}", "tokens.every day → month, acts at once"),
    ],
)
def test_a_plan(read: Read, old: str, new: str, told: str) -> None:
    assert differences(read(of_plan(old)), read(of_plan(new))) == (f"plan `p`: {told}: k",)


def test_whom_a_plan_is_for(read: Read) -> None:
    text = """\
plans: {p: {tokens: 1}, alone: {tokens: 1}}
organizations: {each: {plan: p}, one: {plan: p, balance: organization}, other: {}}
keys: [{id: a, organization: each}, {id: b, organization: each, plan: alone}, {id: c, organization: one}, {id: d},
  {id: e, organization: other}]
"""
    old, new = read(BASE + text), read(BASE + text.replace("tokens: 1", "tokens: 2"))
    assert differences(old, new) == (
        "plan `p`: tokens.grant 1 → 2, acts at once: a, c",
        "plan `alone`: tokens.grant 1 → 2, acts at once: b",
    )


def test_a_plan_of_nobody(read: Read) -> None:
    old, new = read(f"{BASE}plans: {{p: {{tokens: 1}}}}\n"), read(f"{BASE}plans: {{p: {{tokens: 2}}}}\n")
    assert differences(old, new) == ("plan `p`: tokens.grant 1 → 2, acts at once: nobody in `keys`",)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("plan: p", "plan: q", "plan p → q, acts at once"),
        (
            "plan: p",
            "plan: p, balance: organization",
            "balance key → organization, acts at once: what is spent from is another balance",
        ),
        (
            "caps: {force_refresh: 100/min}",
            "caps: {force_refresh: 50/min}",
            "caps.force_refresh 100/min → 50/min, acts at once, and what was admitted still counts",
        ),
        ("caps: {force_refresh: 100/min}", "", "caps.force_refresh 100/min → left out, acts at once"),
    ],
)
def test_an_organization(read: Read, old: str, new: str, told: str) -> None:
    assert differences(read(of_organization(old)), read(of_organization(new))) == (f"organization `o`: {told}: k",)


def test_an_organization_with_another_name(read: Read) -> None:
    old = f"{BASE}organizations: {{o: {{balance: organization}}}}\n"
    new = f"{BASE}organizations: {{n: {{balance: organization, formerly: o}}}}\n"
    assert differences(read(old), read(new)) == (
        "organization `o` is gone: keys made with it are granted nothing any more",
        "organization `n` is new",
        "organization `n` takes over the balance of `o`",
    )


def test_plans_that_go(read: Read) -> None:
    old = read(f"{BASE}plans: {{p: {{}}, q: {{}}}}\n")
    assert differences(old, read(BASE)) == (
        "plans `p`, `q` are gone: keys made with them are granted nothing any more",
    )
    assert differences(read(BASE), old) == ("plans `p`, `q` are new",)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "url: http://api",
            "url: http://other",
            "url http://api → http://other, what is stored of the former one is served no more: a",
        ),
        (
            "url: http://api/T0KEN",
            "url: http://api/T1KEN",
            "url changed in its path, what is stored of the former one is served no more: a",
        ),
        (
            "url: http://api",
            "url: [http://api, http://spare]",
            "url http://api → http://api, http://spare, for exchanges that begin from now on: a",
        ),
        (
            "url: http://api, headers: {Authorization: T0KEN}",
            "url: http://api, headers: {Authorization: T1KEN, X-A: T2KEN}",
            f"headers.Authorization changed, {EXCHANGES}: a|headers.X-A is set, {EXCHANGES}: a",
        ),
        (
            "url: http://api, headers: {Authorization: T0KEN}",
            "url: http://api",
            "headers.Authorization is left out, for exchanges that begin from now on: a",
        ),
        (
            "url: http://api, limits: {rate: 5/s}",
            "url: http://api, timeout: 5s",
            f"timeout.total 1m → 5s, {EXCHANGES}: a|limits.rate 5/s → left out, {EXCHANGES}: a",
        ),
        (
            "url: http://api",
            "url: http://api, breaker: {after: 3}",
            f"breaker left out → after 3, for 10s, {EXCHANGES}: a",
        ),
        (
            "url: http://api, breaker: {for: 10s}",
            "url: http://api, breaker: {for: 1m}",
            f"breaker.for 10s → 1m, {EXCHANGES}: a",
        ),
    ],
    ids=["another origin", "another path", "one more", "credentials", "no credentials", "limits", "breaker", "longer"],
)
def test_an_upstream(read: Read, old: str, new: str, told: str) -> None:
    found = differences(read(of_upstream(old)), read(of_upstream(new)))
    assert found == tuple(f"upstream `api`: {one}" for one in told.split("|"))
    assert "KEN" not in "".join(found)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("listen: :1", "listen: :2", "listen :1 → :2, needs a restart"),
        ("store: {durability: power}", "", "store.durability power → process, needs a restart"),
        ("admin: {token: T0KEN}", "admin: {token: T1KEN}", "admin.token changed, acts at once"),
        ("", "admin: {token: T1KEN}", "admin.token is set, acts at once"),
        ("hosts: [a, b]", "hosts: a", "hosts a, b → a, acts at once"),
        ("", "log: {level: debug}", "log.level info → debug, acts at once"),
        ("", "timezone: Europe/Rome", "timezone UTC → Europe/Rome, grants and usage go by its calendar from now on"),
        ("", "auth: {accept: bearer}", None),
    ],
)
def test_what_stands_alone(read: Read, old: str, new: str, told: str | None) -> None:
    [found] = differences(read(f"{BASE}{old}\n"), read(f"{BASE}{new}\n"))
    assert found == (told or "auth.accept bearer, basic, header:X-Api-Key, header:Authorization → bearer, acts at once")


def test_the_whole_case_differs_from_itself_in_nothing(read: Read) -> None:
    assert differences(read(WHOLE, SECRETS), read(WHOLE, SECRETS)) == ()


def test_no_secret_is_ever_told(read: Read) -> None:
    others = {name: f"{secret}other" for name, secret in SECRETS.items()}
    for told in (
        differences(read(WHOLE, SECRETS), read(WHOLE, others)),
        differences(read(BASE), read(WHOLE, others)),
        differences(read(WHOLE, SECRETS), read(BASE)),
    ):
        assert told
        assert not [secret for secret in SECRETS.values() if secret in "\n".join(told)]
