"""RFC 9111 §4.4, RFC 9875, RFC 9110 §9.2.1 and §9.3.3."""

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from gateway.rfc9111.invalidation import (
    SAFE_METHODS,
    answers_get,
    cache_groups,
    invalidated_groups,
    invalidates,
    named_targets,
)

TARGET = "https://api.example/v1/things/7?full=1"


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        pytest.param("POST", True, id="9.2.1-POST"),
        pytest.param("PUT", True, id="9.2.1-PUT"),
        pytest.param("DELETE", True, id="9.2.1-DELETE"),
        pytest.param("PATCH", True, id="9.2.1-PATCH"),
        pytest.param("FOO", True, id="4.4-unknown"),
        pytest.param("get", True, id="9.1-case"),
        *(pytest.param(method, False, id=f"9.2.1-{method}") for method in sorted(SAFE_METHODS)),
    ],
)
def test_methods_that_invalidate(method: str, expected: bool) -> None:
    assert invalidates(method, 200) is expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [(101, False), (199, False), (200, True), (204, True), (303, True), (399, True), (400, False), (500, False)],
)
def test_4_4_only_non_errors_invalidate(status: int, expected: bool) -> None:
    """RFC 9111 §4.4."""
    assert invalidates("POST", status) is expected


def test_rfc9110_9_2_1_safe_methods() -> None:
    assert {"GET", "HEAD", "OPTIONS", "TRACE"} == SAFE_METHODS


@pytest.mark.parametrize("name", ["Location", "content-location"])
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("https://api.example/a?b=c", ["https://api.example/a?b=c"], id="4.4-absolute"),
        pytest.param("/a", ["https://api.example/a"], id="3986-5.2-absolute-path"),
        pytest.param("8", ["https://api.example/v1/things/8"], id="3986-5.2-relative-path"),
        pytest.param("../x/./y/..", ["https://api.example/v1/x/"], id="3986-5.2.4-dots"),
        pytest.param("?a", ["https://api.example/v1/things/7?a"], id="3986-5.2-query"),
        pytest.param("", [TARGET], id="3986-4.4-same-document"),
        pytest.param("//api.example/a", ["https://api.example/a"], id="3986-4.2-network-path"),
        pytest.param("/a#b", ["https://api.example/a"], id="3986-3.5-fragment"),
        pytest.param("HTTPS://API.Example:443/a", ["https://api.example/a"], id="9110-4.2.3-same-origin"),
        pytest.param("https://api.example:/a", ["https://api.example/a"], id="3986-6.2.3-empty-port"),
        pytest.param("https://api.example", ["https://api.example/"], id="9110-4.2.3-empty-path"),
        pytest.param("https://api.example?a", ["https://api.example/?a"], id="9110-4.2.3-empty-path-query"),
        pytest.param("https://me@api.example/a", ["https://api.example/a"], id="9110-4.2.4-userinfo"),
        pytest.param("/a/%7Bid%7D?q=%20", ["https://api.example/a/%7Bid%7D?q=%20"], id="3986-2.1-encoded"),
        pytest.param("https://other.example/a", [], id="4.4-other-host"),
        pytest.param("https://api.example.evil/a", [], id="4.4-host-lookalike"),
        pytest.param("https://api.example@evil/a", [], id="4.4-userinfo-lookalike"),
        pytest.param("//evil/a", [], id="4.4-other-host-without-scheme"),
        pytest.param("http://api.example/a", [], id="4.4-other-scheme"),
        pytest.param("https://api.example:8443/a", [], id="4.4-other-port"),
        pytest.param("https://api.example:0/a", [], id="4.4-port-zero"),
        pytest.param("mailto:a@api.example", [], id="4.4-no-host"),
        pytest.param("https://[::1/a", [], id="4.4-malformed-host"),
        pytest.param("https://api.example:x/a", [], id="4.4-malformed-port"),
        pytest.param("https://api.example:99999/a", [], id="4.4-port-out-of-range"),
        pytest.param("/a b", [], id="4.4-malformed-blank"),
        pytest.param("/a\\b", [], id="4.4-malformed-backslash"),
        pytest.param("/é", [], id="4.4-malformed-not-ascii"),
        pytest.param("/\udcff", [], id="4.4-malformed-stray-byte"),
        pytest.param("/a\tb", [], id="4.4-malformed-tab"),
    ],
)
def test_named_targets(name: str, value: str, expected: list[str]) -> None:
    assert named_targets(CIMultiDict({name: value}), TARGET) == expected


def test_4_4_named_targets_of_an_origin_with_a_port() -> None:
    fields = CIMultiDict([("Location", "HTTP://A:8080/b"), ("Location", "http://a/c"), ("Location", "/d")])
    assert named_targets(fields, "http://a:8080/x") == ["http://a:8080/b", "http://a:8080/d"]


def test_4_4_named_targets_of_both_fields() -> None:
    fields = CIMultiDict([("Content-Location", "/b"), ("Location", "/a"), ("Link", "</c>")])
    assert named_targets(fields, TARGET) == ["https://api.example/a", "https://api.example/b"]


