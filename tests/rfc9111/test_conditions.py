"""RFC 9111 §4.3.2 with RFC 9110 §8.8.3.2, §13.1.2 and §13.1.3."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from gateway.rfc9111.conditions import is_conditional, is_guarded, is_not_modified
from gateway.rfc9111.dates import format_date

NOW = 784111777.0
MADE = NOW - 100
MODIFIED = NOW - 1000

OPAQUE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters='"'), max_size=8)
TAGS = st.builds(lambda weak, opaque: f'{weak}"{opaque}"', st.sampled_from(["", "W/"]), OPAQUE)


def asked(
    *fields: tuple[str, str],
    status: int = 200,
    etag: str | None = None,
    modified: float | str | None = None,
    date: float = MADE,
) -> bool:
    last_modified = format_date(modified) if isinstance(modified, float) else modified
    return is_not_modified(CIMultiDict(fields), status, etag, last_modified, date, NOW)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param([], False, id="13.1-none"),
        pytest.param([("if-none-match", '"a"')], True, id="13.1.2"),
        pytest.param([("IF-MODIFIED-SINCE", "x")], True, id="13.1.3"),
        pytest.param([("If-Match", "*"), ("If-Unmodified-Since", format_date(NOW))], False, id="4.3.2-origins-own"),
        pytest.param([("If-Range", '"a"')], False, id="13.1.5"),
    ],
)
def test_is_conditional(fields: list[tuple[str, str]], expected: bool) -> None:
    assert is_conditional(CIMultiDict(fields)) is expected


@pytest.mark.parametrize(
    ("stored", "lines", "expected"),
    [
        pytest.param('"a"', ['"a"'], True, id="8.8.3.2-strong-strong"),
        pytest.param('W/"a"', ['"a"'], True, id="8.8.3.2-weak-stored"),
        pytest.param('"a"', ['W/"a"'], True, id="8.8.3.2-weak-asked"),
        pytest.param('W/"a"', ['W/"a"'], True, id="8.8.3.2-weak-weak"),
        pytest.param('"a"', ['"b"'], False, id="8.8.3.2-other"),
        pytest.param('"a"', ['"A"'], False, id="8.8.3.2-case"),
        pytest.param('"a"', ['w/"a"'], False, id="8.8.3-weakness-has-a-case"),
        pytest.param('w/"a"', ['w/"a"'], True, id="8.8.3-malformed-echoed"),
        pytest.param('"a"', ['"b","a"'], True, id="13.1.2-list"),
        pytest.param('"a"', ['"b" ,\t"a" , "c"'], True, id="5.6.1-blanks"),
        pytest.param('"a"', [',, "b",, "a",'], True, id="5.6.1-empty-members"),
        pytest.param('"a"', ['"b"', '"c", "a"'], True, id="5.3-several-lines"),
        pytest.param('"a"', ['"b"', '"c"'], False, id="5.3-several-lines-others"),
        pytest.param('"a,b"', ['"c", "a,b"'], True, id="8.8.3-comma-inside"),
        pytest.param('"a"', ['"b,a"'], False, id="8.8.3-comma-does-not-split"),
        pytest.param('"a\\"', ['"a\\", "b"'], True, id="8.8.3-backslash-escapes-nothing"),
        pytest.param('"b"', ['"a\\", "b"'], True, id="8.8.3-backslash-closes-nothing"),
        pytest.param('""', ['""'], True, id="8.8.3-empty-tag"),
        pytest.param('"a"', ["a"], True, id="13.1.2-quotes-missing-in-the-request"),
        pytest.param("a", ['"a"'], True, id="13.1.2-quotes-missing-in-the-response"),
        pytest.param("a", ["b, a"], True, id="13.1.2-quotes-missing-in-both"),
        pytest.param('"a"', ["W/a"], True, id="13.1.2-quotes-missing-weak"),
        pytest.param('"a"', ["ab"], False, id="13.1.2-quotes-missing-other"),
        pytest.param('"a"', ['"a'], False, id="13.1.2-quote-unclosed"),
        pytest.param('"a', ['"a'], True, id="13.1.2-quote-unclosed-echoed"),
        pytest.param('"', ['"'], True, id="13.1.2-quote-alone-echoed"),
        pytest.param('""', ['"'], False, id="13.1.2-quote-alone-is-no-empty-tag"),
        pytest.param('"a"', ["W/"], False, id="13.1.2-weak-nothing"),
        pytest.param('"b"', ['"a, "b"'], False, id="13.1.2-quote-unclosed-swallows"),
        pytest.param('"a"', ['"a""b"'], False, id="13.1.2-no-comma-between"),
        pytest.param('"a"', [""], False, id="13.1.2-empty"),
        pytest.param("", [""], False, id="13.1.2-empty-stored"),
        pytest.param(None, ['"a"'], False, id="4.3.2-nothing-stored-to-match"),
        pytest.param(None, ["*"], True, id="13.1.2-any"),
        pytest.param('"a"', [" * "], True, id="13.1.2-any-blanks"),
        pytest.param('"a"', ['"*"'], False, id="13.1.2-any-quoted"),
        pytest.param('"a"', ['*, "b"'], False, id="13.1.2-any-in-a-list"),
    ],
)
def test_if_none_match(stored: str | None, lines: list[str], expected: bool) -> None:
    assert asked(*(("If-None-Match", line) for line in lines), etag=stored) is expected


@given(st.lists(TAGS, min_size=1, max_size=4), TAGS)
def test_13_1_2_a_list_matches_what_it_names_and_nothing_else(listed: list[str], stored: str) -> None:
    opaque = {tag.removeprefix("W/") for tag in listed}
    assert asked(("If-None-Match", ", ".join(listed)), etag=stored) is (stored.removeprefix("W/") in opaque)


@given(st.text(st.sampled_from('",aW/* \\'), max_size=12), TAGS)
def test_13_1_2_no_text_names_a_tag_that_is_not_in_it(text: str, stored: str) -> None:
    if asked(("If-None-Match", text), etag=stored):
        assert text.strip(", ") == "*" or stored.removeprefix("W/").strip('"') in text


def test_13_1_2_a_list_of_quotes_takes_one_pass() -> None:
    assert not asked(("If-None-Match", '"' * 200_001), etag='"a"')


@pytest.mark.parametrize(
    ("since", "modified", "date", "expected"),
    [
        pytest.param(format_date(MODIFIED), MODIFIED, MADE, True, id="4.3.2-same"),
        pytest.param(format_date(MODIFIED + 1), MODIFIED, MADE, True, id="4.3.2-later"),
        pytest.param(format_date(MODIFIED - 1), MODIFIED, MADE, False, id="4.3.2-earlier"),
        pytest.param(format_date(NOW + 1e6), MODIFIED, MADE, True, id="13.1.3-ahead-of-the-clock"),
        pytest.param("Sunday, 06-Nov-94 08:32:57 GMT", MODIFIED, MADE, True, id="5.6.7-rfc850"),
        pytest.param("Sun Nov  6 08:32:57 1994", MODIFIED, MADE, True, id="5.6.7-asctime"),
        pytest.param("", MODIFIED, MADE, False, id="13.1.3-empty"),
        pytest.param("yesterday", MODIFIED, MADE, False, id="13.1.3-invalid"),
        pytest.param("Sun, 06 Nov 1994 08:49:37 CET", MODIFIED, MADE, False, id="13.1.3-zone"),
        pytest.param(format_date(MADE), None, MADE, True, id="4.3.2-date-same"),
        pytest.param(format_date(MADE - 1), None, MADE, False, id="4.3.2-date-earlier"),
        pytest.param(format_date(MADE), None, MADE + 0.5, False, id="4.3.2-received-within-the-second"),
        pytest.param(format_date(NOW), "yesterday", MADE, False, id="4.3.2-last-modified-invalid"),
        pytest.param("yesterday", "yesterday", MADE, False, id="13.1.3-invalid-echoed"),
    ],
)
def test_if_modified_since(since: str, modified: float | str | None, date: float, expected: bool) -> None:
    assert asked(("If-Modified-Since", since), modified=modified, date=date) is expected


def test_13_1_3_several_dates_are_no_condition() -> None:
    """RFC 9110 §13.1.3: a field with more than one member is ignored."""
    since = ("If-Modified-Since", format_date(NOW))
    assert not asked(since, since, modified=MODIFIED)


@pytest.mark.parametrize(
    ("tag", "since", "expected"),
    [
        pytest.param('"b"', format_date(NOW), False, id="13.2.2-tag-fails"),
        pytest.param('"a"', format_date(0), True, id="13.2.2-tag-holds"),
        pytest.param("", format_date(NOW), False, id="13.2.2-tag-empty"),
    ],
)
def test_if_none_match_takes_precedence(tag: str, since: str, expected: bool) -> None:
    fields = [("If-Modified-Since", since), ("If-None-Match", tag)]
    assert asked(*fields, etag='"a"', modified=MODIFIED) is expected


@pytest.mark.parametrize(
    ("status", "expected"), [(199, False), (200, True), (203, True), (299, True), (300, False), (404, False)]
)
def test_13_2_1_only_successes_have_conditions(status: int, expected: bool) -> None:
    """RFC 9110 §13.2.1."""
    assert asked(("If-None-Match", '"a"'), status=status, etag='"a"') is expected


@pytest.mark.parametrize(
    ("name", "guarded"),
    [("If-Match", True), ("if-unmodified-since", True), ("If-None-Match", False), ("If-Modified-Since", False)],
)
def test_13_1_what_only_the_origin_evaluates(name: str, *, guarded: bool) -> None:
    assert is_guarded(CIMultiDict({name: "*"})) is guarded


@pytest.mark.parametrize("name", ["If-Match", "If-Unmodified-Since", "If-Range"])
def test_13_1_other_preconditions_are_not_a_caches(name: str) -> None:
    assert not asked((name, "*"), etag='"a"', modified=MODIFIED)
