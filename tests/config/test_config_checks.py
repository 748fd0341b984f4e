"""What the settings must mean together."""

import pytest
from config.texts import Errors

ONE = "upstreams: {api: {url: http://api}}\n"
TWO = "upstreams: {api: {url: http://api}, other: {url: http://other, credentials: client}}\n"


def route(text: str) -> str:
    return f"{ONE}routes: [{{{text}}}]\n"


DIGEST = "sha256:8254c329a92850f6d539dd376f4816ee2764517da5e0235514af433164480d7a"  # of `k`
ITS_OWN = "with `balance: organization` the balance is the organization's: say there what it was"
EACH_ITS_OWN = "needs `balance: organization`: here each key has its own, and says itself what it was"
RENEWS = "needs a `grant` that renews: a prepaid one never lapses, and an unlimited plan has none"
ANY = "routes: [{upstream: api}]\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "listen: :80\n",
            ["1:1: `routes`: at least a route is required", "1:1: `upstreams`: at least an upstream is required"],
        ),
        (
            "upstreams: {}\nroutes: []\n",
            ["1:1: `routes`: at least a route is required", "1:1: `upstreams`: at least an upstream is required"],
        ),
        (
            ONE + ANY + "admin: {listen: ':80'}\n",
            ["3:17: admin.listen: off loopback it needs a `token`, or anyone could change the gateway"],
        ),
        (
            ONE + ANY + "admin: {listen: ':80', token: ''}\n",
            ["3:17: admin.listen: off loopback it needs a `token`, or anyone could change the gateway"],
        ),
        (
            ONE + ANY + "store: {kind: redis}\n",
            ["3:15: store.kind: `redis` needs a `url`"],
        ),
        (
            ONE + ANY + "store: {kind: redis, url: 'redis://a', disk: 1GiB, durability: process}\n",
            [
                "3:40: store.disk: means nothing with `kind: redis`: leave it out",
                "3:52: store.durability: means nothing with `kind: redis`: leave it out",
            ],
        ),
        (
            ONE + ANY + "store: {url: 'redis://a', timeout: 50ms, on_failure: deny, shared: 1GiB, username: u}\n",
            [
                "3:9: store.url: means nothing with `kind: embedded`: leave it out",
                "3:27: store.timeout: means nothing with `kind: embedded`: leave it out",
                "3:42: store.on_failure: means nothing with `kind: embedded`: leave it out",
                "3:60: store.shared: means nothing with `kind: embedded`: leave it out",
            ],
        ),
        (
            ONE + ANY + "store: {kind: redis, url: 'http://a'}\n",
            [
                (
                    "3:27: store.url: must be a URL such as redis://redis.example:6379/0, rediss://… with TLS, or "
                    "unix:///run/redis.sock"
                )
            ],
        ),
        (
            ONE + ANY + "organizations: {o: {plan: pro}}\n",
            ["3:27: organizations.o.plan: unknown plan `pro`; there are none"],
        ),
        (
            ONE + ANY + "plans: {pro: }\norganizations: {o: {plan: por}}\n",
            ["4:27: organizations.o.plan: unknown plan `por`, did you mean `pro`?"],
        ),
        (ONE + ANY + "keys: [{id: a, plan: listen}]\n", ["3:22: keys[0].plan: unknown plan `listen`; there are none"]),
        (
            ONE + ANY + "organizations: {x: }\nkeys: [{id: a, organization: o}]\n",
            ["4:30: keys[0].organization: unknown organization `o`; known: x"],
        ),
        (
            ONE + ANY + "organizations: {a: }\nkeys: [{id: a}]\n",
            ["4:9: keys[0].id: an organization has this name; name it under `organization`, or rename the key"],
        ),
        (
            ONE
            + ANY
            + "plans: {p: }\norganizations: {o: {balance: organization}}\nkeys: [{id: a, organization: o, plan: p}]\n",
            ["5:33: keys[0].plan: with `balance: organization` the plan is the organization's too"],
        ),
        (
            ONE + ANY + "plans: {p: {tokens: {grant: 1, carry_over: true}}}\n",
            ["3:32: plans.p.tokens.carry_over: " + RENEWS],
        ),
        (
            ONE + ANY + "plans: {p: {tokens: {every: month, carry_over: true}}}\n",
            ["3:36: plans.p.tokens.carry_over: " + RENEWS],
        ),
        (
            ONE + ANY + "keys: [{id: a, formerly: a}, {id: b, formerly: a}, {id: c, formerly: d}]\n",
            [
                "3:26: keys[0].formerly: is still in `keys`, and keeps its balance",
                "3:48: keys[1].formerly: is still in `keys`, and keeps its balance",
                "3:48: keys[1].formerly: is what another of `keys` was, on line 3",
            ],
        ),
        (
            ONE + ANY + "organizations: {o: {balance: organization}}\nkeys: [{id: a, organization: o, formerly: b}]\n",
            ["4:33: keys[0].formerly: " + ITS_OWN],
        ),
        (
            ONE + ANY + "organizations: {o: {formerly: p}, p: {balance: organization, formerly: q},"
            " r: {balance: organization, formerly: q}}\n",
            [
                "3:21: organizations.o.formerly: " + EACH_ITS_OWN,
                "3:31: organizations.o.formerly: is still in `organizations`, and keeps its balance",
                "3:113: organizations.r.formerly: is what another of `organizations` was, on line 3",
            ],
        ),
        (
            "upstreams: {api: {url: http://api, credentials: client, cost: {body: tokens}}}\n" + ANY,
            ["1:57: upstreams.api.cost: with `credentials: client` the upstream charges the client, not you"],
        ),
        (ONE + ANY + "keys:\n- id: a\n- id: b\n- id: a\n", ["6:7: keys[2].id: is the id of another key, on line 4"]),
        (
            ONE + ANY + "keys:\n- {id: a, key: k}\n- {id: b, key: [j, k]}\n",
            ["5:20: keys[1].key[1]: another account has this API key, on line 4"],
        ),
        (
            ONE + ANY + f"keys:\n- {{id: a, key: k}}\n- {{id: b, key: {DIGEST}}}\n",
            ["5:16: keys[1].key: another account has this API key, on line 4"],
        ),
        (
            TWO + "routes:\n- {upstream: apo}\n- {upstream: zzz}\n- {cache: 1m}\n",
            [
                "3:14: routes[0].upstream: unknown upstream `apo`, did you mean `api`?",
                "4:14: routes[1].upstream: unknown upstream `zzz`; known: api, other",
                "5:3: routes[2]: `upstream` is required where there are several: api, other",
            ],
        ),
        (
            TWO + "routes: [{upstream: other, access: public, credentials: upstream}]\n",
            ["2:44: routes[0].credentials: the upstream has `credentials: client`, so there are none to send"],
        ),
        (
            ONE + "routes:\n- {name: a, match: /a}\n- {name: b, match: /b}\n- {name: a}\n",
            ["5:10: routes[2].name: is the name of another route, on line 3"],
        ),
        (
            route("forward: [X-A, x-forwarded-for], cache: {vary_on: {headers: Forwarded}}"),
            [
                "2:26: routes[0].forward[1]: the gateway writes this field itself",
                "2:71: routes[0].cache.vary_on.headers: the gateway writes this field itself",
            ],
        ),
        (
            route("access: public, price: 0"),
            ["2:27: routes[0].price: not on a public route: nobody is there to be charged"],
        ),
        (
            route("access: public, refresh: true"),
            ["2:27: routes[0].refresh: not on a public route: nobody is there to be charged"],
        ),
        (
            route("access: public, tokens_in_body: true"),
            ["2:27: routes[0].tokens_in_body: not on a public route: nobody is there to be charged"],
        ),
        (
            route("access: public, cache: {share: key}"),
            ["2:42: routes[0].cache.share: not on a public route: it knows neither keys nor organizations"],
        ),
        (
            route("access: public, cache: {client_directives: price}"),
            ["2:54: routes[0].cache.client_directives: not on a public route: nobody is there to be charged"],
        ),
        (
            route("access: public, cache: {share: organization}"),
            ["2:42: routes[0].cache.share: not on a public route: it knows neither keys nor organizations"],
        ),
        (route("refresh: true"), ["2:11: routes[0].refresh: needs a `cache`: there is nothing to refresh"]),
        (
            route("cache: 1m, refresh: true, match: {methods: HEAD}"),
            ["2:22: routes[0].refresh: a refresh stands for a GET, which `match.methods` leaves out"],
        ),
        (
            route("cache: 1m, match: '/v1/{id}', refresh: {post: '/v1/{idx}/refresh'}"),
            [
                "2:57: routes[0].refresh.post: lacks the parameter `id` of the match path",
                "2:57: routes[0].refresh.post: the match path has no parameter `idx`, did you mean `id`?",
            ],
        ),
        (
            route("cache: 1m, refresh: {post: /refresh}"),
            ["2:38: routes[0].refresh.post: lacks the parameter of the match path"],
        ),
        (
            route("match: '/v1/{id}', cache: {tags: ['product:{id}', 'x:{name}']}"),
            ["2:61: routes[0].cache.tags[1]: the match path has no parameter `name`"],
        ),
        (
            route("match: '/v1/{id}', cache: {tags: 'x:{API}'}".replace("{API}", "{${EMPTY:-name}}")),
            ["2:44: routes[0].cache.tags: the match path has no parameter"],
        ),
        (
            route(
                "price: {options: [{name: a, tokens: 1, when: {query_any: x}},"
                " {name: a, tokens: 1, when: {query_any: y}}]}"
            ),
            ["2:80: routes[0].price.options[1].name: is the name of another option, on line 2"],
        ),
        (
            route("price: {options: [{name: base, tokens: 1, when: {query_any: x}}]}"),
            ["2:36: routes[0].price.options[0].name: this name is taken by the price itself"],
        ),
    ],
    ids=[
        "nothing",
        "nothing but names",
        "admin off loopback",
        "admin with an empty token",
        "redis without url",
        "redis with settings of embedded",
        "embedded with settings of redis",
        "redis with a url that is none",
        "organization's plan",
        "organization's plan with a hint",
        "key's plan, named as another setting",
        "key's organization",
        "key named as an organization",
        "a plan beside the balance's",
        "carry-over of a prepaid grant",
        "carry-over of no grant",
        "keys that are what they were",
        "a former key of one balance",
        "organizations that are what they were",
        "the cost of a client's call",
        "ids",
        "API keys",
        "API key and its digest",
        "upstreams",
        "credentials that do not exist",
        "route names",
        "fields that say whence",
        "public with price",
        "public with refresh",
        "public with tokens in the body",
        "public, shared by key",
        "public with priced directives",
        "public, shared by organization",
        "refresh without cache",
        "refresh without GET",
        "refresh with other parameters",
        "refresh without the parameter of everything",
        "tag with another parameter",
        "tag with a substituted parameter",
        "price options",
        "reserved price option",
    ],
)
def test_what_makes_no_sense_together(errors: Errors, text: str, told: list[str]) -> None:
    assert errors(text) == told


