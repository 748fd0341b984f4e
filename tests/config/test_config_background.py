"""Background refreshes: what every key becomes, what is left out, and the short forms."""

import pickle

import pytest
from config.texts import STORES, Read, refresh
from pydantic import BaseModel

from gateway.admission.background import (
    BackgroundPolicy,
    Call,
    Condition,
    ListPolicy,
    PacePolicy,
    PagesPolicy,
    RetryPolicy,
    SincePolicy,
    StatusPolicy,
    SubjectPolicy,
    TriggerPolicy,
    WaitPolicy,
    Word,
)
from gateway.admission.snapshot import Price, Rate, Route
from gateway.config.compile import snapshot

WORDS = {
    "none": Word(0, "Never refreshed"),
    "pending": Word(1, "Pending"),
    "running": Word(2, "Refreshing"),
    "done": Word(3, "Done"),
    "failed": Word(4, "Failed"),
    "cancelled": Word(5, "Cancelled"),
}


def compiled(read: Read, text: str) -> BackgroundPolicy:
    found = snapshot(read(text)).routes[0].background
    assert found
    return found


def test_everything_that_can_be_said(read: Read) -> None:
    assert compiled(read, STORES) == BackgroundPolicy(
        name="stores",
        upstream="orders",
        subject=SubjectPolicy("storeId", "number"),
        since=SincePolicy("refreshDate", "-08:00"),
        subjects=ListPolicy(
            target="/stores?kind=any",
            id=("store", "id"),
            items=("data", "stores"),
            refreshable=(
                Condition(("active",), (True,)),
                Condition(("store", "kind"), (1, 2.5, None, "3", "online")),
            ),
            pages=PagesPolicy("p", ("meta", "page"), ("meta", "pages"), 10),
            keep=60.0,
        ),
        trigger=TriggerPolicy(
            Call("PUT", "/stores/{subject}/at", (("since", "{since}"),), {"id": "{subject}", "n": 1}),
            repeatable=True,
            wait=WaitPolicy(
                "/stores/status?storeId={subject}",
                (Condition(("status", "id"), (3,)),),
                (Condition(("status", "id"), (4, 5)), Condition(("error",), (True,))),
                1.0,
                3600.0,
            ),
        ),
        tags=("store:{subject}", "stores"),
        pages=PagesPolicy("q", ("page",), ("of",), 20),
        per_subject=2,
        pace=PacePolicy(4, Rate(40, 60.0)),
        retry=RetryPolicy(3, 2.0, 20.0, 3600.0),
        one={
            "success": True,
            "message": "Store ID {subject}",
            "version": "1",
            "rest": [1, -0.5, None, {"a": "{job}"}],
        },
        all="all {subjects} {since}",
        joined={"how": "{how}"},
        status=StatusPolicy(
            {"storeId": "{subject}", "id": "{status_id}", "text": "{status}", "at": "{attempted}", "since": "{since}"},
            WORDS | {"running": Word(20, "Updating orders")},
        ),
    )


def test_what_is_left_out(read: Read) -> None:
    assert compiled(read, refresh()) == BackgroundPolicy(
        name="b",
        upstream="a",
        subject=SubjectPolicy("id", "number"),
        since=None,
        subjects=None,
        trigger=TriggerPolicy("client", repeatable=False, wait=None),
        tags=("s:{subject}",),
        pages=None,
        per_subject=0,
        pace=PacePolicy(2, Rate(5, 1.0)),
        retry=RetryPolicy(),
        one={"success": True, "message": "A background refresh of b has been initiated for {subject}"},
        all={"success": True, "message": "A background refresh of b has been initiated for all"},
        joined={"success": True, "message": "A background refresh of b is under way already for {subject}"},
        status=None,
    )


