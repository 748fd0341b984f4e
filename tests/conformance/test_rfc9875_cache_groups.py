"""RFC 9875: stored responses in groups, and answers to unsafe requests that invalidate a group."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from conformance.exchange import HIT, MISS, Field, Reply, Scene, Turn, again, cc, etag, fetched, row, stored
from conformance.playing import play

FRESH = cc("max-age=600")


def of_row(form: str) -> Callable[[Scene], str]:
    """A value in which `{}` is what no other row's groups have: groups belong to an origin, which all rows share."""
    return lambda scene: form.replace("{}", scene.path.rpartition("/")[2])


def groups(form: str) -> Field:
    return "Cache-Groups", of_row(form)


def changes(form: str) -> Field:
    return "Cache-Group-Invalidation", of_row(form)


def unsafe(*fields: Field, status: int = 200, method: str = "POST", suffix: str = "/elsewhere") -> Turn:
    return Turn(MISS, Reply(status, fields), method=method, content=b"change it", suffix=suffix)


def invalid(name: str, member: Sequence[Field], change: Sequence[Field], **sent: Any) -> Any:
    return row(name, stored(FRESH, *member), unsafe(*change, **sent), fetched(FRESH), again(HIT))


def valid(name: str, member: Sequence[Field], change: Sequence[Field], **sent: Any) -> Any:
    return row(name, stored(FRESH, *member), unsafe(*change, **sent), again(HIT, of=1))


G = [groups('"g{}"')]
MANY = ", ".join(f'"{n:02}-{"x" * 16}-{{}}"' for n in range(32))

GROUPS = [
    invalid("3-named-group", G, [changes('"g{}"')]),
    invalid("3-one-of-several-named", G, [changes('"x{}", "g{}", "y{}"')]),
    invalid("3-several-lines-named", G, [changes('"x{}"'), changes('"g{}"')]),
    invalid("2-one-of-several-groups", [groups('"a{}", "g{}"')], [changes('"g{}"')]),
    invalid("2-several-lines-of-groups", [groups('"a{}"'), groups('"g{}"')], [changes('"g{}"')]),
    invalid("2-parameters-are-ignored", [groups('"g{}";revalidate;x=1')], [changes('"g{}"')]),
    invalid("3-parameters-are-ignored", G, [changes('"g{}";soft')]),
    invalid("2-escapes", [groups('"g\\"{}"')], [changes('"g\\"{}"')]),
    invalid("2-spaces-within", [groups('"a group {}"')], [changes('"a group {}"')]),
    invalid("2-thirty-two-groups", [groups(MANY)], [changes(f'"31-{"x" * 16}-{{}}"')]),
    invalid("3-thirty-two-groups", [groups(f'"31-{"x" * 16}-{{}}"')], [changes(MANY)]),
    invalid("3-put", G, [changes('"g{}"')], method="PUT"),
    invalid("3-delete", G, [changes('"g{}"')], method="DELETE"),
    invalid("3-unknown-method", G, [changes('"g{}"')], method="PURGE"),
    invalid("3-redirect", G, [changes('"g{}"'), ("Location", "/x")], status=303),
    valid("2.1-other-group", G, [changes('"h{}"')]),
    valid("2.1-compared-with-case", G, [changes('"G{}"')]),
    valid("2.1-part-of-a-name", [groups('"gg{}"')], [changes('"g{}"')]),
    valid("2.1-no-group", [], [changes('"g{}"')]),
    valid("3-nothing-named", G, []),
    valid("3-token-is-no-string", G, [changes("g{}")]),
    valid("3-broken-list", G, [changes('"g{}", ')]),
    valid("3-unclosed-string", G, [changes('"g{}')]),
    valid("3-inner-list", G, [changes('("g{}")')]),
    valid("2-token-is-no-string", [groups("g{}")], [changes('"g{}"')]),
    valid("3-client-error", G, [changes('"g{}"')], status=400),
    valid("3-server-error", G, [changes('"g{}"')], status=500),
    valid("3-safe-options", G, [changes('"g{}"')], method="OPTIONS"),
    row("3-safe-get", stored(FRESH, *G), fetched(FRESH, changes('"g{}"'), suffix="/elsewhere"), again(HIT, of=1)),
    row(
        "3-safe-head",
        stored(FRESH, *G),
        Turn(MISS, Reply(200, (changes('"g{}"'),)), method="HEAD", suffix="/elsewhere"),
        again(HIT, of=1),
    ),
    row(
        "2.2.1-all-members",
        stored(FRESH, *G, suffix="/a"),
        stored(FRESH, *G, suffix="/b?q=1"),
        stored(FRESH, groups('"h{}"'), suffix="/c"),
        unsafe(changes('"g{}"')),
        fetched(FRESH, suffix="/a"),
        fetched(FRESH, suffix="/b?q=1"),
        again(HIT, suffix="/c", of=3),
    ),
    row(
        "2.2.1-does-not-cascade",
        stored(FRESH, groups('"g{}", "h{}"'), suffix="/a"),
        stored(FRESH, groups('"h{}"'), suffix="/b"),
        unsafe(changes('"g{}"')),
        fetched(FRESH, suffix="/a"),
        again(HIT, suffix="/b", of=2),
    ),
    row(
        "2-what-is-stored-later-is-not-invalid",
        stored(FRESH, *G),
        unsafe(changes('"g{}"')),
        stored(FRESH, *G),
        again(HIT),
    ),
    row(
        "2-groups-of-a-304",
        stored(FRESH, ("Age", "600"), etag('"a"'), groups('"g{}"')),
        Turn(MISS, Reply(304, (etag('"a"'), groups('"h{}"'))), of=1, fwd="stale"),
        unsafe(changes('"h{}"')),
        fetched(FRESH),
    ),
    row("2-field-reaches-the-client", stored(FRESH, *G), again(HIT, shown={"Cache-Groups": of_row('"g{}"')})),
]


@pytest.mark.parametrize("turns", GROUPS)
async def test_cache_groups(pure: Scene, turns: Sequence[Turn]) -> None:
    await play(pure, turns)


TAGS = [
    row(
        "2.1-a-routes-tag-is-a-group",
        stored(FRESH, suffix="?q=1"),
        unsafe(changes('"item:{}"'), suffix="?q=2"),
        fetched(FRESH, suffix="?q=1"),
    ),
    row(
        "2.1-another-tag-is-another-group",
        stored(FRESH, suffix="?q=1"),
        stored(FRESH, suffix="?q=3"),
        unsafe(changes('"item:other-{}"'), status=404, suffix="?q=2"),
        again(HIT, suffix="?q=1", of=1),
    ),
]


@pytest.mark.parametrize("turns", TAGS)
async def test_cache_groups_and_tags(tagged: Scene, turns: Sequence[Turn]) -> None:
    await play(tagged, turns)