@pytest.mark.parametrize(
    "text",
    [
        ONE + ANY + "admin: {listen: ':80', token: secret}\n",
        ONE + ANY + "keys: [{id: a, key: [k, k, '', '']}, {id: b, key: ''}]\n",
        ONE + ANY + "plans: {p: }\norganizations: {o: }\nkeys: [{id: a, organization: o, plan: p}]\n",
        ONE + ANY + "plans: {p: {tokens: {grant: 1, every: hour, carry_over: true}, throttle: 1/s}, q: {}}\n",
        ONE + ANY + "organizations: {o: {balance: organization}}\nkeys: [{id: a, organization: o, throttle: 1/s}]\n",
        ONE + ANY + "organizations: {o: {balance: organization, formerly: a}}\nkeys: [{id: a}, {id: b, formerly: o}]\n",
        "upstreams: {api: {url: http://api, cost: {body: usage.tokens}}}\n" + ANY,
        ONE + "routes: [{match: /a}, {match: /b}]\n",
        route("access: public, cache: {share: everyone}, refresh: false, tokens_in_body: false"),
        route("access: public, credentials: upstream"),
        route("cache: {}, refresh: true"),
        route("cache: 1m, refresh: true, match: {path: '/a/{id}', methods: [get, POST]}"),
        route("cache: 1m, refresh: {post: none}, match: '/a/{id}'"),
        route("cache: {tags: 'all:{rest}'}, match: '/a/{rest:.*}'"),
    ],
    ids=[
        "admin with a token",
        "one account's key twice, and empty ones",
        "a key's own plan",
        "carry-over",
        "a key's own throttle",
        "names that were of the other kind",
        "an upstream's cost",
        "routes without names",
        "public",
        "an open door, warned about elsewhere",
        "refresh of what the origin lets be stored",
        "refresh with GET",
        "no path for a refresh",
        "a tag of any rest",
    ],
)
def test_what_makes_sense_together(errors: Errors, text: str) -> None:
    assert errors(text) == []
