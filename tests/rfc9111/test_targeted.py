"""RFC 9213 §2, RFC 9651 §3.2."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from gateway.rfc9111.directives import directives
from gateway.rfc9111.targeted import in_force

OURS, CDN = "Gateway-Cache-Control", "CDN-Cache-Control"
PLAIN = ("Cache-Control", "no-store")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param([(CDN, "max-age=60")], {"max-age": "60"}, id="2.2-alone"),
        pytest.param([PLAIN, (CDN, "max-age=60")], {"max-age": "60"}, id="2.2-bars-cache-control"),
        pytest.param([(CDN, "max-age=60"), (OURS, "no-store")], {"no-store": None}, id="2.2-first-in-the-target-list"),
        pytest.param([(OURS, "a="), (CDN, "max-age=60")], {"max-age": "60"}, id="2.2-first-valid"),
        pytest.param([(OURS, " "), (CDN, "max-age=60")], {"max-age": "60"}, id="2.2-first-not-empty"),
        pytest.param([(CDN.lower(), "private")], {"private": None}, id="2.2-field-name-case"),
        pytest.param([PLAIN, (CDN, "none")], {"none": None}, id="3.1-unknown-directive-is-enough"),
        pytest.param([PLAIN, (CDN, "no-store=?0")], {}, id="2.1-false-is-not-said"),
        pytest.param([(CDN, "max-age=60"), (CDN, "private")], {"max-age": "60", "private": None}, id="2.1-two-lines"),
        pytest.param([(CDN, "max-age=60, max-age=5")], {"max-age": "5"}, id="RFC9651-3.2-last-of-two"),
        pytest.param([(CDN, "max-age=60;a=1, private;b")], {"max-age": "60", "private": None}, id="2.1-parameters"),
        pytest.param([(CDN, 'no-cache="A, b"')], {"no-cache": "A, b"}, id="2.1-names-in-a-string"),
        pytest.param([(CDN, "private=?1")], {"private": None}, id="2.1-written-true"),
        pytest.param(
            [(CDN, "max-age=60, a" + "b" * 4083)], {"max-age": "60", "a" + "b" * 4083: None}, id="2.1-longest"
        ),
        pytest.param([(CDN, "max-age=60"), (CDN, "a" * 4096)], {"no-store": None}, id="2.1-too-long-to-read"),
        pytest.param([(CDN, "max-age=999999999999999")], {"max-age": "999999999999999"}, id="RFC9651-3.3.1-longest"),
    ],
)
def test_targeted(fields: list[tuple[str, str]], expected: dict[str, str | None]) -> None:
    assert in_force(CIMultiDict(fields)) == (expected, False)


@pytest.mark.parametrize(
    ("member", "expected"),
    [
        pytest.param('max-age="60"', {"max-age": ""}, id="2.1-string-for-seconds"),
        pytest.param("max-age=60.0", {"max-age": ""}, id="2.1-decimal-for-seconds"),
        pytest.param("max-age=soon", {"max-age": ""}, id="2.1-token-for-seconds"),
        pytest.param("max-age=@60", {"max-age": ""}, id="RFC9651-3.3.7-date-for-seconds"),
        pytest.param("max-age=(60 61)", {"max-age": ""}, id="2.1-inner-list-for-seconds"),
        pytest.param("max-age=-60", {"max-age": "-60"}, id="2.1-negative-seconds"),
        pytest.param("private=a", {"private": ""}, id="2.1-token-for-names"),
        pytest.param("no-cache=5", {"no-cache": ""}, id="2.1-integer-for-names"),
        pytest.param("no-store=1", {"no-store": "1"}, id="2.1-value-for-none"),
    ],
)
def test_a_value_of_another_type_is_not_read(member: str, expected: dict[str, str | None]) -> None:
    assert in_force(CIMultiDict([PLAIN, (CDN, member)])) == (expected, False)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("", id="2.1-empty"),
        pytest.param("  ", id="2.1-blank"),
        pytest.param("max-age=60,", id="RFC9651-4.2.2-trailing-comma"),
        pytest.param("max-age=60,, private", id="RFC9651-4.2.2-empty-member"),
        pytest.param("Max-Age=60", id="RFC9651-3.1.2-upper-case"),
        pytest.param("max-age = 60", id="RFC9651-4.2.2-blanks"),
        pytest.param("max-age=60 private", id="RFC9651-4.2.2-no-comma"),
        pytest.param("max-age=9999999999999999", id="RFC9651-3.3.1-too-long"),
        pytest.param('private="a', id="RFC9651-3.3.3-unclosed"),
        pytest.param("max-age='60'", id="RFC9651-4.2.3-single-quotes"),
        pytest.param("a=\udcff", id="RFC9651-4.2-stray-byte"),
        pytest.param("a=\u00e9", id="RFC9651-4.2-not-ascii"),
    ],
)
def test_an_invalid_or_empty_field_is_ignored(line: str) -> None:
    assert in_force(CIMultiDict([PLAIN, (CDN, line)])) == ({"no-store": None}, True)


@pytest.mark.parametrize("name", ["X-CDN-Cache-Control", "Surrogate-Control", "Example-Cache-Control"])
def test_2_2_fields_outside_the_target_list_change_nothing(name: str) -> None:
    assert in_force(CIMultiDict({name: "max-age=60"})) == ({}, True)


def test_2_1_one_invalid_line_spoils_the_others() -> None:
    assert in_force(CIMultiDict([(CDN, "max-age=60"), (CDN, "=")])) == ({}, True)


@given(st.lists(st.binary(max_size=30) | st.text('abz*-=,;"? \t019.()@:%\\', max_size=30).map(str.encode), max_size=3))
def test_2_1_any_bytes_are_read_as_directives_or_ignored(lines: list[bytes]) -> None:
    fields = CIMultiDict((CDN, line.decode("utf-8", "surrogateescape")) for line in lines)
    fields.add(*PLAIN)
    found, expires_counts = in_force(fields)
    assert not expires_counts or found == directives(["no-store"])
    assert all(value is None or isinstance(value, str) for value in found.values())
