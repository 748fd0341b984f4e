"""RFC 9110 §9.3.3: the one POST whose answer may be served for a later GET, and all those whose may not."""

from collections.abc import Sequence
from typing import Any

import pytest
from conformance.exchange import (
    HIT,
    MISS,
    VALIDATED,
    Field,
    Reply,
    Scene,
    Turn,
    again,
    ago,
    ahead,
    at_origin,
    cc,
    etag,
    fetched,
    here,
    modified,
    row,
    stored,
    vary,
)
from conformance.playing import play

FRESH = cc("max-age=600")
HERE: Field = ("Content-Location", here())


def post(*fields: Field, status: int = 200, method: str = "POST", **turn: Any) -> Turn:
    return Turn(MISS, Reply(status, fields), method=method, content=b"question", **turn)


def reusable(name: str, *fields: Field, **turn: Any) -> Any:
    return row(name, post(*fields, **turn), again(HIT), again(HIT, method="HEAD"))


def not_reusable(name: str, *fields: Field, **turn: Any) -> Any:
    return row(name, post(*fields, **turn), fetched(FRESH))


REUSABLE = [
    reusable("9.3.3-max-age", FRESH, HERE),
    reusable("9.3.3-s-maxage", cc("s-maxage=600"), HERE),
    reusable("9.3.3-expires", ("Expires", ahead(600)), HERE),
    reusable("9.3.3-absolute-location", FRESH, ("Content-Location", at_origin())),
    row(
        "9.3.3-with-query",
        post(FRESH, ("Content-Location", here("?q=1")), suffix="?q=1"),
        again(HIT, suffix="?q=1"),
    ),
    row("9.3.3-head", post(FRESH, HERE), again(HIT, method="HEAD"), again(HIT)),
    row("9.3.3-age", post(FRESH, HERE, ("Age", "30")), again(HIT)),
    row("9.3.3-not-for-a-post", post(FRESH, HERE), post(FRESH, HERE), again(HIT)),
    row("9.3.3-replaces-the-get", stored(FRESH), post(FRESH, HERE), again(HIT)),
    row("9.3.3-invalid-after-the-next", post(FRESH, HERE), post(), fetched(FRESH), again(HIT)),
    row("9.3.3-condition", post(FRESH, HERE, etag('"a"')), again(HIT, asks=(("If-None-Match", '"a"'),), status=304)),
    row(
        "9.3.3-validated",
        post(FRESH, HERE, etag('"a"'), ("Age", "600")),
        again(VALIDATED, etag('"a"'), sent={"If-None-Match": '"a"'}),
        again(HIT),
    ),
    row(
        "9.3.3-selected",
        post(FRESH, HERE, vary("Foo"), asks=(("Foo", "1"),)),
        again(HIT, asks=(("Foo", "1"),)),
        again(MISS, asks=(("Foo", "2"),)),
    ),
]

NOT_REUSABLE = [
    not_reusable("9.3.3-no-content-location", FRESH),
    not_reusable("9.3.3-location-instead", FRESH, ("Location", here())),
    not_reusable("9.3.3-other-path", FRESH, ("Content-Location", here("/other"))),
    not_reusable("9.3.3-other-query", FRESH, ("Content-Location", here("?q=1"))),
    not_reusable("9.3.3-other-origin", FRESH, ("Content-Location", lambda scene: f"http://other.example{scene.path}")),
    not_reusable("9.3.3-other-port", FRESH, ("Content-Location", lambda scene: f"http://127.0.0.1:1{scene.path}")),
    not_reusable("9.3.3-malformed-location", FRESH, ("Content-Location", "http://[")),
    not_reusable("9.3.3-no-freshness", HERE),
    not_reusable("9.3.3-heuristics-are-not-explicit", HERE, modified(999999)),
    not_reusable("9.3.3-public-is-not-explicit", cc("public"), HERE, modified(999999)),
    not_reusable("9.3.3-lifetime-of-zero", cc("max-age=0"), HERE),
    not_reusable("9.3.3-expired", ("Expires", ago(60)), HERE),
    not_reusable("9.3.3-no-store", cc("no-store, max-age=600"), HERE),
    not_reusable("9.3.3-private", cc("private, max-age=600"), HERE),
    not_reusable("9.3.3-sets-a-cookie", FRESH, HERE, ("Set-Cookie", "a=b")),
    not_reusable("9.3.3-varies-on-everything", FRESH, HERE, vary("*")),
    not_reusable("9.3.3-authorized", FRESH, HERE, asks=(("Authorization", "Bearer x"),)),
    not_reusable("9.3.3-request-says-no-store", FRESH, HERE, asks=(cc("no-store"),)),
    not_reusable("9.3.4-put", FRESH, HERE, method="PUT"),
    not_reusable("9.3.5-delete", FRESH, HERE, method="DELETE"),
    not_reusable("9.3.7-options", FRESH, HERE, method="OPTIONS"),
]


@pytest.mark.parametrize("turns", [*REUSABLE, *NOT_REUSABLE])
async def test_post(pure: Scene, turns: Sequence[Turn]) -> None:
    await play(pure, turns)


async def test_9_3_3_post_on_a_metered_route(metered: Scene) -> None:
    await play(metered, [post(FRESH, HERE), again(HIT, shown={"X-Tokens-Consumed": "1"})])
