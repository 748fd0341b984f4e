"""Whether every path that one pattern takes is one that another takes too."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.covering import covers
from gateway.admission.patterns import PathPattern


@pytest.mark.parametrize(
    ("pattern", "other", "expected"),
    [
        ("/a/b", "/a/b", True),
        ("/a", "/a/b", False),
        ("/caf%c3%a9", "/café", True),
        ("/a/{x}", "/a/b", True),
        ("/a/{x}", "/a/{y}", True),
        ("/a/{x}", "/a/", False),
        ("/a/{x}", "/a/{y:.*}", False),
        ("/a/b", "/a/{y}", False),
        ("/v{x}", "/v1", True),
        ("/v{x}", "/v", False),
        ("/v{x}", "/w{y}", False),
        ("/v{x}.json", "/v1-{y}.json", True),
        ("/v{x}.json", "/v.json", False),
        ("/{a}-{b}", "/{c}-{d}", True),
        ("/{a}-{b}", "/x-y", False),
        ("/{x:.*}", "/", True),
        ("/{x:.*}", "/a/{y:.*}", True),
        ("/a/{x:.*}", "/a/b", True),
        ("/a/{x:.*}", "/a/", True),
        ("/a/{x:.*}", "/a", False),
        ("/a/{x:.*}", "/a/b/{y}/c", True),
        ("/a/{x:.*}", "/b/{y}", False),
        ("/a/{x:.*}", "/{y:.*}", False),
        ("/a/{x:.*}", "/a/{y:.*}/c", True),
        ("/a/b/{x:.*}", "/a/{y:.*}/c", False),
        ("/{x}/{y:.*}", "/{z:.*}/c", False),
        ("/{x:.*}/c", "/c", True),
        ("/{x:.*}/c", "/a/b/c", True),
        ("/{x:.*}/c", "/a/{y:.*}/c", True),
        ("/{x:.*}/c", "/a/{y:.*}", False),
        ("/{x:.*}/c", "/d", False),
        ("/a/{x:.*}/a", "/a", False),
        ("/a/{x:.*}/c", "/a/c", True),
        ("/a/{x:.*}/c", "/a/v{y:.*}/c", True),
        ("/v{x:.*}", "/v", True),
        ("/v{x:.*}", "/v1/b/{y:.*}", True),
        ("/v{x:.*}", "/v{y:.*}", True),
        ("/v{x:.*}", "/w", False),
        ("/a/v{x:.*}", "/a", False),
        ("/a/v{x:.*}", "/b/v1", False),
        ("/{x:.*}.json", "/{y:.*}.json", True),
        ("/{x:.*}.json", "/a.json", False),
        ("/v{x:.*}/c", "/v{y:.*}/c", True),
        ("/v{x:.*}/c", "/v{y:.*}/d", False),
        ("/v{x:.*}/c", "/v{y:.*}/c/d", False),
    ],
    ids=lambda value: str(value),
)
def test_what_covers_what(pattern: str, other: str, expected: bool) -> None:
    assert covers(PathPattern.parse(pattern), PathPattern.parse(other)) is expected


SEGMENTS = st.sampled_from(["a", "b", "ab", "{}", "a{}", "{}b", "{:.*}", "a{:.*}", "{:.*}b", ""])


@st.composite
def patterns(draw: st.DrawFn) -> PathPattern:
    parts = draw(st.lists(SEGMENTS, min_size=1, max_size=4))
    rests = [at for at, part in enumerate(parts) if ".*" in part]
    parts = [part for at, part in enumerate(parts) if at not in rests[1:] and (part or at == len(parts) - 1)] or ["a"]
    text = "/" + "/".join(part.replace("{", f"{{p{at}") for at, part in enumerate(parts))
    return PathPattern.parse(text)


PATHS = st.lists(st.sampled_from(["a", "b", "ab", "aab", "abb", "c"]), max_size=5).flatmap(
    lambda parts: st.sampled_from(["/" + "/".join(parts), "/" + "/".join([*parts, ""]) if parts else "/"])
)


@given(patterns(), patterns(), st.lists(PATHS, min_size=5, max_size=20))
def test_what_is_covered_is_taken(pattern: PathPattern, other: PathPattern, paths: list[str]) -> None:
    if covers(pattern, other):
        for path in paths:
            assert other.match(path) is None or pattern.match(path) is not None, path


@given(patterns())
def test_a_pattern_covers_itself(pattern: PathPattern) -> None:
    assert covers(pattern, pattern)