def test_what_is_left_out_within(read: Read) -> None:
    wait = "trigger: {wait: {get: /s, until: {a: 1}}}"
    found = compiled(read, refresh(f"subjects: {{get: /l, id: i}}, since: d, {wait}, pages: {{}}, status: /s"))
    assert found.subjects == ListPolicy("/l", ("i",), keep=300.0)
    assert found.since == SincePolicy("d", "America/Los_Angeles")
    assert found.trigger.wait == WaitPolicy("/s", (Condition(("a",), (1,)),), (), 5.0, 600.0)
    assert found.pages == PagesPolicy("page", ("page",), ("pages",), 1000)
    names = ("subject", "status_id", "status", "attempted", "since")
    assert found.status == StatusPolicy({name: f"{{{name}}}" for name in names}, WORDS)


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("subjects: {get: /l, id: i, items: ''}", "subjects: {get: /l, id: i}"),
        ("subjects: {get: /l, id: i, pages: on}", "subjects: {get: /l, id: i, pages: {}}"),
        ("since: from", "since: {name: from}"),
        ("pages: true", "pages: {query: page, page: page, pages: pages, most: 1000}"),
        ("pages: false", ""),
        ("trigger: client", ""),
        ("trigger: none", "trigger: {request: none}"),
        ("trigger: {request: {path: /x}}", "trigger: {request: {method: POST, path: /x, query: {}, body: }}"),
        ("price: 3", "price: {base: 3, per_subject: 0}"),
        ("pace: {rate: 5/s}", ""),
        ("status: /s", "status: {path: /s}"),
        ("answer: , pace: , price: , since: , trigger: , upstream: ", ""),
    ],
)
def test_short_forms(read: Read, short: str, long: str) -> None:
    assert read(refresh(short)).background_refreshes == read(refresh(long)).background_refreshes


def test_a_match_and_a_subject_may_be_short(read: Read) -> None:
    long = refresh().replace("match: /b", "match: {path: /b, host: '*', methods: [post]}")
    long = long.replace("subject: id", "subject: {name: id, type: number}").replace("'s:{subject}'", "['s:{subject}']")
    assert read(refresh()).background_refreshes == read(long).background_refreshes


def test_a_pace_may_be_the_upstreams(read: Read) -> None:
    assert compiled(read, refresh("pace: {rate: none}")).pace == PacePolicy(2, None)


def test_its_routes_stand_before_all_others(read: Read) -> None:
    routes = snapshot(read(STORES)).routes
    assert [route.name for route in routes] == ["stores", "stores-status", "orders"]
    asked, status, orders = routes
    assert shown(asked) == ("*", "/stores/refreshstore", {"POST"}, "orders", "/v1", False)
    assert shown(status) == ("*", "/stores/getrefreshstatus", {"GET", "HEAD"}, "orders", "/v1", True)
    assert asked.background is not None
    assert asked.background == status.background
    for route in (asked, status):
        assert (route.public, route.send_credentials, route.cache, route.refresh) == (False, True, None, None)
    assert (asked.price, status.price) == (Price(base=5), Price(base=0))
    assert orders.background is None


def shown(route: Route) -> tuple[str, str, set[str], str, str, bool]:
    methods = set(route.methods or ())
    return (route.host, route.path.text, methods, route.upstream, route.strip_prefix, route.tells_status)


def test_several_keep_their_order(read: Read) -> None:
    text = refresh("status: /s").replace(
        "keys:", "- {name: c, match: {host: A.example, path: '/{x}'}, subject: i, tags: t}\nkeys:"
    )
    routes = snapshot(read(text)).routes
    assert [(route.name, route.host) for route in routes] == [
        ("b", "*"),
        ("b-status", "*"),
        ("c", "a.example"),
        ("r", "*"),
    ]


def test_defaults_of_routes_are_not_theirs(read: Read) -> None:
    text = refresh() + "defaults: {route: {price: 9, rewrite: {strip_prefix: /v1}, cache: 1h, access: public}}\n"
    with_defaults, without = snapshot(read(text)).routes[0], snapshot(read(refresh())).routes[0]
    assert with_defaults == without


def test_a_background_refresh_is_frozen(read: Read) -> None:
    [found] = read(refresh()).background_refreshes
    with pytest.raises(ValueError, match="frozen"):
        BaseModel.__setattr__(found, "name", "c")


def test_it_comes_whole_from_another_process(read: Read) -> None:
    config = read(STORES).without_document()
    assert pickle.loads(pickle.dumps(config)).background_refreshes == config.background_refreshes


def test_it_can_be_written_as_it_was_read(read: Read) -> None:
    [found] = read(STORES).background_refreshes
    written = found.model_dump(mode="json", by_alias=True)
    assert written["subjects"]["refreshable"] == {"active": [True], "store.kind": [1, 2.5, None, "3", "online"]}
    assert (written["subject"]["type"], written["pace"]["rate"], written["trigger"]["request"]["method"]) == (
        "number",
        "40/min",
        "PUT",
    )
    assert read(refresh()).background_refreshes[0].model_dump(mode="json")["trigger"]["request"] == "client"
