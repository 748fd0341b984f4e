"""What a request for a background refresh begins, foretold: its job, its price, its trigger, and what it needs."""

from collections.abc import Mapping
from dataclasses import replace
from math import inf
from typing import Any

import pytest
from admission.snapshots import ACCOUNT, KEY, digest, make_request, make_snapshot
from background.yard import REFRESH, background, begins

from gateway.admission.background import (
    BackgroundPolicy,
    Call,
    ListPolicy,
    SincePolicy,
    StatusPolicy,
    SubjectPolicy,
    TriggerPolicy,
    WaitPolicy,
)
from gateway.admission.prepare import Preparer
from gateway.admission.snapshot import Account, Price, Scope
from gateway.explaining.background import wanted
from gateway.explaining.explain import explain
from gateway.explaining.explanation import Beginning, Explanation, Onward, Quoted, Sent

STORE = f"{REFRESH}?storeId=7"
LISTED = ListPolicy("/stores", ("storeId",))
DATED = SincePolicy("refreshDate")


def told(
    target: str = STORE,
    policy: BackgroundPolicy | None = None,
    fields: Mapping[str, str] | None = None,
    *,
    account: Account = ACCOUNT,
    body: bool = False,
) -> Explanation:
    snapshot = make_snapshot(begins(policy or background(per_subject=2)), keys={digest(KEY.encode()): account})
    return explain(Preparer(snapshot), make_request(target, "POST", fields, body=body))


def onward(explained: Explanation) -> Onward:
    assert explained.onward is not None
    return explained.onward


def test_the_client_s_own_request() -> None:
    fields = {"Content-Type": "text/json", "Cookie": "a=b", "X-More": "1", "Content-Length": "9", "X-Request-Id": "r"}
    explained = told(f"{STORE}&b=%7e", fields=fields)
    assert explained.intent == "background_refresh"
    assert explained.begins == Beginning("stores", "background", 2, "client", ("store:{subject}",))
    assert explained.quote == Quoted((("base", 1), ("subjects", 2)), 3)
    assert (explained.caching, explained.refusal) == (None, None)
    sent = onward(explained)
    assert (sent.method, sent.url) == ("POST", f"http://up.example{STORE}&b=~")
    assert sent.fields == (
        Sent("Content-Type", "text/json"),
        Sent("X-More", "1"),
        Sent("Authorization", None, "upstream"),
        Sent("X-Request-Id", None, "gateway"),
        Sent("Via", None, "gateway"),
    )
    assert [name for name, _ in sent.left_out] == ["Host", "Authorization", "Cookie", "X-Request-Id"]
    assert "written down" in dict(sent.left_out)["Cookie"]


def test_content_may_name_the_subject() -> None:
    for explained in (told(REFRESH, body=True), told(f"{REFRESH}?storeId=x", body=True)):
        assert (explained.refusal, explained.quote) == (None, Quoted((("base", 1),), 1))


def test_all_subjects_are_not_counted() -> None:
    explained = told(REFRESH, background(subjects=LISTED, per_subject=2))
    assert (explained.refusal, explained.quote) == (None, Quoted((("base", 1),), 1))


def test_nothing_is_sent_where_the_config_says_so() -> None:
    explained = told(policy=background(trigger=TriggerPolicy("none")))
    assert explained.begins is not None
    assert (explained.begins.trigger, explained.onward) == ("none", None)


CALL = Call("PUT", "/imports/{subject}", (("secret", "s3cret"), ("from", "{since}")), {"secret": "s3cret"})


def test_a_request_of_the_config_s() -> None:
    policy = background(trigger=TriggerPolicy(CALL), since=DATED, subjects=LISTED)
    explained = told(f"{STORE}&refreshDate=2020-05-29", policy)
    assert explained.begins is not None
    assert explained.begins.trigger == "configured"
    sent = onward(explained)
    assert (sent.method, sent.url) == ("PUT", "http://up.example/imports/7?...")
    names = [field.name for field in sent.fields]
    assert names == ["Accept", "Content-Type", "Authorization", "X-Request-Id", "Via"]
    assert sent.left_out == ()
    assert "s3cret" not in str(explained.model_dump())
    assert told(REFRESH, policy).onward is None


def test_one_without_a_query_is_shown_whole() -> None:
    assert onward(told(policy=background(trigger=TriggerPolicy(replace(CALL, query=()))))).url.endswith("/imports/7")


SHOPS = background(subject=SubjectPolicy("storeId", "text"), trigger=TriggerPolicy(wait=WaitPolicy("/{subject}", ())))
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no scope": ({"account": replace(ACCOUNT, scopes=frozenset({Scope.lookup, Scope.refresh}))}, "insufficient_scope"),
    "a test key": ({"account": replace(ACCOUNT, test=True)}, "not_stored"),
    "no subject": ({"target": REFRESH}, "bad_subject"),
    "no number": ({"target": f"{REFRESH}?storeId=x"}, "bad_subject"),
    "no date": ({"target": f"{STORE}&refreshDate=x", "policy": background(since=DATED)}, "bad_since"),
    "no path": ({"target": f"{REFRESH}?storeId=a%2Fb", "policy": SHOPS}, "bad_subject"),
    "too dear": ({"fields": {"X-Max-Tokens": "2"}}, "over_max_tokens"),
    "what cannot be sent on": ({"fields": {"Accept": "\udcff"}}, "malformed_request"),
}


@pytest.mark.parametrize(("asked", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_refusal_is_explained(asked: dict[str, Any], reason: str) -> None:
    explained = told(**asked)
    assert explained.refusal is not None
    assert (explained.refusal.reason, explained.onward) == (reason, None)


def test_without_a_clock_no_date_is_in_the_future() -> None:
    assert told(f"{STORE}&refreshDate=2999-01-01", background(since=DATED)).refusal is None


def test_how_one_stands() -> None:
    policy = background(per_subject=2, status=StatusPolicy("{status}", {}))
    route = replace(begins(policy), methods=frozenset({"GET"}), price=Price(0), tells_status=True)
    preparer = Preparer(make_snapshot(route))
    explained = explain(preparer, make_request(STORE))
    assert (explained.intent, explained.quote) == ("status", Quoted((("base", 0),), 0))
    assert (explained.begins, explained.onward, explained.caching) == (None, None, None)
    refused = explain(preparer, make_request(REFRESH)).refusal
    assert refused is not None
    assert refused.reason == "bad_subject"
    # Its content is not read.
    assert wanted(preparer.prepare(make_request(STORE, body=True)), inf) is not None