@given(st.text(st.sampled_from("/:@?#[].%apihtse-x8 \\"), max_size=24))
def test_4_4_what_is_named_is_of_the_same_origin(value: str) -> None:
    for url in named_targets(CIMultiDict(Location=value), TARGET):
        assert urlsplit(url)[:2] == ("https", "api.example")
        assert urlsplit(url).path.startswith("/")
        assert "#" not in url


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([TARGET], True, id="9.3.3-same"),
        pytest.param(["/v1/things/7?full=1"], True, id="9.3.3-same-relative"),
        pytest.param(["HTTPS://API.example:443/v1/things/7?full=1"], True, id="9.3.3-same-normalised"),
        pytest.param(["/v1/things/7"], False, id="9.3.3-without-query"),
        pytest.param(["/v1/things/8?full=1"], False, id="9.3.3-other"),
        pytest.param(["http://api.example/v1/things/7?full=1"], False, id="9.3.3-other-origin"),
        pytest.param(["/a b"], False, id="9.3.3-malformed"),
        pytest.param([TARGET, TARGET], False, id="9.3.3-two"),
        pytest.param([], False, id="9.3.3-none"),
    ],
)
def test_answers_get(values: list[str], expected: bool) -> None:
    assert answers_get(TARGET, CIMultiDict([("Content-Location", value) for value in values])) is expected


def test_rfc9110_9_3_3_a_location_does_not_answer_get() -> None:
    assert not answers_get(TARGET, CIMultiDict(Location=TARGET))


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param(['"a"'], ("a",), id="2-one"),
        pytest.param(['"b", "a"'], ("b", "a"), id="2-several"),
        pytest.param(['"a"', '"b" ,\t"c"'], ("a", "b", "c"), id="9651-3.1-several-lines"),
        pytest.param(['"a";x=1, "b";y'], ("a", "b"), id="2-parameters"),
        pytest.param(['"a", "A"'], ("a", "A"), id="2.1-case"),
        pytest.param(['"a", "a"'], ("a",), id="2-twice"),
        pytest.param([r'"a\"\\,b"'], ('a"\\,b',), id="9651-3.3.3-escapes"),
        pytest.param(['""'], ("",), id="9651-3.3.3-empty-string"),
        pytest.param([], (), id="2-none"),
        pytest.param([""], (), id="9651-3.1-empty"),
        pytest.param(["a"], (), id="9651-3.3.4-token"),
        pytest.param(['"a", b'], (), id="9651-3.3.4-token-among-strings"),
        pytest.param(['"a", 1'], (), id="9651-3.3.1-integer"),
        pytest.param(['"a", ?1'], (), id="9651-3.3.6-boolean"),
        pytest.param(['"a", :YQ==:'], (), id="9651-3.3.5-bytes"),
        pytest.param(['"a", %"b"'], (), id="9651-3.3.8-display-string"),
        pytest.param(['("a" "b")'], (), id="9651-3.1.1-inner-list"),
        pytest.param(['"a",'], (), id="9651-3.1-trailing-comma"),
        pytest.param(['"a" "b"'], (), id="9651-3.1-no-comma"),
        pytest.param(['"a'], (), id="9651-3.3.3-unclosed"),
        pytest.param(['"é"'], (), id="9651-3.3.3-not-ascii"),
        pytest.param(['"\udcff"'], (), id="9651-3.3.3-stray-byte"),
    ],
)
def test_groups(lines: list[str], expected: tuple[str, ...]) -> None:
    assert cache_groups(CIMultiDict([("Cache-Groups", line) for line in lines])) == expected
    assert invalidated_groups(CIMultiDict([("Cache-Group-Invalidation", line) for line in lines])) == expected


def test_rfc9875_2_1_the_two_fields_of_groups_are_apart() -> None:
    fields = CIMultiDict({"Cache-Groups": '"a"', "Cache-Group-Invalidation": '"b"'})
    assert (cache_groups(fields), invalidated_groups(fields)) == (("a",), ("b",))


def grouped(names: list[str]) -> tuple[str, ...]:
    return cache_groups(CIMultiDict({"Cache-Groups": ", ".join(f'"{name}"' for name in names)}))


def test_rfc9875_2_1_as_many_groups_as_asked_for_and_not_without_end() -> None:
    """RFC 9875 §2: at least 32 of at least 32 characters."""
    names = [f"{number:032}" for number in range(32)]
    assert grouped(names) == tuple(names)
    assert len(grouped([str(number) for number in range(1000)])) == 128
    assert grouped(["a" * 1000, "b"]) == ("b",)
    assert len(grouped([f"{number:0128}" for number in range(128)])) == 128
    assert grouped(["a"] * 5000) == ()


@given(st.text(max_size=30))
def test_rfc9875_2_1_no_text_is_too_odd_for_groups(text: str) -> None:
    assert all(isinstance(name, str) for name in cache_groups(CIMultiDict({"Cache-Groups": text})))
