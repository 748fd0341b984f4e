"""What is allowed in background refreshes but seldom meant."""

import pytest
from config.texts import STORES, Read, refresh
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.background.warnings import may_be_equal
from gateway.config.warnings import warnings

AT = "background_refreshes[0]"
UNTAGGED = "no route stores anything with this tag: nothing is fetched again but what the upstream itself gives it"
SHARED = "what the route `r` stores is shared by"
OWN = "a refresh fetches again only what its own key is served"
OURS = "a refresh fetches again only what the organization of its key is served"
NEVER = "never matches:"
TAGS = 'cache: {ttl: 1m, tags: "s:{query.id}"}'


def told(read: Read, text: str) -> list[str]:
    return [f"{error.line}:{error.column}: {error.message}" for error in warnings(read(text))]


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ("", "", []),
        (TAGS, "cache: 1m", [f"4:43: {AT}.tags: {UNTAGGED}"]),
        (TAGS, "price: 1", [f"4:43: {AT}.tags: {UNTAGGED}"]),
        (
            "'s:{subject}'",
            "['s:{subject}', 't:{subject}', 's:all', 't']",
            [f"4:59: {AT}.tags[1]: {UNTAGGED}", f"4:83: {AT}.tags[3]: {UNTAGGED}"],
        ),
        (TAGS, TAGS.replace("ttl", "share: key, ttl"), [f"4:43: {AT}.tags: {SHARED} key: {OWN}"]),
        (
            TAGS,
            TAGS.replace("ttl", "share: organization, ttl"),
            [f"4:43: {AT}.tags: {SHARED} organization: {OURS}"],
        ),
        (TAGS, TAGS.replace("ttl", "share: everyone, ttl"), []),
        (TAGS, TAGS + ", access: public", []),
        (
            "tags: 's:{subject}'",
            "tags: 's:{subject}', answer: {all: x}",
            [f"4:67: {AT}.answer.all: is never given: without `subjects` nobody can ask for all"],
        ),
        ("tags: 's:{subject}'", "tags: 's:{subject}', answer: {all: x}, subjects: {get: /s, id: i}", []),
        (
            "keys: [{id: k, key: k}]",
            "keys: []",
            [f"4:3: {AT}: needs an API key, and `keys` holds none: 401 until one is made with `gateway keys create`"],
        ),
        (
            "{a: {url: http://a}}",
            "{a: {url: http://a}, c: {url: http://c}}",
            ["1:33: upstreams.c: no route goes to it"],
        ),
        (
            "match: /b",
            "match: {path: /b, host: b.example}, status: /s",
            [f"4:37: {AT}.match.host: never matches: `hosts` does not have this one, and others get 421"],
        ),
    ],
    ids=[
        "none",
        "no tags",
        "no cache",
        "some of the tags",
        "by key",
        "by organization",
        "by everyone",
        "public",
        "an answer to all",
        "an answer to all of them",
        "no key",
        "an upstream that nothing goes to",
        "another host",
    ],
)
def test_what_is_seldom_meant(read: Read, before: str, after: str, found: list[str]) -> None:
    text = refresh() + "hosts: a.example\n"
    if "upstreams" in "".join(found):
        text = text.replace("name: b,", "name: b, upstream: a,").replace("name: r,", "name: r, upstream: a,")
    assert told(read, text.replace(before, after, 1)) == found


def test_a_background_refresh_makes_use_of_its_upstream(read: Read) -> None:
    text = refresh().replace("{a: {url: http://a}}", "{a: {url: http://a}, c: {url: http://c}}")
    text = text.replace("name: b,", "name: b, upstream: c,").replace("name: r,", "name: r, upstream: a,")
    assert told(read, text) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            refresh().replace("- {name: b", "- {name: o, match: '/{x}', subject: i, tags: 's:1'}\n- {name: b"),
            [f"5:3: background_refreshes[1]: {NEVER} the background refresh on line 4 takes all it could"],
        ),
        (
            refresh("status: /s").replace(
                "- {name: b",
                "- {name: o, match: {path: '/{x}', methods: [GET, HEAD]}, subject: i, tags: 's:1'}\n- {name: b",
            ),
            [f"5:66: background_refreshes[1].status: {NEVER} the background refresh on line 4 takes all it could"],
        ),
        (
            refresh().replace("name: r,", "name: r, match: {path: /b, methods: POST},"),
            [f"2:10: routes[0]: {NEVER} the background refresh on line 4 takes all it could"],
        ),
        (
            refresh("status: /b").replace("name: r,", "name: r, match: {path: /b, methods: [GET, POST]},"),
            [f"2:10: routes[0]: {NEVER} the background refreshes on line 4 and on line 4 take all it could"],
        ),
        (
            refresh().replace(
                "[{name: r,", "[{match: {methods: GET}}, {name: r, match: {path: /b, methods: [POST, GET]},"
            ),
            [f"2:35: routes[1]: {NEVER} the background refresh on line 4 and the route on line 2 take all it could"],
        ),
        (refresh("status: /b"), []),
    ],
    ids=[
        "another's",
        "another's, its status",
        "a route",
        "a route, by its status",
        "a route, with another",
        "all well",
    ],
)
def test_what_never_matches(read: Read, text: str, found: list[str]) -> None:
    assert told(read, text) == found


def test_a_whole_one_has_no_warnings(read: Read) -> None:
    assert told(read, STORES) == []


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("a", "a", True),
        ("a", "b", False),
        ("a:{x}", "a:1", True),
        ("a:1", "a:{x}", True),
        ("a:{x}", "b:1", False),
        ("a:{x}", "a:{query.y:-none}", True),
        ("a:{x}", "ab:{y}", False),
        ("{x}:a", "{y}:b", False),
        ("{x}:a", "b:{y}", True),
        ("{x}", "anything\nat all", True),
        ("a.c:{x}", "abc:1", False),
        ("a:{x}-{y}", "a:1-2", True),
        ("a:{x}-{y}", "a:1", False),
    ],
)
def test_tags_that_may_be_equal(one: str, other: str, equal: bool) -> None:
    assert may_be_equal(one, other) is equal


_LITERAL = st.text("ab:", max_size=3)
_PARTS = st.lists(_LITERAL, min_size=1, max_size=3)


@given(_PARTS, _PARTS, st.data())
def test_tags_that_become_equal_may_be_equal(ours: list[str], theirs: list[str], data: st.DataObject) -> None:
    def become(parts: list[str]) -> str:
        first, *others = parts
        return first + "".join([data.draw(_LITERAL) + part for part in others])

    if become(ours) == become(theirs):
        assert may_be_equal("{x}".join(ours), "{y}".join(theirs))
    assert may_be_equal("{x}".join(ours), become(ours))
