"""The canonical form of targets and hosts: one spelling for one meaning, and no answer to what has two."""

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from gateway.admission.target import Target, authority, canonical, component, host, origin_form, without_port
from gateway.errors import Problem, Reason

CANONICAL = [
    ("/", "/"),
    ("/v1/products/12", "/v1/products/12"),
    ("/a/", "/a/"),
    ("/.a/..b/...", "/.a/..b/..."),
    ("/%7Ejohn/%41", "/~john/A"),
    ("/a%c3%a9", "/a%C3%A9"),
    ("/a;b=1,c@d:e", "/a;b=1,c@d:e"),
    ("/a/;x/...;y/.a;z", "/a/;x/...;y/.a;z"),
    ("/%c3%80/%C0/%e2%82%ac", "/%C3%80/%C0/%E2%82%AC"),
    ("/a%3bb", "/a%3Bb"),
    ('/a"<>^`{|}', "/a%22%3C%3E%5E%60%7B%7C%7D"),
    ("/a%252fb", "/a%252fb"),
    ("/a?", "/a?"),
    ("/a?&&", "/a?&&"),
    ("/a?x", "/a?x"),
    ("/a?x=", "/a?x="),
    ("/a?x&&y=1&", "/a?x&&y=1&"),
    ("/a?b+c=d+e", "/a?b+c=d+e"),
    ("/a?x=%2f%5c%0a..//?", "/a?x=%2F%5C%0A..//?"),
    ("/a?x[]=1", "/a?x%5B%5D=1"),
    ("/a?x=a=b", "/a?x=a=b"),
    ("/a?%78=\\", "/a?x=%5C"),
]

AMBIGUOUS = [
    *["/..;/a", "/a/..;x=1", "/.;", "/%2e%2E;/a", "/a/..%3b/b", "/..%3B"],
    *["/%c0%ae", "/%C1%9C", "/%e0%80%af", "/%F0%80%80%AF"],
    *["/.", "/..", "/a/./b", "/a/../b", "/a/..", "/a/%2e%2E/b", "/%2e"],
    *["//", "//a", "/a//b", "/a//", "/a%2Fb", "/a%2fb", "/a\\b", "/a%5Cb", "/a%5cb"],
    *["/a%00", "/a%0a", "/a%1F", "/a%7f", "/a\x00", "/a\x7f", "/a\n", "/a b", "/a?x=%00", "/a?x=\t"],
    *["/a#b", "/a?x#b", "/é", "/a?é", "/a\udcff", "/a?x=\udc80", "/%", "/%4", "/%zz", "/a?x=%", "/a?%4x"],
]


@pytest.mark.parametrize(("raw", "form"), CANONICAL)
def test_has_one_form(raw: str, form: str) -> None:
    assert canonical(raw).render() == form


@pytest.mark.parametrize("raw", AMBIGUOUS)
def test_refuses_what_can_be_read_differently(raw: str) -> None:
    with pytest.raises(Problem) as caught:
        canonical(raw)
    assert caught.value.reason is Reason.ambiguous_target


@pytest.mark.parametrize("raw", ["", "a", "?x=1"])
def test_refuses_what_is_no_path(raw: str) -> None:
    with pytest.raises(Problem) as caught:
        canonical(raw)
    assert caught.value.reason is Reason.malformed_request


def test_splits_the_query() -> None:
    assert canonical("/a?x&y=&z=1=2&x=3") == Target("/a", (("x", None), ("y", ""), ("z", "1=2"), ("x", "3")))


TARGETS = st.text(st.sampled_from("/ab.~%20fF5cC7eE?&=+;#\\{é"), max_size=14).map(lambda text: "/" + text)


def form_of(raw: str) -> str | None:
    try:
        return canonical(raw).render()
    except Problem:
        return None


@given(TARGETS)
def test_is_idempotent_and_reads_back(raw: str) -> None:
    form = form_of(raw)
    if form is not None:
        assert form_of(form) == form
        assert canonical(form) == canonical(raw)


def meaning_of(target: str) -> tuple[str, list[str]]:
    """Path and parameters, decoded; parameters that say nothing are left out."""
    path, _, query = target.partition("?")
    return unquote(path), [unquote(piece) for piece in query.split("&") if piece]


@given(TARGETS)
def test_keeps_the_meaning(raw: str) -> None:
    form = form_of(raw)
    if form is not None:
        assert meaning_of(form) == meaning_of(raw)
        assert not {"", ".", ".."} & set(form.partition("?")[0].split("/")[1:-1])


