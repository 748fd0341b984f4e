"""Path patterns: what they match, what they refuse to be, and that filling undoes matching."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.patterns import PathPattern

MATCHES = [
    ("/", "/", {}),
    ("/v1/products", "/v1/products", {}),
    ("/v1/products", "/v1/products/", None),
    ("/v1/products", "/v1/productsX", None),
    ("/v1/products/{id}", "/v1/products/12", {"id": "12"}),
    ("/v1/products/{id}", "/v1/products/a%2Cb", {"id": "a%2Cb"}),
    ("/v1/products/{id}", "/v1/products/", None),
    ("/v1/products/{id}", "/v1/products/1/2", None),
    ("/v1.0/{id}", "/v1X0/7", None),
    ("/p-{id}.json", "/p-12.json", {"id": "12"}),
    ("/p-{id}.json", "/p-.json", None),
    ("/p-{id}.json", "/p-a.json.json", {"id": "a.json"}),
    ("/{a}-{b}", "/x-y-z", {"a": "x", "b": "y-z"}),
    ("/{a}-{b}", "/--z", {"a": "-", "b": "z"}),
    ("/{a}--{b}.js", "/x-y--z.js", {"a": "x-y", "b": "z"}),
    ("/{rest:.*}", "/", {"rest": ""}),
    ("/{rest:.*}", "/a/b/", {"rest": "a/b/"}),
    ("/a/{rest:.*}", "/a/", {"rest": ""}),
    ("/a/{rest:.*}", "/a", None),
    ("/{path:.*}/refresh", "/a/b/refresh", {"path": "a/b"}),
    ("/{path:.*}/refresh", "/refresh", {"path": ""}),
    ("/{path:.*}/refresh", "/refresh/refresh", {"path": "refresh"}),
    ("/{path:.*}/refresh", "/arefresh", None),
    ("/a/{path:.*}/b/{id}", "/a/b/7", {"path": "", "id": "7"}),
    ("/f-{path:.*}.txt", "/f-a/b.txt", {"path": "a/b"}),
    ("/f-{path:.*}/{id}", "/f-/7", {"path": "", "id": "7"}),
    ("/.{name}", "/.well", {"name": "well"}),
    ("/%7ejohn/{x}", "/~john/1", {"x": "1"}),
    ("/a%2cb", "/a%2Cb", {}),
    ("/café", "/caf%C3%A9", {}),
    ("/a|b", "/a%7Cb", {}),
]

REFUSED = [
    ("", "begins with /"),
    ("v1", "begins with /"),
    ("/{x", "a parameter is"),
    ("/x}", "a parameter is"),
    ("/{}", "a parameter is"),
    ("/{x:[0-9]+}", "a parameter is"),
    ("/{a}{b}", "literal text between"),
    ("/{a}/{a}", "used twice"),
    ("/{a:.*}/x/{b:.*}", "only one"),
    ("/{a:.*}-{b}", "share its segment"),
    ("/a//b", "empty segment"),
    ("/a/../b", "dot segment"),
    ("/%2e/b", "dot segment"),
    ("/a%2fb", "encoded slash"),
    ("/a%zz", "percent"),
    ("/a%2{x}", "percent"),
    ("/a#b", "fragment"),
    ("/a?b=1", "no query"),
]


@pytest.mark.parametrize(("text", "path", "params"), MATCHES)
def test_matches(text: str, path: str, params: dict[str, str] | None) -> None:
    pattern = PathPattern.parse(text)
    assert pattern.match(path) == params
    if params is not None:
        assert pattern.fill(params) == path


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_refuses_to_parse(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PathPattern.parse(text)


def test_is_a_value_made_by_its_text() -> None:
    assert PathPattern.parse("/a/{x}") == PathPattern.parse("/a/{x}")
    assert PathPattern.parse("/a/{x}") != PathPattern.parse("/a/{y}")
    assert repr(PathPattern.parse("/a/{x}")) == "PathPattern(text='/a/{x}')"


@pytest.mark.parametrize(
    ("text", "prefix"),
    [("/", ("",)), ("/v1/{x}/y", ("v1",)), ("/{x}/y", ()), ("/v1/p-{x}", ("v1",)), ("/%7e/b", ("~", "b"))],
)
def test_prefix_is_the_literal_beginning(text: str, prefix: tuple[str, ...]) -> None:
    assert PathPattern.parse(text).prefix == prefix


def test_filling_needs_every_parameter() -> None:
    with pytest.raises(KeyError):
        PathPattern.parse("/a/{x}/{y}").fill({"x": "1"})


SEGMENT = st.text("ab-.x", min_size=1, max_size=6).filter(lambda text: text not in (".", ".."))
PATTERNS = ["/{a}-{b}", "/{a}/b", "/{a}-{b}-{c}.x/{d}", "/{r:.*}/x", "/a/{r:.*}/{a}-{b}", "/a{r:.*}b", "/{r:.*}"]


@given(st.sampled_from(PATTERNS), st.lists(SEGMENT, max_size=5))
def test_filling_undoes_matching(text: str, segments: list[str]) -> None:
    pattern = PathPattern.parse(text)
    path = "/" + "/".join(segments)
    params = pattern.match(path)
    if params is not None:
        assert pattern.fill(params) == path


@given(st.sampled_from(PATTERNS), st.data())
def test_matches_whatever_it_fills(text: str, data: st.DataObject) -> None:
    pattern = PathPattern.parse(text)
    path = pattern.fill({name: data.draw(SEGMENT) for name in pattern.names})
    params = pattern.match(path)
    assert params is not None
    assert pattern.fill(params) == path


def test_getting_ready_twice_is_getting_ready_once() -> None:
    """A pattern outlives its config, and each reload gets it ready."""
    pattern = PathPattern.parse("/made/ready/{id}")
    for _ in range(2):
        pattern.compile()
    assert (len(pattern._compiled), pattern.match("/made/ready/7")) == (1, {"id": "7"})
