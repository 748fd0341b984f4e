"""RFC 9110 §15.2: interim responses of the upstream are never stored nor mistaken for the final one, which is."""

from collections.abc import Sequence
from typing import Any

import pytest
from conformance.exchange import HIT, MISS, VALIDATED, Field, Reply, Scene, Turn, again, cc, etag, row, stored
from conformance.playing import play
from support.scripts import head

FRESH = cc("max-age=600")
HINTS = head(103, "Link: </a.css>; rel=preload", "X-Interim: yes")


def after(before: bytes, *fields: Field, **reply: Any) -> Turn:
    """The final response comes after `before`, and nothing of that shows."""
    return Turn(MISS, Reply(fields=fields, before=before, **reply), shown={"X-Interim": None})


def kept(name: str, before: bytes) -> Any:
    """The final response is stored, and only that."""
    return row(name, after(before, FRESH), again(HIT, shown={"X-Interim": None, "Link": None}))


INTERIM = [
    kept("15.2.1-continue", head(100)),
    kept("15.2.1-continue-with-fields", head(100, "X-Interim: yes")),
    kept("10.1-processing", head(102, "X-Interim: yes")),
    kept("2-early-hints", HINTS),
    kept("15.2-unknown-1xx", head(199, "X-Interim: yes")),
    kept("15.2-two", HINTS + HINTS),
    kept("15.2-several-kinds", head(100) + head(102) + HINTS + head(110)),
    kept("15.2-sixteen", HINTS * 16),
    kept("15.2-its-cache-control-is-not-the-finals", head(103, "Cache-Control: no-store")),
    kept("15.2-its-vary-is-not-the-finals", head(103, "Vary: *")),
    kept("15.2-its-cookie-is-not-the-finals", head(103, "Set-Cookie: a=b")),
    row(
        "15.2-its-lifetime-is-not-the-finals",
        after(head(103, "Cache-Control: max-age=600")),
        again(MISS),
    ),
    row(
        "15.2-its-tag-is-not-the-finals",
        after(head(103, 'ETag: "interim"'), FRESH, ("Age", "600"), etag('"final"')),
        again(VALIDATED, sent={"If-None-Match": '"final"'}),
    ),
    row("15.2-before-an-error", after(HINTS, FRESH, status=404), again(HIT, status=404)),
    row("15.2-before-what-is-not-stored", after(HINTS, cc("no-store")), again(MISS)),
    row(
        "15.2-before-a-304",
        stored(FRESH, ("Age", "600"), etag('"a"')),
        again(VALIDATED, reply=Reply(304, (etag('"a"'),), before=HINTS), shown={"X-Interim": None}),
        again(HIT, shown={"X-Interim": None}),
    ),
    row("15.2-to-a-post", Turn(MISS, Reply(before=head(100)), method="POST", content=b"x", shown={"X-Interim": None})),
    row("15.2-to-a-head", Turn(MISS, Reply(before=HINTS), method="HEAD", shown={"X-Interim": None})),
]


@pytest.mark.parametrize("turns", INTERIM)
async def test_interim_responses(pure: Scene, turns: Sequence[Turn]) -> None:
    await play(pure, turns)