@given(st.lists(st.tuples(st.sampled_from("azAZ09-._~%/é{+&"), st.booleans(), st.booleans()), max_size=8))
def test_equal_meaning_has_an_equal_form(spelled: list[tuple[str, bool, bool]]) -> None:
    """Any octet that may be spelled both ways, in either case of its hexadecimal digits, has one form."""

    def spelling(encode: bool) -> str:
        return "".join(
            [
                "".join([f"%{octet:02x}" if lower else f"%{octet:02X}" for octet in character.encode()])
                if (encode and choice) or character not in "azAZ09-._~{"
                else character
                for character, choice, lower in spelled
            ]
        )

    assert form_of("/x?" + spelling(True)) == form_of("/x?" + spelling(False))


@given(st.text(max_size=10))
def test_a_component_is_canonical_and_means_its_text(text: str) -> None:
    form = component(text.replace("\x00", "").encode("utf-8", "ignore").decode())
    assert canonical(f"/?{form}=").query in (((form, ""),), ())
    assert unquote(form) == text.replace("\x00", "").encode("utf-8", "ignore").decode()


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("/a?x", ("/a?x", None, "")),
        ("http://H:8080/a?x", ("/a?x", "H:8080", "http")),
        ("HTTPS://h", ("/", "h", "https")),
        ("http://h?x", ("/?x", "h", "http")),
    ],
)
def test_origin_form(raw: str, expected: tuple[str, str | None, str]) -> None:
    assert origin_form("GET", raw) == expected


@pytest.mark.parametrize(
    ("method", "raw", "reason"),
    [
        ("OPTIONS", "*", Reason.not_implemented),
        ("GET", "*", Reason.malformed_request),
        ("GET", "h.example:443", Reason.malformed_request),
        ("GET", "ftp://h/a", Reason.malformed_request),
        ("GET", "", Reason.malformed_request),
    ],
)
def test_no_other_form(method: str, raw: str, reason: Reason) -> None:
    with pytest.raises(Problem) as caught:
        origin_form(method, raw)
    assert caught.value.reason is reason


HOSTS = [
    ("Example.COM", "http", "example.com"),
    ("example.com.", "http", "example.com"),
    ("my_service", "http", "my_service"),
    ("example.com:80", "http", "example.com"),
    ("example.com:080", "http", "example.com"),
    ("example.com:", "http", "example.com"),
    ("example.com:80", "https", "example.com:80"),
    ("example.com:443", "https", "example.com"),
    ("example.com:65535", "https", "example.com:65535"),
    ("127.0.0.1:8080", "http", "127.0.0.1:8080"),
    ("[::1]", "http", "[::1]"),
    ("[0:0:0:0:0:0:0:1]:8080", "http", "[::1]:8080"),
    ("[2001:DB8::A]:80", "http", "[2001:db8::a]"),
]


@pytest.mark.parametrize(("text", "scheme", "expected"), HOSTS)
def test_authority(text: str, scheme: str, expected: str) -> None:
    assert authority(text, scheme) == expected


NO_HOSTS = [
    "",
    ":80",
    "a b",
    "u@h",
    "a/b",
    "h:65536",
    "h:x",
    "h:-1",
    "[::1",
    "[::g]",
    "[1]",
    "h,i",
    "é",
    "h:1:2",
    "::1",
]
NO_HOSTS += ["a..b", ".a", "a..", "-", "a-", ".", "[fe80::1%25eth0]", "[fe80::1%eth0]", "[v1.a]", "a%2eb", "a" * 300]


@pytest.mark.parametrize("text", NO_HOSTS)
def test_refuses_a_malformed_authority(text: str) -> None:
    with pytest.raises(Problem) as caught:
        authority(text, "http")
    assert caught.value.reason is Reason.malformed_request


@pytest.mark.parametrize(
    ("text", "name"), [("h", "h"), ("h:1", "h"), ("[::1]", "[::1]"), ("[::1]:1", "[::1]")], ids=lambda text: str(text)
)
def test_without_port(text: str, name: str) -> None:
    assert without_port(text) == name


def test_host_is_the_one_field() -> None:
    assert host(CIMultiDict({"host": "A:80"}), "http") == "a"


@pytest.mark.parametrize("hosts", [[], ["a", "a"]], ids=["none", "two"])
def test_exactly_one_host(hosts: list[str]) -> None:
    with pytest.raises(Problem) as caught:
        host(CIMultiDict([("Host", value) for value in hosts]), "http")
    assert caught.value.reason is Reason.malformed_request
