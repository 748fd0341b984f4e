"""RFC 9111 §5.2.1 on metered routes: the work that a request's directives force has its price, and its cap."""

from collections.abc import Sequence

import pytest
from conformance.exchange import (
    DROPPED,
    FAILED,
    HIT,
    MISS,
    REFUSED,
    SPARE,
    STALE,
    VALIDATED,
    Reply,
    Scene,
    Turn,
    about,
    again,
    cc,
    etag,
    fetched,
    modified,
    row,
    stored,
    unstored,
)
from conformance.playing import play

BASE = {"X-Tokens-Consumed": "1"}
FORCED = {"X-Tokens-Consumed": "4"}
FREE = {"X-Tokens-Consumed": "0"}

PRICED = [
    row("5.2.1-none", stored(cc("max-age=60"), shown=BASE), again(HIT, shown=BASE)),
    row("5.2.1-unknown", stored(cc("max-age=60")), again(HIT, asks=(cc("foo"),), shown=BASE)),
    row("5.2.1-stale", stored(cc("max-age=60"), ("Age", "90"), etag('"a"')), again(VALIDATED, shown=BASE)),
    row("5.2.1.1-max-age-met", stored(cc("max-age=60")), again(HIT, asks=(cc("max-age=600"),), shown=BASE)),
    row(
        "5.2.1.1-max-age-validated",
        stored(cc("max-age=60"), ("Age", "30"), etag('"a"')),
        again(VALIDATED, asks=(cc("max-age=0"),), shown=FORCED),
    ),
    row(
        "5.2.1.1-max-age-fetched",
        stored(cc("max-age=60"), ("Age", "30")),
        again(MISS, asks=(cc("max-age=10"),), shown=FORCED),
    ),
    row(
        "5.2.1.1-max-age-on-a-miss",
        stored(cc("max-age=60"), asks=(cc("max-age=0"),), shown=BASE),
        again(HIT, shown=BASE),
    ),
    row(
        "5.2.1.1-max-age-when-stale",
        stored(cc("max-age=60"), ("Age", "90"), etag('"a"')),
        again(VALIDATED, asks=(cc("max-age=0"),), shown=BASE),
    ),
    row(
        "5.2.1.2-max-stale",
        stored(cc("max-age=60"), ("Age", "90"), etag('"a"')),
        again(STALE, asks=(cc("max-stale"),), shown=BASE),
    ),
    row("5.2.1.3-min-fresh-met", stored(cc("max-age=3600")), again(HIT, asks=(cc("min-fresh=60"),), shown=BASE)),
    row(
        "5.2.1.3-min-fresh",
        stored(cc("max-age=60"), etag('"a"')),
        again(VALIDATED, asks=(cc("min-fresh=600"),), shown=FORCED),
    ),
    row(
        "5.2.1.4-no-cache-validated",
        stored(cc("max-age=60"), etag('"a"')),
        again(VALIDATED, asks=(cc("no-cache"),), shown=FORCED),
    ),
    row(
        "5.2.1.4-no-cache-fetched",
        stored(cc("max-age=60")),
        again(MISS, cc("max-age=60"), asks=(cc("no-cache"),), shown=FORCED),
        again(HIT, of=2, shown=BASE),
    ),
    row("5.2.1.4-no-cache-on-a-miss", stored(cc("max-age=60"), asks=(cc("no-cache"),), shown=BASE)),
    row(
        "5.2.1.4-no-cache-on-no-cache",
        stored(cc("no-cache"), etag('"a"')),
        again(VALIDATED, asks=(cc("no-cache"),), shown=BASE),
    ),
    row(
        "5.2.1.4-no-cache-while-revalidating",
        stored(cc("max-age=60, stale-while-revalidate=60"), ("Age", "90"), etag('"a"')),
        again(VALIDATED, asks=(cc("no-cache"),), shown=FORCED),
    ),
    row(
        "5.2.1.4-no-cache-failed",
        stored(cc("max-age=60"), etag('"a"')),
        again(FAILED, asks=(cc("no-cache"),), status=503, shown=FREE),
    ),
    row(
        "5.2.1.4-no-cache-dropped",
        stored(cc("max-age=60"), etag('"a"')),
        again(FAILED, reply=DROPPED, asks=(cc("no-cache"),), status=502, shown=FREE),
    ),
    row(
        "5.2.1.4-no-cache-not-found",
        stored(cc("max-age=60")),
        again(MISS, reply=Reply(404), asks=(cc("no-cache"),), shown=FORCED),
    ),
    row("5.2.1.5-no-store", unstored(cc("max-age=60"), asks=(cc("no-store"),), shown=FORCED), again(MISS, shown=BASE)),
    row("5.2.1.5-no-store-of-what-is-stored", stored(cc("max-age=60")), again(HIT, asks=(cc("no-store"),), shown=BASE)),
    row("5.2.1.7-only-if-cached", stored(cc("max-age=60")), again(HIT, asks=(cc("only-if-cached"),), shown=BASE)),
    row("5.2.1.7-only-if-cached-on-a-miss", again(REFUSED, asks=(cc("only-if-cached"),), status=504, shown=FREE)),
    row(
        "5.4-pragma",
        stored(cc("max-age=60"), etag('"a"')),
        again(VALIDATED, asks=(("Pragma", "no-cache"),), shown=FORCED),
    ),
    row(
        "8246-2.1-reload",
        stored(cc("max-age=60, immutable"), ("Age", "30")),
        again(HIT, asks=(cc("max-age=0"),), shown=BASE),
    ),
    row(
        "5.2.1.4-no-cache-head",
        stored(cc("max-age=60")),
        again(MISS, method="HEAD", asks=(cc("no-cache"),), shown=FORCED),
    ),
    row(
        "5.2.1.4-no-cache-condition",
        stored(cc("max-age=60"), etag('"a"')),
        again(VALIDATED, asks=(cc("no-cache"), ("If-None-Match", '"a"')), status=304, shown=FORCED),
    ),
    row(
        "5.2.1.4-no-cache-range",
        stored(cc("max-age=60"), etag('"a"')),
        again(VALIDATED, asks=(cc("no-cache"), ("Range", "bytes=0-4")), status=206, got=b"reply", shown=FORCED),
    ),
    row("5.2.1.5-no-store-head", again(MISS, method="HEAD", asks=(cc("no-store"),), shown=FORCED)),
    row("5.2-sent-on", fetched(asks=(cc("no-transform, foo=bar"),), sent={"Cache-Control": "no-transform, foo=bar"})),
    row(
        "5861-4-stale-if-error",
        stored(cc("max-age=60, stale-if-error=60"), ("Age", "90"), etag('"a"')),
        again(SPARE, shown=BASE),
    ),
]


