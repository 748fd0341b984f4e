"""Everything that can be wrong with a background refresh, at its exact place."""

import pytest
from config.texts import STORES, Errors, refresh

AT = "background_refreshes[0]"
MEMBER = "must be the name of a member of a JSON object, or a path of them such as usage.tokens"
PATH = "must be a path, with a query where it has one, such as /stores?page=1"
TEMPLATE = "must be a path, with a query where it has one, such as /stores/{subject}?full=1"
VALUES = "must be a text, a number, true, false or null, or a list of them"
BRACES = "a placeholder is {name}, and a brace that is none's is doubled"
DURATION = "must be a duration such as 250ms, 30s, 15m, 1h or 7d"
RATE = "must be a rate of at least one such as 10/s, 100/min, 1000/h or 5000/d"
ZONE = "must be a time zone such as America/Los_Angeles, or an offset such as -08:00"
KEYS = (
    "answer, match, name, pace, pages, price, retry, rewrite, since, status, subject, subjects, tags, trigger, upstream"
)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("trigger: clint", [f"67: {AT}.trigger.request: must be 'client' or 'none', did you mean `client`?"]),
        ("trigger: [client]", [f"67: {AT}.trigger: must be a mapping of keys to values"]),
        ("trigger: {request: [x]}", [f"77: {AT}.trigger.request: must be a mapping of keys to values"]),
        (
            "trigger: {request: {pth: /x}}",
            [
                f"68: {AT}.trigger.request: `path` is required",
                f"78: {AT}.trigger.request: unknown key `pth`, did you mean `path`?",
            ],
        ),
        ("trigger: {request: {path: x}}", [f"84: {AT}.trigger.request.path: {TEMPLATE}"]),
        ("trigger: {request: {path: '/x#y'}}", [f"84: {AT}.trigger.request.path: {TEMPLATE}"]),
        (
            "trigger: {request: {path: '/a/../b'}}",
            [f"84: {AT}.trigger.request.path: {TEMPLATE}: Its path holds an empty segment or a dot segment."],
        ),
        (
            "trigger: {request: {path: '/x?y=1'}}",
            [f"84: {AT}.trigger.request.path: must be a path alone: parameters stand under `query`"],
        ),
        (
            "trigger: {request: {path: '/{subjct}', query: {q: '{'}, body: {a: [x, '{sinc}']}}}",
            [
                f"84: {AT}.trigger.request.path: unknown placeholder `subjct`, did you mean `subject`?",
                f"108: {AT}.trigger.request.query.q: {BRACES}",
                f"128: {AT}.trigger.request.body.a[1]: unknown placeholder `sinc`, did you mean `since`?",
            ],
        ),
        (
            "trigger: {request: {path: /x, method: get, body: {}}}",
            [f"101: {AT}.trigger.request.body: a GET has no content"],
        ),
        (
            "trigger: {request: none, repeatable: true}",
            [f"83: {AT}.trigger.repeatable: with `request: none` nothing is sent that could be repeated"],
        ),
        ("trigger: {repeatable: maybe}", [f"80: {AT}.trigger.repeatable: must be true or false"]),
        ("trigger: {wait: /x}", [f"74: {AT}.trigger.wait: must be a mapping of keys to values"]),
        ("trigger: {wait: {get: /x}}", [f"68: {AT}.trigger.wait: `until` is required"]),
        (
            "trigger: {wait: {get: /x, until: {}}}",
            [f"91: {AT}.trigger.wait.until: must not be empty: nothing would be waited for"],
        ),
        ("trigger: {wait: {get: '/x?{y', until: {a: 1}}}", [f"80: {AT}.trigger.wait.get: {TEMPLATE}"]),
        (
            "trigger: {wait: {get: '/x?a={id}', until: {a..b: 1}}}",
            [
                f"80: {AT}.trigger.wait.get: unknown placeholder `id`; known: since, subject",
                f"101: {AT}.trigger.wait.until: {MEMBER}",
            ],
        ),
        (
            "trigger: {wait: {get: /x, until: {a: [[1]]}, failed: {b: []}}}",
            [f"95: {AT}.trigger.wait.until.a: {VALUES}", f"115: {AT}.trigger.wait.failed.b: must not be empty"],
        ),
        (
            "trigger: {wait: {get: /x, until: {a: 1}, every: 20m}}",
            [f"74: {AT}.trigger.wait.within: must be at least as long as `every`"],
        ),
        (
            "trigger: {wait: {get: /x, until: {a: 1}, every: 0s, within: 1}}",
            [f"106: {AT}.trigger.wait.every: must be more than 0", f"118: {AT}.trigger.wait.within: {DURATION}"],
        ),
    ],
)
def test_triggers(errors: Errors, text: str, told: list[str]) -> None:
    assert errors(refresh(text)) == [f"4:{error}" for error in told]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("subjects: /stores", [f"68: {AT}.subjects: must be a mapping of keys to values"]),
        ("subjects: {}", [f"58: {AT}.subjects: `get` is required", f"58: {AT}.subjects: `id` is required"]),
        (
            "subjects: {get: stores, id: ''}",
            [f"74: {AT}.subjects.get: {PATH}", f"86: {AT}.subjects.id: {MEMBER}"],
        ),
        (
            "subjects: {get: '/{subject}', id: a, items: a..b, pages: maybe, keep: 5}",
            [
                f"74: {AT}.subjects.get: {PATH}",
                f"102: {AT}.subjects.items: {MEMBER}",
                f"115: {AT}.subjects.pages: must be a mapping of keys to values",
                f"128: {AT}.subjects.keep: {DURATION}",
            ],
        ),
        (
            "subjects: {get: /s, id: a, refreshable: {active: {a: b}}, pages: {most: 100001}}",
            [
                f"107: {AT}.subjects.refreshable.active: {VALUES}",
                f"130: {AT}.subjects.pages.most: must be at most 100000",
            ],
        ),
        ("since: {name: d, zone: Mars}", [f"81: {AT}.since.zone: {ZONE}"]),
        ("since: {name: d, zone: [UTC]}", [f"81: {AT}.since.zone: {ZONE}"]),
        ("since: {zone: UTC}", [f"58: {AT}.since: `name` is required"]),
        ("since: id", [f"65: {AT}.since.name: is the subject's parameter as well"]),
        ("since: 'a b'", [f"65: {AT}.since.name: must be the name of a query parameter"]),
        ("pages: {most: 0}", [f"72: {AT}.pages.most: must be at least 1"]),
        (
            "pages: {quer: p, page: ''}",
            [f"66: {AT}.pages: unknown key `quer`, did you mean `query`?", f"81: {AT}.pages.page: {MEMBER}"],
        ),
        ("price: -1", [f"65: {AT}.price.base: must be at least 0"]),
        ("price: {per_subject: 1000000001}", [f"79: {AT}.price.per_subject: must be at most 1000000000"]),
        (
            "price: {per_subjct: 1}",
            [f"66: {AT}.price: unknown key `per_subjct`, did you mean `per_subject`?"],
        ),
        (
            "pace: {concurrency: 0, rate: 0/s}",
            [f"78: {AT}.pace.concurrency: must be at least 1", f"87: {AT}.pace.rate: {RATE}"],
        ),
        ("pace: 5/s", [f"64: {AT}.pace: must be a mapping of keys to values"]),
        (
            "retry: {attempts: 0, first: 10m}",
            [
                f"65: {AT}.retry.longest: must be at least as long as `first`",
                f"76: {AT}.retry.attempts: must be at least 1",
            ],
        ),
        (
            "retry: {within: 1s, first: 2s, longest: 1s}",
            [
                f"74: {AT}.retry.within: must be at least as long as `first`",
                f"98: {AT}.retry.longest: must be at least as long as `first`",
            ],
        ),
        ("retry: {within: 1s, first: 2}", [f"85: {AT}.retry.first: {DURATION}"]),
        ("upstream: b", [f"68: {AT}.upstream: unknown upstream `b`; known: a"]),
        (
            "rewrite: {strip_prefix: v1}",
            [f"82: {AT}.rewrite.strip_prefix: must be the beginning of a path such as /v1"],
        ),
        ("cache: 1m", [f"58: {AT}: unknown key `cache`, did you mean `pace`?"]),
        ("xyz: 1m", [f"58: {AT}: unknown key `xyz`; allowed here: {KEYS}"]),
    ],
)
def test_subjects_and_pace(errors: Errors, text: str, told: list[str]) -> None:
    assert errors(refresh(text)) == [f"4:{error}" for error in told]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "status: s",
            [f"66: {AT}.status.path: must be a path such as /v1/products/{{id}}: a path begins with /"],
        ),
        ("status: {}", [f"58: {AT}.status: `path` is required"]),
        (
            "status: {path: /s, words: {run: {id: 1, text: x}}}",
            [f"85: {AT}.status.words: unknown key `run`, did you mean `running`?"],
        ),
        (
            "status: {path: /s, words: {running: {id: -1}}}",
            [
                f"85: {AT}.status.words.running: `text` is required",
                f"99: {AT}.status.words.running.id: must be at least 0",
            ],
        ),
        (
            "status: {path: /s, answer: '{how}'}",
            [f"85: {AT}.status.answer: unknown placeholder `how`; known: attempted, since, status, status_id, subject"],
        ),
        (
            "answer: {all: '{subject}'}",
            [f"72: {AT}.answer.all: unknown placeholder `subject`, did you mean `subjects`?"],
        ),
        (
            "answer: {one: '{subject', all: ['{{x}}', {a: '{jb}'}]}",
            [
                f"72: {AT}.answer.one: {BRACES}",
                f"103: {AT}.answer.all[1].a: unknown placeholder `jb`, did you mean `job`?",
            ],
        ),
        ("answer: {joind: x}", [f"67: {AT}.answer: unknown key `joind`, did you mean `joined`?"]),
        ("answer: success", [f"66: {AT}.answer: must be a mapping of keys to values"]),
    ],
)
def test_answers(errors: Errors, text: str, told: list[str]) -> None:
    assert errors(refresh(text)) == [f"4:{error}" for error in told]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("name: b, ", "", [f"4:3: {AT}: `name` is required"]),
        ("match: /b, ", "", [f"4:3: {AT}: `match` is required"]),
        ("match: /b", "match: {methods: get}", [f"4:13: {AT}.match: `path` is required"]),
        ("match: /b", "match: {path: /b, methods: []}", [f"4:40: {AT}.match.methods: must not be empty"]),
        ("subject: id", "subject: {type: text}", [f"4:24: {AT}.subject: `name` is required"]),
        (
            "subject: id",
            "subject: {name: i, type: numbr}",
            [f"4:49: {AT}.subject.type: must be 'number' or 'text', did you mean `number`?"],
        ),
        ("'s:{subject}'", "[]", [f"4:43: {AT}.tags: must not be empty"]),
        (
            "'s:{subject}'",
            "['x:{id}', '', '{']",
            [
                f"4:44: {AT}.tags[0]: unknown placeholder `id`; known: subject",
                f"4:54: {AT}.tags[1]: must be a tag such as store:{{subject}}",
                f"4:58: {AT}.tags[2]: {BRACES}",
            ],
        ),
        (
            "match: /b",
            "status: '/b/{x}', match: {path: '/b/{any:.*}', methods: [GET, POST]}",
            [f"4:21: {AT}.status.path: `match` takes every GET of this path"],
        ),
        (
            "{url: http://a}",
            "{url: http://a, credentials: client}",
            [f"4:3: {AT}: its upstream has `credentials: client`, and no client's key is kept for what comes later"],
        ),
    ],
)
def test_what_is_required(errors: Errors, before: str, after: str, told: list[str]) -> None:
    assert errors(refresh().replace(before, after)) == told


