"""RFC 9111 §5.2 and §1.2.2, RFC 9110 §5.6.1."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rfc9111.directives import delta_seconds, directives, field_names, members, unqualified, withheld

TCHARS = "!#$%&'*+-.^_`|~" + string.digits + string.ascii_letters
TOKENS = st.text(TCHARS, min_size=1)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("a,b", ["a", "b"], id="RFC9110-5.6.1.1-no-blank"),
        pytest.param(" a \t,\tb ", ["a", "b"], id="RFC9110-5.6.1.1-blanks"),
        pytest.param(", ,a,,b,", ["a", "b"], id="RFC9110-5.6.1.2-empty-members"),
        pytest.param("", [], id="RFC9110-5.6.1.2-empty"),
        pytest.param('a="x, y", b', ['a="x, y"', "b"], id="RFC9110-5.6.4-comma-in-quotes"),
        pytest.param('b, a="x, y"', ["b", 'a="x, y"'], id="RFC9110-5.6.4-quotes-last"),
        pytest.param(r'a="x\", y", b', [r'a="x\", y"', "b"], id="RFC9110-5.6.4-escaped-quote"),
        pytest.param('a="x, no-store', ['a="x', "no-store"], id="RFC9110-5.6.4-unclosed-quote-hides-nothing"),
        pytest.param(
            'b="y, z", a="x, c', ['b="y, z"', 'a="x', "c"], id="RFC9110-5.6.4-unclosed-quote-after-a-closed-one"
        ),
    ],
)
def test_members(value: str, expected: list[str]) -> None:
    assert members(value) == expected


def test_5_2_a_repeated_directives_names_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str | None] = []

    def names(argument: str | None) -> frozenset[str]:
        read.append(argument)
        return field_names(argument)

    monkeypatch.setattr("gateway.rfc9111.directives.field_names", names)
    assert directives([",".join(["private=a"] * 100)]) == {"private": ", ".join("a" * 100)}
    assert read == ["a"] * 100


def test_rfc9110_5_6_1_members_of_a_hostile_list_take_one_pass() -> None:
    assert len(members('"\\' * 200_000 + ",x")) == 2


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param(["max-age=60"], {"max-age": "60"}, id="5.2-argument"),
        pytest.param(["No-Store"], {"no-store": None}, id="5.2-case-insensitive"),
        pytest.param(['max-age="60"'], {"max-age": "60"}, id="5.2-quoted-form"),
        pytest.param([r'ext="a\"b\\c"'], {"ext": 'a"b\\c'}, id="5.2-escapes"),
        pytest.param(['private="a, b", max-age=1'], {"private": "a, b", "max-age": "1"}, id="5.2-comma-in-quotes"),
        pytest.param(['ext="max-age=9", max-age=1'], {"ext": "max-age=9", "max-age": "1"}, id="5.2-quoted-directive"),
        pytest.param(["no-cache", "max-age=1"], {"no-cache": None, "max-age": "1"}, id="5.2-two-lines"),
        pytest.param(['a="x', 'no-store, b="y'], {"a": '"x', "no-store": None, "b": '"y'}, id="5.2-each-line-alone"),
        pytest.param(["a="], {"a": ""}, id="5.2-empty-argument"),
        pytest.param(['="x", a'], {"a": None}, id="5.2-no-name"),
        pytest.param(["max-age=1, max-age=9"], {"max-age": "1"}, id="4.2.1-first-on-a-line"),
        pytest.param(["max-age=1", "max-age=9"], {"max-age": "1"}, id="4.2.1-first-of-two-lines"),
        pytest.param(["max-age=x, max-age=9"], {"max-age": "x"}, id="4.2.1-first-though-invalid"),
        pytest.param(["max-age =9"], {"max-age": " =9"}, id="5.2-blank-before-equals"),
        pytest.param(["max-age= 9"], {"max-age": " 9"}, id="5.2-blank-after-equals"),
        pytest.param(["no-store; max-age=9"], {"no-store": "; max-age=9"}, id="5.2-semicolon"),
        pytest.param(['private="a", private'], {"private": None}, id="4.2.1-private-most-restrictive"),
        pytest.param(['private, private="a"'], {"private": None}, id="4.2.1-private-most-restrictive-first"),
        pytest.param(['no-cache="a"', 'no-cache="b"'], {"no-cache": "a, b"}, id="4.2.1-no-cache-adds-up"),
        pytest.param(['private="a"', 'private="b"', "private"], {"private": None}, id="4.2.1-private-restrictive-last"),
        pytest.param(["private=a,private=b,private=c"], {"private": "a, b, c"}, id="4.2.1-private-adds-up-three"),
        pytest.param([], {}, id="5.2-none"),
    ],
)
def test_directives(lines: list[str], expected: dict[str, str | None]) -> None:
    assert directives(lines) == expected


@given(st.lists(st.text()))
def test_5_2_directives_of_any_text_have_lower_case_token_names(lines: list[str]) -> None:
    for name in directives(lines):
        assert name
        assert set(name) <= set(TCHARS)
        assert name == name.lower()


@given(st.dictionaries(TOKENS.map(str.lower), st.none() | st.text(string.printable.replace("\n", ""))))
def test_rfc9110_5_6_4_directives_read_back_what_was_quoted(expected: dict[str, str | None]) -> None:
    quoted = [
        name if value is None else '{}="{}"'.format(name, value.replace("\\", r"\\").replace('"', r"\""))
        for name, value in expected.items()
    ]
    assert directives([", ".join(quoted)]) == expected


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        pytest.param("a", {"a"}, id="5.2.2.4-token-form"),
        pytest.param("A, Set-Cookie", {"a", "set-cookie"}, id="5.2.2.4-case-insensitive"),
        pytest.param(None, set(), id="5.2.2.4-unqualified"),
        pytest.param("", set(), id="5.2.2.4-no-names"),
        pytest.param("; max-age=9", set(), id="5.2.2.4-no-list-of-names"),
        pytest.param("a, b c", set(), id="5.2.2.4-one-bad-name"),
        pytest.param("a" * 4096, {"a" * 4096}, id="5.2.2.4-longest"),
        pytest.param("a" * 4097, set(), id="5.2.2.4-too-long-to-read"),
    ],
)
def test_field_names(argument: str | None, expected: set[str]) -> None:
    assert field_names(argument) == expected


def test_5_2_2_unqualified_and_withheld() -> None:
    found = directives(['no-cache="a", private="B, c"'])
    assert not unqualified(found, "no-cache")
    assert not unqualified(found, "max-age")
    assert unqualified(directives(["private"]), "private")
    assert withheld(found) == {"a", "b", "c"}
    assert withheld({}) == frozenset()


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        pytest.param("0", 0.0, id="1.2.2-zero"),
        pytest.param("003600", 3600.0, id="1.2.2-leading-zeros"),
        pytest.param("0" * 5000 + "7", 7.0, id="1.2.2-many-leading-zeros"),
        pytest.param("2147483647", 2147483647.0, id="1.2.2-just-below"),
        pytest.param("2147483649", 2147483648.0, id="1.2.2-above"),
        pytest.param("9" * 5000, 2147483648.0, id="1.2.2-overflow"),
        pytest.param("-1", None, id="1.2.2-negative"),
        pytest.param("+1", None, id="1.2.2-sign"),
        pytest.param("1.5", None, id="1.2.2-fraction"),
        pytest.param("1_0", None, id="1.2.2-underscore"),
        pytest.param("٣", None, id="1.2.2-other-digits"),
        pytest.param("²", None, id="1.2.2-superscript"),
        pytest.param(" 9", None, id="1.2.2-blank"),
        pytest.param("'9'", None, id="1.2.2-single-quotes"),
        pytest.param("9a", None, id="1.2.2-letters"),
        pytest.param("", None, id="1.2.2-empty"),
        pytest.param(None, None, id="1.2.2-none"),
    ],
)
def test_delta_seconds(argument: str | None, expected: float | None) -> None:
    assert delta_seconds(argument) == expected