@pytest.mark.parametrize("turns", PRICED)
async def test_forced_work_is_priced(metered: Scene, turns: Sequence[Turn]) -> None:
    await play(metered, turns)


CAPPED = [
    row(
        "5.2.1.4-no-cache",
        stored(cc("max-age=60"), etag('"a"')),
        *[again(VALIDATED, asks=(cc("no-cache"),), shown=FORCED)] * 2,
        again(REFUSED, asks=(cc("no-cache"),), status=429, shown=FREE | {"Retry-After": about(41)}),
        again(HIT, shown=BASE),
    ),
    row(
        "5.2.1.1-max-age",
        stored(cc("max-age=60"), ("Age", "30"), etag('"a"')),
        *[again(VALIDATED, ("Age", "30"), asks=(cc("max-age=0"),))] * 2,
        again(REFUSED, asks=(cc("max-age=0"),), status=429),
    ),
    row(
        "5.2.1.3-min-fresh",
        stored(cc("max-age=60"), etag('"a"')),
        *[again(VALIDATED, asks=(cc("min-fresh=600"),))] * 2,
        again(REFUSED, asks=(cc("min-fresh=600"),), status=429),
    ),
    row(
        "5.2.1.5-no-store",
        *[unstored(cc("max-age=60"), asks=(cc("no-store"),))] * 2,
        again(REFUSED, asks=(cc("no-store"),), status=429),
    ),
    row(
        "5.4-pragma",
        stored(cc("max-age=60"), etag('"a"')),
        *[again(VALIDATED, asks=(("Pragma", "no-cache"),))] * 2,
        again(REFUSED, asks=(("Pragma", "no-cache"),), status=429),
    ),
    row(
        "5.2.1.4-what-is-not-forced-does-not-count",
        *[again(REFUSED, asks=(cc("only-if-cached"),), status=504)] * 3,
        stored(cc("no-cache"), etag('"a"'), asks=(cc("no-cache"),)),
        *[again(VALIDATED, asks=(cc("no-cache"),), shown=BASE)] * 3,
    ),
    row(
        "5.2.1.4-reuse-does-not-count",
        stored(cc("max-age=60")),
        *[again(HIT, asks=(cc("max-age=600"),))] * 3,
    ),
]


@pytest.mark.parametrize("turns", CAPPED)
async def test_forced_work_counts_against_the_cap(capped: Scene, turns: Sequence[Turn]) -> None:
    await play(capped, turns)


HONOURED = [
    row(
        "5.2.1.4-no-cache", stored(cc("max-age=60"), etag('"a"')), again(VALIDATED, asks=(cc("no-cache"),), shown=BASE)
    ),
    row(
        "5.2.1.1-max-age",
        stored(cc("max-age=60"), ("Age", "30"), etag('"a"')),
        again(VALIDATED, asks=(cc("max-age=0"),), shown=BASE),
    ),
    row("5.2.1.5-no-store", unstored(cc("max-age=60"), asks=(cc("no-store"),), shown=BASE), again(MISS)),
    row("5.2.1.7-only-if-cached", again(REFUSED, asks=(cc("only-if-cached"),), status=504, shown=FREE)),
]


@pytest.mark.parametrize("turns", HONOURED)
async def test_where_honoured_they_cost_nothing_more(honouring: Scene, turns: Sequence[Turn]) -> None:
    await play(honouring, turns)


IGNORED = [
    row("5.2.1.1-max-age", stored(cc("max-age=60"), ("Age", "30")), again(HIT, asks=(cc("max-age=10"),))),
    row(
        "5.2.1.2-max-stale",
        stored(cc("max-age=60"), ("Age", "90"), etag('"a"')),
        again(VALIDATED, asks=(cc("max-stale"),)),
    ),
    row("5.2.1.3-min-fresh", stored(cc("max-age=60")), again(HIT, asks=(cc("min-fresh=600"),))),
    row("5.2.1.4-no-cache", stored(cc("max-age=60")), again(HIT, asks=(cc("no-cache"),))),
    row("5.2.1.5-no-store", stored(cc("max-age=60"), asks=(cc("no-store"),)), again(HIT)),
    row("5.2.1.7-only-if-cached", fetched(asks=(cc("only-if-cached"),))),
    row("5.2-sent-on", fetched(asks=(cc("no-transform, foo=bar"),), sent={"Cache-Control": "no-transform, foo=bar"})),
    row("5.4-pragma", stored(modified(36000)), again(HIT, asks=(("Pragma", "no-cache"),))),
]


@pytest.mark.parametrize("turns", IGNORED)
async def test_where_ignored_they_change_nothing(ignoring: Scene, turns: Sequence[Turn]) -> None:
    await play(ignoring, turns)