def test_no_client_s_key_is_kept(errors: Errors) -> None:
    text = refresh().replace("{a: {url: http://a}}", "{a: {url: http://a}, c: {url: http://c, credentials: client}}")
    text = text.replace("name: r,", "name: r, upstream: a,")
    kept = "its upstream has `credentials: client`, and no client's key is kept for what comes later"
    assert errors(text) == [f"4:3: {AT}: `upstream` is required where there are several: a, c"]
    assert errors(text.replace("name: b,", "name: b, upstream: c,")) == [f"4:23: {AT}.upstream: {kept}"]
    assert errors(text.replace("name: b,", "name: b, upstream: a,")) == []


def test_what_is_substituted_is_not_shown(errors: Errors) -> None:
    text = refresh("answer: {one: '${SECRET}', joined: '${BROKEN}'}", tags="${SECRET}")
    known = "how, job, since, subject, subjects"
    assert errors(text, {"SECRET": "{secret}", "BROKEN": "{secret"}) == [
        f"4:43: {AT}.tags: unknown placeholder; known: subject",
        f"4:70: {AT}.answer.one: unknown placeholder; known: {known}",
        f"4:91: {AT}.answer.joined: {BRACES}",
    ]


ROUTE = 'routes: [{name: r, cache: {ttl: 1m, tags: "s:{query.id}"}}]'
TAKEN = "the name of another route, on line"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (refresh().replace("name: r", "name: b"), [f"4:10: {AT}.name: is {TAKEN} 2"]),
        (
            refresh("status: /s").replace("name: r", "name: b-status"),
            [f"4:10: {AT}.name: with `-status`, as its status is called, it is {TAKEN} 2"],
        ),
        (refresh().replace("name: r", "name: b-status"), []),
        (refresh().replace("{a:", "{b:").replace("name: r, ", ""), [f"4:10: {AT}.name: is {TAKEN} 2"]),
        (
            refresh("status: /s") + "x-b: &b {name: b-status, match: /c, subject: id, tags: t}\n",
            [],
        ),
        (
            refresh("status: /s").replace("keys:", "- {name: b-status, match: /c, subject: i, tags: t}\nkeys:"),
            [f"5:10: background_refreshes[1].name: is {TAKEN} 4"],
        ),
        (
            refresh().replace("keys:", "- {name: b, match: /c, subject: i, tags: t}\nkeys:"),
            [f"5:10: background_refreshes[1].name: is {TAKEN} 4"],
        ),
        (
            refresh().replace(ROUTE, "routes: [{name: r, upstream: b}]"),
            ["2:30: routes[0].upstream: unknown upstream `b`; known: a"],
        ),
        (
            refresh().replace("name: r,", "upstream: [b],"),
            ["2:21: routes[0].upstream: must be a name of letters, digits and . _ @ + -"],
        ),
    ],
    ids=[
        "a route's",
        "its status a route's",
        "no status",
        "an upstream's",
        "not read",
        "another's status",
        "another's",
        "of a route that is named",
        "of a route at fault",
    ],
)
def test_names(errors: Errors, text: str, told: list[str]) -> None:
    assert errors(text) == told


