"""Requests for background refreshes as real clients send them, and as nobody should."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.asking import MOST, Asked, asked, identified
from gateway.admission.background import (
    BackgroundPolicy,
    PacePolicy,
    RetryPolicy,
    SincePolicy,
    SubjectPolicy,
    TriggerPolicy,
)
from gateway.admission.since import instant, zone
from gateway.admission.target import Query, canonical, component
from gateway.errors import Problem, Reason

STORE = SubjectPolicy("storeId")
DATE = SincePolicy("refreshDate")
NOW = 1_768_478_400.0
MIDNIGHT = instant("2020-05-29", zone(DATE.zone))
AFTERNOON = instant("2020-05-29 15:05:02", zone(DATE.zone))
PLACEHOLDERS = "storeId=storeId&refreshDate=refreshDate"
CONTENT = b'{"storeId": 12345, "refreshDate": "2020-05-29 15:05:02"}'


def policy(subject: SubjectPolicy = STORE, since: SincePolicy | None = DATE) -> BackgroundPolicy:
    return BackgroundPolicy(
        name="stores",
        upstream="orders",
        subject=subject,
        since=since,
        subjects=None,
        trigger=TriggerPolicy(),
        tags=("store:{subject}",),
        pages=None,
        per_subject=0,
        pace=PacePolicy(),
        retry=RetryPolicy(),
        one={},
        all={},
        joined={},
        status=None,
    )


STORES = policy()


def ask(query: str = "", content: bytes = b"", policy: BackgroundPolicy = STORES) -> Asked:
    return asked(policy, canonical(f"/r?{query}").query, content, NOW)


def refusal(query: str = "", content: bytes = b"", policy: BackgroundPolicy = STORES) -> tuple[Reason, str]:
    with pytest.raises(Problem) as caught:
        ask(query, content, policy)
    assert caught.value.detail is not None
    return caught.value.reason, caught.value.detail


ASKED = {
    "nothing": ("", b"", None, None),
    "the page's": (PLACEHOLDERS, CONTENT, "12345", AFTERNOON),
    "content alone": ("", CONTENT, "12345", AFTERNOON),
    "query alone": ("storeId=12345&refreshDate=2020-05-29%2015:05:02", b"", "12345", AFTERNOON),
    "a space as plus": ("refreshDate=2020-05-29+15:05:02", b"", None, AFTERNOON),
    "colons encoded": ("refreshDate=2020-05-29+15%3A05%3A02", b"", None, AFTERNOON),
    "placeholders alone": (PLACEHOLDERS, b"", None, None),
    "one placeholder": ("storeId=7&refreshDate=refreshDate", b"", "7", None),
    "a placeholder, encoded": ("storeId=store%49d", b"", None, None),
    "a placeholder beside a value": ("storeId=storeId&storeId=7", b"", "7", None),
    "empty": ("storeId=&refreshDate=", b"", None, None),
    "without a value": ("storeId&refreshDate", b"", None, None),
    "the name encoded": ("%73tore%49d=7", b"", "7", None),
    "other parameters": ("store_id=8&store=9&api_key=storeId", b"", None, None),
    "another case": ("storeid=7&REFRESHDATE=2020-05-29", b"", "7", MIDNIGHT),
    "members in another case": ("", b'{"StoreID": 7, "refreshdate": "2020-05-29"}', "7", MIDNIGHT),
    "two cases alike": ("StoreId=7", b'{"storeid": 7, "storeId": 7}', "7", None),
    "a placeholder in another case": ("storeid=storeid&STOREID=storeId", b"", None, None),
    "one in each": ("storeId=7", b'{"refreshDate": "2020-05-29"}', "7", MIDNIGHT),
    "the other in each": ("refreshDate=2020-05-29", b'{"storeId": 7}', "7", MIDNIGHT),
    "the same in both": ("storeId=0012345&refreshDate=2020-05-29+15:05:02", CONTENT, "12345", AFTERNOON),
    "wrong in the query": ("storeId=abc&refreshDate=yesterday", CONTENT, "12345", AFTERNOON),
    "no UTF-8 in the query": ("storeId=%FF", CONTENT, "12345", AFTERNOON),
    "wrong and right in the query": ("storeId=abc&storeId=12345", CONTENT, "12345", AFTERNOON),
    "the same instant": ("refreshDate=2020-05-29", b'{"refreshDate": "2020-05-29 00:00:00"}', None, MIDNIGHT),
    "the same instant twice": ("refreshDate=2020-05-29&refreshDate=2020-05-29+00:00:00", b"", None, MIDNIGHT),
    "the same number": ("storeId=0012&storeId=12", b'{"storeId": "12"}', "12", None),
    "a member twice alike": ("", b'{"storeId": 12, "storeId": 12.0}', "12", None),
    "now": ("refreshDate=2026-01-15+04:00:00", b"", None, NOW),
    "blank": ("storeId=7", b" \r\n\t", "7", None),
    "null": ("storeId=7", b"null", "7", None),
    "no members": ("storeId=7", b"{}", "7", None),
    "null members": ("storeId=7", b'{"storeId": null, "refreshDate": null}', "7", None),
    "null and a value": ("", b'{"storeId": null, "storeId": 7}', "7", None),
    "other members": ("", b'{"store": 8, "more": {"storeId": 9}, "list": [{}], "n": 1e999}', None, None),
    "a byte order mark": ("", b"\xef\xbb\xbf" + CONTENT, "12345", AFTERNOON),
    "a number of thousands of digits": ("", b'{"storeId": 7, "n": ' + b"9" * 5000 + b"}", "7", None),
    "escapes": ("", b'{"store\\u0049d": "\\u0037"}', "7", None),
}


@pytest.mark.parametrize(("query", "content", "subject", "since"), ASKED.values(), ids=ASKED)
def test_asked(query: str, content: bytes, subject: str | None, since: float | None) -> None:
    assert ask(query, content) == Asked(subject, since)


BAD_SUBJECTS = {
    "a word": ("storeId=abc", b""),
    "a word and a number": ("storeId=abc&storeId=7", b""),
    "another case of the name": ("storeId=STOREID", b""),
    "a space": ("storeId=+7", b""),
    "a sign": ("storeId=%2B7", b""),
    "a fraction": ("storeId=7.0", b""),
    "an exponent": ("storeId=1e3", b""),
    "other digits": ("storeId=%D9%A7", b""),
    "no UTF-8": ("storeId=%FF", b""),
    "0": ("storeId=0", b""),
    "beyond the most": (f"storeId={MOST + 1}", b""),
    "very many digits": ("storeId=" + "9" * 5000, b""),
    "a wrong member": ("storeId=7", b'{"storeId": "abc"}'),
    "the name as a member's value": ("storeId=7", b'{"storeId": "storeId"}'),
    "an empty member": ("storeId=7", b'{"storeId": ""}'),
    "a flag": ("", b'{"storeId": true}'),
    "an array": ("", b'{"storeId": [7]}'),
    "an empty array": ("", b'{"storeId": []}'),
    "an object": ("", b'{"storeId": {"id": 7}}'),
    "an empty object": ("", b'{"storeId": {}}'),
    "a fraction as a member": ("", b'{"storeId": 7.5}'),
    "a negative member": ("", b'{"storeId": -7}'),
    "too large a number": ("", b'{"storeId": 1e999}'),
    "thousands of digits": ("", b'{"storeId": ' + b"9" * 5000 + b"}"),
    "thousands of digits below 0": ("", b'{"storeId": -' + b"9" * 5000 + b"}"),
    "one right and one wrong member": ("", b'{"storeId": 7, "storeId": "x"}'),
    "another in the query": ("storeId=8", b'{"storeId": 7}'),
    "two in the query": ("storeId=8&storeId=7", b""),
    "two in the query, one in the content": ("storeId=8&storeId=7", b'{"storeId": 7}'),
    "two members": ("", b'{"storeId": 7, "storeId": 8}'),
    "two members in two cases": ("", b'{"storeId": 7, "storeid": 8}'),
    "another in the query in another case": ("STOREID=8", b'{"storeId": 7}'),
    "a word in another case": ("storeid=abc", b""),
}


@pytest.mark.parametrize(("query", "content"), BAD_SUBJECTS.values(), ids=BAD_SUBJECTS)
def test_bad_subjects(query: str, content: bytes) -> None:
    reason, detail = refusal(query, content)
    assert reason is Reason.bad_subject
    assert "`storeId`" in detail
    assert str(MOST) in detail
    assert "abc" not in detail


BAD_DATES = {
    "a word": ("refreshDate=yesterday", b""),
    "T": ("refreshDate=2020-05-29T15:05:02", b""),
    "a real plus": ("refreshDate=2020-05-29%2B15:05:02", b""),
    "no such day": ("refreshDate=2023-02-29", b""),
    "24:00": ("refreshDate=2020-05-29+24:00:00", b""),
    "the future": ("refreshDate=2026-01-15+04:00:01", b""),
    "the future in the content": ("", b'{"refreshDate": "9999-12-31"}'),
    "a future that the content does not tell": ("refreshDate=2030-01-01", CONTENT),
    "one right and one wrong": ("refreshDate=2020-05-29&refreshDate=x", b""),
    "a wrong member": ("refreshDate=2020-05-29", b'{"refreshDate": "yesterday"}'),
    "the name as a member's value": ("", b'{"refreshDate": "refreshDate"}'),
    "an empty member": ("", b'{"refreshDate": ""}'),
    "a number": ("", b'{"refreshDate": 1590789902}'),
    "a surrogate": ("", b'{"refreshDate": "\\ud800"}'),
    "another in the query": ("refreshDate=2020-05-28", CONTENT),
    "two in the query": ("refreshDate=2020-05-28&refreshDate=2020-05-29", b""),
    "two members": ("", b'{"refreshDate": "2020-05-28", "refreshDate": "2020-05-29"}'),
}


@pytest.mark.parametrize(("query", "content"), BAD_DATES.values(), ids=BAD_DATES)
def test_bad_dates_are_told_the_formats_and_the_zone(query: str, content: bytes) -> None:
    reason, detail = refusal(query, content)
    assert reason is Reason.bad_since
    for named in ("`refreshDate`", "YYYY-MM-DD HH:MM:SS", "YYYY-MM-DD,", "America/Los_Angeles"):
        assert named in detail
    assert "yesterday" not in detail


def test_what_is_wrong_is_said() -> None:
    assert "future" in refusal("refreshDate=2030-01-01")[1]
    assert "different values" in refusal("refreshDate=2020-05-28", CONTENT)[1]
    assert "different values" in refusal("storeId=8", CONTENT)[1]
    assert "cannot be read" in refusal("storeId=x")[1]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"storeId=12345", id="a form"),
        pytest.param(b'{"storeId": 1', id="cut short"),
        pytest.param(b'{"storeId": 1} {}', id="two"),
        pytest.param(b"{'storeId': 1}", id="quotes"),
        pytest.param(b'{"storeId": 1,}', id="a trailing comma"),
        pytest.param(b'{"n": NaN}', id="NaN"),
        pytest.param(b'{"n": -Infinity}', id="Infinity"),
        pytest.param(b'{"n": "\xff"}', id="no UTF-8"),
        pytest.param('{"storeId": 1}'.encode("utf-16"), id="UTF-16"),
        pytest.param(b"[" * 60_000, id="deep and open"),
        pytest.param(b'{"a":' * 10_000 + b"1" + b"}" * 10_000, id="deep"),
        pytest.param(b"12345", id="a number"),
        pytest.param(b'"storeId"', id="text"),
        pytest.param(b"true", id="a flag"),
        pytest.param(b"[]", id="an empty array"),
        pytest.param(b"[" + CONTENT + b"]", id="an array"),
    ],
)
def test_content_that_is_no_json_object_is_refused(content: bytes) -> None:
    reason, detail = refusal("storeId=12345", content)
    assert reason is Reason.malformed_request
    assert "JSON" in detail
    assert "12345" not in detail


def test_where_no_date_is_taken_none_is_read() -> None:
    assert ask("storeId=7&refreshDate=x", CONTENT.replace(b"12345", b"7"), policy(since=None)) == Asked("7", None)


@pytest.mark.parametrize(
    ("zone_name", "moment"),
    [
        pytest.param("-08:00", 1_590_739_200.0, id="fixed"),
        pytest.param("America/Los_Angeles", 1_590_735_600.0, id="named"),
    ],
)
def test_dates_are_read_in_the_zone(zone_name: str, moment: float) -> None:
    read = ask("refreshDate=2020-05-29", policy=policy(since=SincePolicy("refreshDate", zone_name)))
    assert read == Asked(None, moment)


TEXT = policy(subject=SubjectPolicy("sku", "text"), since=None)


@pytest.mark.parametrize(
    ("query", "content", "subject"),
    [
        pytest.param("sku=A-1", b"", "A-1", id="query"),
        pytest.param("sku=007", b"", "007", id="digits stay"),
        pytest.param("sku=a+b%2Bc", b'{"sku": "a b+c"}', "a b+c", id="plus"),
        pytest.param("sku=%C3%A9%2F..", b"", "é/..", id="decoded"),
        pytest.param("sku=sku", b"", None, id="a placeholder"),
        pytest.param("sku=sku", b'{"sku": "sku"}', "sku", id="no placeholder in the content"),
        pytest.param("sku=" + 200 * "a", b"", 200 * "a", id="the longest"),
        pytest.param("sku=%FF", b'{"sku": "a"}', "a", id="wrong in the query"),
    ],
)
def test_text_subjects(query: str, content: bytes, subject: str | None) -> None:
    assert ask(query, content, TEXT) == Asked(subject, None)


@pytest.mark.parametrize(
    ("query", "content"),
    [
        pytest.param("sku=%FF", b"", id="no UTF-8"),
        pytest.param("sku=%0A", b"", id="a line's end"),
        pytest.param("sku=%E2%80%A8", b"", id="a line separator"),
        pytest.param("sku=" + 201 * "a", b"", id="too long"),
        pytest.param("", b'{"sku": 7}', id="a number"),
        pytest.param("", b'{"sku": ""}', id="empty"),
        pytest.param("", b'{"sku": "\\u0000"}', id="NUL"),
        pytest.param("", b'{"sku": "\\udfff"}', id="a surrogate"),
        pytest.param("sku=a", b'{"sku": "A"}', id="different"),
    ],
)
def test_bad_text_subjects(query: str, content: bytes) -> None:
    reason, detail = refusal(query, content, TEXT)
    assert reason is Reason.bad_subject
    assert "text of 1 to 200" in detail


@pytest.mark.parametrize(
    ("value", "canonical_text"),
    [
        (1, "1"),
        (MOST, str(MOST)),
        (str(MOST), str(MOST)),
        (12345.0, "12345"),
        (1e3, "1000"),
        ("12345", "12345"),
        ("00012345", "12345"),
        ("0" * 100_000 + "1", "1"),
        (MOST + 1, None),
        (0, None),
        (-1, None),
        (0.5, None),
        (float("inf"), None),
        (float("nan"), None),
        (10**5000, None),
        (True, None),
        (None, None),
        ("", None),
        ("1 ", None),
        ("1\n", None),
        ("1_000", None),
        ("0x1", None),
        ("00", None),
        ([1], None),
        ({}, None),
    ],
    ids=lambda value: repr(value)[:20] if not isinstance(value, int) or value < 10**20 else "huge",
)
def test_numbers_have_one_text(value: object, canonical_text: str | None) -> None:
    assert identified("number", value) == canonical_text


@given(st.integers(1, MOST), st.integers(0, 40))
def test_every_spelling_of_a_number_is_the_same(number: int, zeros: int) -> None:
    spellings = (number, str(number), "0" * zeros + str(number), float(number))
    assert {identified("number", spelling) for spelling in spellings} == {str(number)}


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers(), max_size=2)
TEXTS = st.text(st.characters(exclude_categories=["Cs"])).map(component)


def read_or_refused(query: Query, content: bytes) -> bool:
    """Whether it is one of the two; anything else that is raised fails the test."""
    try:
        read = asked(STORES, query, content, NOW)
    except Problem as problem:
        return problem.reason in (Reason.bad_subject, Reason.bad_since, Reason.malformed_request)
    return (read.subject is None or 1 <= int(read.subject) <= MOST) and (read.since is None or read.since <= NOW)


@given(VALUES, VALUES, TEXTS, TEXTS)
def test_any_values_are_read_or_refused(subject: object, since: object, first: str, second: str) -> None:
    content = json.dumps({"storeId": subject, "refreshDate": since}).encode()
    assert read_or_refused((("storeId", first), ("refreshDate", second)), content)


@given(st.binary())
def test_any_content_is_read_or_refused(content: bytes) -> None:
    assert read_or_refused((), content)
