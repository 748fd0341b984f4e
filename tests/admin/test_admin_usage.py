"""A month's usage over real sockets: what it says, and when it ends without."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import orjson
import pytest
from admin.books import Books, books
from admin.operated import TOKEN, Operated, operated
from keys.rings import create
from ledger.folders import lookup
from support.addresses import HOST

from gateway.admin import usage as api
from gateway.admin.usage import UsageApi
from gateway.health import Health
from gateway.ledger.reader import reading
from gateway.ledger.reports import Reports
from gateway.ledger.usage import By, Incomplete, Month, Usage, usage
from gateway.ledger.usage_document import usage_document

pytestmark = pytest.mark.slow

ENDLESS = "WITH RECURSIVE endless(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM endless) SELECT count(*) FROM endless"


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Books]:
    async with books(tmp_path) as kept:
        await kept.ring.keyring.create(create(id="shop"))
        yield kept


@pytest.fixture
def health() -> Health:
    health = Health({})
    health.serving = True
    return health


@pytest.fixture
async def door(kept: Books, tmp_path: Path, health: Health) -> AsyncIterator[Operated]:
    reports = Reports(tmp_path / "var", kept.ledger.booked)
    async with operated(UsageApi(reports, lambda: "UTC", kept.clock, health).endpoints()) as door:
        yield door


async def test_the_present_month_by_key(door: Operated, kept: Books) -> None:
    kept.ledger.post(lookup("shop", 6, kept.clock.wall()))
    assert (await door.client.get("/-/usage")).json() == {
        "month": "2026-01",
        "timezone": "UTC",
        "by": "key",
        "closed": False,
        "rows": [{"key": "shop", "requests": 1, "tokens": 6, "refunded": 0, "vendor_tokens": 0}],
        "total": {"requests": 1, "tokens": 6, "refunded": 0, "vendor_tokens": 0},
        "rest": None,
        "as_of": "2026-01-15T12:00:00Z",
    }


@pytest.mark.parametrize("by", By, ids=lambda by: by.value)
async def test_it_is_what_the_files_say(door: Operated, kept: Books, tmp_path: Path, by: By) -> None:
    for at in (kept.clock.wall(), kept.clock.wall() - 86400):
        kept.ledger.post(lookup("shop", at=at))
    answer = await door.client.get("/-/usage", params={"by": by.value, "month": "2026-01"})
    with reading(tmp_path / "var") as db:
        read = usage_document(usage(db, Month("2026-01", "UTC"), by))
    assert answer.content == orjson.dumps({"rest": None} | read | {"as_of": "2026-01-15T12:00:00Z"})
    assert answer.json()["total"]["requests"] == 2


def row(key: str, tokens: int) -> dict[str, object]:
    return {"key": key, "requests": 1, "tokens": tokens, "refunded": 0, "vendor_tokens": 0}


async def test_the_most_of_it_and_the_rest(door: Operated, kept: Books) -> None:
    for name, tokens in (("a", 1), ("b", 3), ("c", 2)):
        kept.ledger.post(lookup(name, tokens, kept.clock.wall()))
    told = (await door.client.get("/-/usage?top=1")).json()
    assert told["rows"] == [row("b", 3)]
    assert told["rest"] == {"requests": 2, "tokens": 3, "refunded": 0, "vendor_tokens": 0}
    assert (told["total"]["tokens"], told["as_of"]) == (6, "2026-01-15T12:00:00Z")
    whole = (await door.client.get("/-/usage?top=3")).json()
    assert (whole["rows"], whole["rest"]) == ([row("b", 3), row("c", 2), row("a", 1)], None)


async def test_the_most_of_it_is_told_again_for_a_while(door: Operated, kept: Books) -> None:
    assert (await door.client.get("/-/usage?top=5")).json()["rows"] == []
    kept.ledger.post(lookup("shop", 6, kept.clock.wall()))
    # Each month and grouping is a report of its own, and the whole is read anew.
    assert (await door.client.get("/-/usage?top=5&by=route")).json()["total"]["tokens"] == 6
    assert (await door.client.get("/-/usage")).json()["total"]["tokens"] == 6
    assert (await door.client.get("/-/usage?top=5")).json()["rows"] == []
    kept.clock.advance(2.1)
    told = (await door.client.get("/-/usage?top=5")).json()
    assert (told["rows"], told["as_of"]) == ([row("shop", 6)], "2026-01-15T12:00:02Z")


async def test_many_who_ask_at_once_are_told_of_one_report(
    door: Operated, kept: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[By] = []

    def counting(db: sqlite3.Connection, month: Month, by: By, top: int) -> Usage:
        made.append(by)
        return usage(db, month, by, top)

    monkeypatch.setattr(api, "usage", counting)
    answers = await asyncio.gather(*[door.client.get("/-/usage?top=5") for _ in range(8)])
    assert {answer.status_code for answer in answers} == {200}
    assert len(made) == 1


async def test_a_report_that_failed_is_not_made_again_at_once(
    door: Operated, kept: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(api, "usage", Pruned())
        for _ in range(2):
            refused = await door.client.get("/-/usage?top=5")
            assert (refused.status_code, refused.json()["detail"]) == (409, "pruned the 1st time")
    assert (await door.client.get("/-/usage?top=5")).status_code == 409
    kept.clock.advance(2.1)
    assert (await door.client.get("/-/usage?top=5")).status_code == 200


async def test_only_some_reports_are_remembered(door: Operated, kept: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "_REMEMBERED", 1)
    for by in ("key", "route"):
        assert (await door.client.get(f"/-/usage?top=5&by={by}")).json()["rows"] == []
    kept.ledger.post(lookup("shop", 6, kept.clock.wall()))
    assert (await door.client.get("/-/usage?top=5&by=route")).json()["rows"] == []
    assert (await door.client.get("/-/usage?top=5&by=key")).json()["rows"] == [row("shop", 6)]


async def test_the_most_of_it_ends_when_the_gateway_drains(
    door: Operated, health: Health, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = Endless(monkeypatch)
    asked = asyncio.create_task(door.client.get("/-/usage?top=5"))
    await report.begun.wait()
    health.serving = False
    refused = await asked
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert report.ended.is_set()


REFUSED = {
    "a month": ("month=2026-13", "must be a month such as 2026-11"),
    "no month": ("month=", "must be a month such as 2026-11"),
    "a grouping": ("by=colour", "one of key, organization"),
    "a parameter": ("mont=2026-01", "did you mean `month`?"),
    "two months": ("month=2026-01&month=2026-02", "more than once"),
    "no rows": ("top=0", "from 1 to 1000"),
    "too many rows": ("top=1001", "from 1 to 1000"),
    "no number of rows": ("top=", "from 1 to 1000"),
}


@pytest.mark.parametrize(("query", "words"), REFUSED.values(), ids=REFUSED)
async def test_what_cannot_be_asked(door: Operated, query: str, words: str) -> None:
    refused = await door.client.get(f"/-/usage?{query}")
    assert (refused.status_code, refused.json()["reason"]) == (400, "invalid")
    assert words in refused.json()["detail"]


async def test_a_month_that_is_not_whole_any_more(door: Operated, monkeypatch: pytest.MonkeyPatch) -> None:
    def pruned(*_: object) -> Usage:
        raise Incomplete("records of 2026-01 are pruned already")

    monkeypatch.setattr(api, "usage", pruned)
    refused = await door.client.get("/-/usage")
    assert (refused.status_code, refused.json()["reason"]) == (409, "conflict")
    assert "pruned" in refused.json()["detail"]


async def test_a_ledger_that_cannot_be_read(door: Operated, tmp_path: Path) -> None:
    book = tmp_path / "var" / "book.sqlite3"
    book.rename(tmp_path / "elsewhere")
    refused = await door.client.get("/-/usage")
    assert (refused.status_code, refused.json()["reason"]) == (503, "ledger_unavailable")
    assert refused.headers["Retry-After"] == "1"
    assert "there is no ledger" in refused.json()["detail"]
    (tmp_path / "elsewhere").rename(book)


class Pruned:
    """A month's usage that is not whole any more."""

    def __init__(self) -> None:
        self._asked = 0

    def __call__(self, *_: object) -> Usage:
        self._asked += 1
        raise Incomplete(f"pruned the {self._asked}st time")