@pytest.mark.parametrize(
    ("cache", "rest", "told"),
    [
        ("tags: 's:{query.id}', vary_on: {query_ignore: id}", "", "`vary_on.query_ignore`"),
        ("tags: 's:{query.id:-none}', vary_on: {query_ignore: [x, id]}", "", "`vary_on.query_ignore`"),
        ("tags: 's:{query.fresh}'", "refresh: {query: fresh}", "`refresh.query`"),
        ("tags: 's:{query.id}', vary_on: {query_ignore: x}", "", None),
        ("tags: ['s:{body.id}', 's:{body.id:-none}']", "", None),
    ],
)
def test_tags_of_what_stored_responses_do_not_differ_by(
    errors: Errors, cache: str, rest: str, told: str | None
) -> None:
    text = f"upstreams: {{a: {{url: http://a}}}}\nroutes: [{{{rest}{', ' if rest else ''}cache: {{{cache}}}}}]\n"
    found = errors(text)
    assert bool(found) == (told is not None)
    assert all("stored responses do not differ by the parameter" in error and str(told) in error for error in found)


def test_no_tag_holds_an_api_key(errors: Errors) -> None:
    route = "routes: [{cache: {tags: 's:{query.key}'}}, {access: public, cache: {tags: 's:{query.key}'}}]\n"
    text = f"upstreams: {{a: {{url: http://a}}}}\n{route}auth: {{accept: [bearer, 'query:key']}}\n"
    told = "stored responses do not differ by the parameter `key`, as `auth.accept` says"
    assert errors(text) == [f"2:25: routes[0].cache.tags: {told}"]


@pytest.mark.parametrize(
    "text",
    [
        refresh("status: /s").replace("match: /b", "match: {path: /b, methods: [GET, POST]}"),
        refresh("trigger: {request: none, wait: {get: /w, until: {a: 1}}}"),
        refresh("trigger: {request: {method: DELETE, path: '/x/{subject}'}}"),
        refresh("answer: {joined: '{subject} {subjects} {since} {job} {how} {{}}'}"),
        refresh("retry: {first: 2s, longest: 2s, within: 2s}"),
        refresh().replace("match: /b", "match: '/{version}/b'"),
    ],
    ids=["GET", "to wait without a trigger", "DELETE", "every placeholder", "equal pauses", "a parameter of the path"],
)
def test_what_is_right(errors: Errors, text: str) -> None:
    assert errors(text) == []


def test_a_whole_one_is_right(errors: Errors) -> None:
    assert errors(STORES) == []
