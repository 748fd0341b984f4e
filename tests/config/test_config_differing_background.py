"""What another config changes for background refreshes, in sentences."""

import pytest
from config.texts import STORES, Read, refresh

from gateway.config.differences import differences

NEW = "for requests that begin from now on"
NEXT = "for what its work does from now on"
OTHER = "- {name: c, match: {path: /c, host: c.example, methods: [PUT, POST]}, subject: id, tags: t}\n"
GONE = "what is under way waits for"


def told(read: Read, old: str, new: str) -> tuple[str, ...]:
    return differences(read(old), read(new))


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("", "price: 2", f"price.base 1 → 2, {NEW}"),
        ("price: 2", "price: {base: 2, per_subject: 1}", f"price.per_subject 0 → 1, {NEW}"),
        ("", "since: from", f"since left out → name from, zone America/Los_Angeles, {NEW}"),
        ("since: from", "since: {name: from, zone: '-08:00'}", f"since.zone America/Los_Angeles → -08:00, {NEW}"),
        ("", "subjects: {get: /s?key=secret, id: i}", f"subjects left out → set, {NEW}"),
        ("", "trigger: none", f"trigger.request client → none, {NEXT}"),
        ("", "trigger: {request: {path: /t, query: {key: secret}}}", f"trigger.request client → set, {NEXT}"),
        ("", "trigger: {wait: {get: /s?key=secret, until: {a: 1}}}", f"trigger.wait left out → set, {NEXT}"),
        ("pace: {rate: 5/s}", "pace: {rate: none}", f"pace.rate 5/s → left out, {NEXT}"),
        ("", "pace: {concurrency: 9}", f"pace.concurrency 2 → 9, {NEXT}"),
        ("", "retry: {first: 2s}", f"retry.first 1s → 2s, {NEXT}"),
        ("", "pages: true", f"pages left out → query page, page page, pages pages, most 1000, {NEXT}"),
        ("pages: true", "pages: {page: meta.page}", f"pages.page page → meta.page, {NEXT}"),
        ("", "answer: {one: {text: hello}}", f"answer.one left out → text hello, {NEW}"),
        ("answer: {one: {text: a}}", "answer: {one: {text: b}}", f"answer.one.text a → b, {NEW}"),
        ("status: /s", "status: /t", f"status.path /s → /t, {NEW}"),
        (
            "status: {path: /s, words: {done: {id: 1, text: x}}}",
            "status: {path: /s, words: {done: {id: 1, text: y}}}",
            f"status.words.done.text x → y, {NEW}",
        ),
    ],
)
def test_settings(read: Read, old: str, new: str, sentence: str) -> None:
    assert told(read, refresh(old), refresh(new)) == (f"background refresh `b`: {sentence}",)


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("get: /stores?kind=any", "get: /stores?key=secret", f"subjects.get changed, {NEW}"),
        ("get: /stores/status?", "get: /stores/secret?", f"trigger.wait.get changed, {NEXT}"),
        ('{since: "{since}"}', "{since: secret}", f"trigger.request.query.since changed, {NEXT}"),
        ("n: 1}", "n: secret}", f"trigger.request.body.n changed, {NEXT}"),
        (
            '"store:{subject}", stores]',
            '"store:{subject}"]',
            f"tags store:{{subject}}, stores → store:{{subject}}, {NEXT}",
        ),
        ("active: true", "active: [true, 1]", f"subjects.refreshable.active true → true, 1, {NEW}"),
    ],
)
def test_settings_of_a_whole_one(read: Read, before: str, after: str, sentence: str) -> None:
    found = told(read, STORES, STORES.replace(before, after, 1))
    assert found == (f"background refresh `stores`: {sentence}",)


def test_new_and_gone(read: Read) -> None:
    both = refresh().replace("keys:", f"{OTHER}keys:")
    none = refresh().replace("background_refreshes:\n" + refresh().splitlines()[3] + "\n", "")
    assert told(read, refresh(), both) == ("background refresh `c` is new: takes PUT, POST of c.example/c",)
    assert told(read, both, refresh()) == (f"background refresh `c` is gone: {GONE} it to come back",)
    assert told(read, both, none) == (f"background refreshes `b`, `c` are gone: {GONE} them to come back",)
    assert told(read, none, refresh()) == ("background refresh `b` is new: takes POST of /b",)


def test_another_order(read: Read) -> None:
    last = refresh().replace("keys:", f"{OTHER}keys:")
    first = refresh().replace("- {name: b", f"{OTHER}- {{name: b")
    [sentence] = told(read, last, first)
    assert sentence.endswith("stands elsewhere in the order, of which the first match wins")
    assert told(read, last, last) == ()


def test_an_upstream_tells_which_it_is_used_by(read: Read) -> None:
    [sentence] = told(read, refresh(), refresh().replace("{url: http://a}", "{url: http://a, timeout: 5s}"))
    assert sentence.endswith(": b, r")