class Endless:
    """A month's usage that never ends by itself."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._loop = asyncio.get_running_loop()
        self.begun, self.ended = asyncio.Event(), asyncio.Event()
        monkeypatch.setattr(api, "usage", self)

    def __call__(self, db: sqlite3.Connection, *_: object) -> object:
        self._loop.call_soon_threadsafe(self.begun.set)
        try:
            return db.execute(ENDLESS).fetchone()
        finally:
            self._loop.call_soon_threadsafe(self.ended.set)


async def test_it_ends_when_the_gateway_drains(door: Operated, health: Health, monkeypatch: pytest.MonkeyPatch) -> None:
    report = Endless(monkeypatch)
    asked = asyncio.create_task(door.client.get("/-/usage"))
    await report.begun.wait()
    health.serving = False
    refused = await asked
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert report.ended.is_set()


async def test_it_ends_when_who_asked_has_left(door: Operated, monkeypatch: pytest.MonkeyPatch) -> None:
    report = Endless(monkeypatch)
    _, writer = await asyncio.open_connection(HOST, door.port)
    writer.write(f"GET /-/usage HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
    await report.begun.wait()
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()
    async with asyncio.timeout(20):
        await report.ended.wait()
    monkeypatch.undo()
    assert (await door.client.get("/-/usage")).status_code == 200
    assert door.logged.getvalue() == ""
