"""kill -9 at every step of a refresh in the background: it ends all the same, and nothing that costs is done twice."""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from crash.books import Posted
from crash.books import read as ledger
from crash.job_books import read as register
from crash.job_origin import BASE, ORDERS, PER_SUBJECT, REFRESH, STATUS, STORES, order_routes, stores_refreshed
from crash.job_points import JOB_POINTS
from crash.launched import LaunchedGateway
from support.config import config, key_field, product_route
from support.polling import eventually
from support.scripts import Gate, json_answer
from support.upstream import ScriptedUpstream

from gateway.ledger.verify import verify

# A start takes a second, on a busy machine five.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CHARGED = BASE + PER_SUBJECT
REFRESHED = 9
FINAL = ("done", "failed", "cancelled")
IMPORTING, IMPORTED = json_answer({"refreshStatusId": 2}), json_answer({"refreshStatusId": 3})


@dataclass(frozen=True, slots=True)
class Left:
    """What a kill leaves once all has ended: how jobs ended, for which reason, the imports begun, tokens charged.

    `again`: what a repetition with the same Idempotency-Key costs then.
    """

    states: tuple[str, ...]
    triggers: int
    tokens: int
    again: int = CHARGED
    reason: str | None = None


NOTHING = Left((), 0, 0)
UNPAID = Left(("done",), 1, 0)
WHOLE = Left(("done",), 1, CHARGED, 0)
# Nobody knows whether it was sent, so that it is not sent once more.
UNSENT = Left(("done",), 0, CHARGED, 0)

WAY = {
    "order-unreserved": NOTHING,
    "order-reserved": NOTHING,
    "order-written": UNPAID,
    "order-charged": WHOLE,
    "order-answered": WHOLE,
}
TRIGGER = {
    "trigger-unwritten": WHOLE,
    "trigger-unsent": UNSENT,
    "trigger-unheard": WHOLE,
    "trigger-answered": WHOLE,
    "trigger-passed": WHOLE,
    "waiting": WHOLE,
    "waited": WHOLE,
}
FETCHES = {
    "selecting": WHOLE,
    "selection-unwritten": WHOLE,
    "selected": WHOLE,
    "fetched": WHOLE,
    "fetch-written": WHOLE,
    "ending": WHOLE,
    "end-uncommitted": WHOLE,
}
# The journal takes no more once the order is written down. Its next start cannot know that, unless it was taken back.
UNCHARGED = {
    "withdrawing": UNPAID,
    "withdrawal-uncommitted": UNPAID,
    "withdrawn": Left(("cancelled",), 0, 0, reason="not_charged"),
}
ORDERS_KILLED = (WAY, TRIGGER, FETCHES, *({point: left} for point, left in UNCHARGED.items()))
CANCELLED = {"cancelling": "running", "cancel-uncommitted": "running", "cancelled": "cancelled"}
SINGLE = {
    "single-unheld": Left((), 0, 0, REFRESHED),
    "single-held": Left(("done",), 1, 0, REFRESHED),
    "single-fetched": Left(("done",), 2, 0, REFRESHED),
    "single-charged": Left(("done",), 2, REFRESHED, 0),
    "single-ended": Left(("done",), 1, REFRESHED, 0),
}
STORES_OF = {point: 12345 + number for number, point in enumerate(JOB_POINTS)}


class Shop:
    """A gateway in front of an order API, which dies at one point after the other, and is started again."""

    def __init__(self, folder: Path, upstream: ScriptedUpstream) -> None:
        self.upstream = upstream
        upstream.script(STORES, json_answer([{"storeId": store, "active": True} for store in STORES_OF.values()]))
        upstream.script(ORDERS, json_answer({"orders": [], "page": 1, "pages": 2}))
        upstream.script(STATUS, IMPORTED)
        routes, background = [*order_routes(), product_route()], [stores_refreshed()]
        self.gateway = LaunchedGateway(folder, config(upstream.url, *routes, background_refreshes=background))
        self._armed = folder / "armed"

    def through(
        self,
        points: Iterable[str],
        ask: Callable[[httpx.Client, str], object],
        look: Callable[[httpx.Client, str], None],
    ) -> None:
        """Die at each point while `ask` asks, and `look` at what is left: from the start that goes to the next."""
        before = None
        for point in (*points, None):
            with self.open(*(() if point is None else (point, str(self._armed)))) as client:
                if before is not None:
                    look(client, before)
                if point is not None:
                    self._armed.touch()
                    with suppress(httpx.TransportError):
                        ask(client, point)
                    self.killed()
            before = point
        self.stopped()

    @contextmanager
    def open(self, *patches: str) -> Iterator[httpx.Client]:
        """A client of the gateway, started with these patches; it may be dead when the context is left."""
        self.gateway.patches = patches
        self.gateway.start()
        with httpx.Client(base_url=self.gateway.url, headers=key_field(), trust_env=False, timeout=20) as client:
            yield client

    def killed(self) -> None:
        """It has died, or is about to, and what it leaves behind adds up."""
        self.gateway.died()
        self._armed.unlink(missing_ok=True)
        assert register(self.gateway.store).unsound == []

    def stopped(self) -> None:
        """It had nothing more to do, and its books agree."""
        self.gateway.stop()
        store = self.gateway.store
        verify(store / "book.sqlite3", store)
        found, books = register(store), ledger(store)
        assert (found.under_way, found.unsound, books.reserved, books.unsound) == (0, [], 0, [])

    def charged(self, request: str) -> int:
        """The tokens that the ledger has for one request, which was charged once at most."""
        posted = ledger(self.gateway.store).requests.get(request, Posted())
        assert sum(posted.operations.values()) <= 1
        return posted.tokens

    def imports(self, point: str) -> int:
        """How often the upstream was told to import the store of a point."""
        bodies = (json.loads(request.body) for request in self.upstream.calls(REFRESH))
        return sum(body["storeId"] == STORES_OF[point] for body in bodies)


def order(client: httpx.Client, point: str, name: str) -> httpx.Response:
    asked = {"storeId": STORES_OF[point], "refreshDate": "2020-05-29 15:05:02"}
    return client.post(REFRESH, json=asked, headers={"X-Request-Id": name, "Idempotency-Key": point})


def refresh(client: httpx.Client, point: str, name: str, **fields: str) -> httpx.Response:
    named = {"X-Request-Id": name, "Idempotency-Key": point}
    return client.post(f"/v1/products/{point}/refresh", headers=named | fields)


def ended(client: httpx.Client) -> list[dict[str, Any]]:
    """All jobs, latest first, once each has ended."""

    def jobs() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = client.get("/-/refreshes").json()["refreshes"]
        return found

    eventually(lambda: all(job["state"] in FINAL for job in jobs()))
    return jobs()


def consumed(answer: httpx.Response) -> tuple[int, int]:
    """The status, and the tokens that it cost."""
    return answer.status_code, int(answer.headers["X-Tokens-Consumed"])


def test_each_point_is_tried() -> None:
    ordered = [point for points in ORDERS_KILLED for point in points]
    assert sorted([*ordered, *CANCELLED, *SINGLE]) == sorted(JOB_POINTS)


@pytest.mark.parametrize("killed", ORDERS_KILLED, ids=["the way", "the trigger", "the fetches", *UNCHARGED])
def test_killed_while_it_orders(tmp_path: Path, upstream: ScriptedUpstream, killed: dict[str, Left]) -> None:
    shop = Shop(tmp_path, upstream)

    def ask(client: httpx.Client, point: str) -> None:
        upstream.then(STATUS, IMPORTING)
        for page in (1, 2):
            client.get(f"{ORDERS}?storeId={STORES_OF[point]}&page={page}")
        order(client, point, point)

    def look(client: httpx.Client, point: str) -> None:
        left = killed[point]
        jobs = [job for job in ended(client) if job["subject"] == str(STORES_OF[point])]
        assert (tuple(job["state"] for job in jobs), shop.imports(point)) == (left.states, left.triggers), point
        assert [job["reason"] for job in jobs] == [left.reason] * len(jobs), point
        assert consumed(order(client, point, f"{point}-again")) == (200, left.again), point
        ended(client)
        assert shop.imports(point) == left.triggers + (left.again > 0), point

    shop.through(killed, ask, look)
    assert {point: shop.charged(point) for point in killed} == {point: left.tokens for point, left in killed.items()}


def test_killed_while_it_is_taken_back(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    shop, locations = Shop(tmp_path, upstream), dict[str, str]()

    def ask(client: httpx.Client, point: str) -> None:
        upstream.script(STATUS, IMPORTING)
        locations[point] = order(client, point, point).headers["Location"]
        eventually(lambda: client.get(locations[point]).json()["state"] == "running")
        client.delete(locations[point])

    def look(client: httpx.Client, point: str) -> None:
        assert client.get(locations[point]).json()["state"] == CANCELLED[point], point
        upstream.script(STATUS, IMPORTED)
        assert ended(client)[0]["state"] == CANCELLED[point].replace("running", "done"), point
        assert shop.imports(point) == 1, point

    shop.through(CANCELLED, ask, look)
    assert [shop.charged(point) for point in CANCELLED] == [CHARGED] * len(CANCELLED)


def test_killed_while_nobody_waits_for_a_single_one(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    shop = Shop(tmp_path, upstream)

    def ask(client: httpx.Client, point: str) -> None:
        refresh(client, point, point, Prefer="respond-async")

    def look(client: httpx.Client, point: str) -> None:
        left, path = SINGLE[point], f"/v1/products/{point}"
        states = tuple(job["state"] for job in ended(client) if job["url"].startswith(path))
        assert (states, len(upstream.calls(path))) == (left.states, left.triggers), point
        assert consumed(refresh(client, point, f"{point}-again")) == (200, left.again), point

    shop.through(SINGLE, ask, look)
    assert {point: shop.charged(point) for point in SINGLE} == {point: left.tokens for point, left in SINGLE.items()}


def test_killed_before_its_trigger_is_answered(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    """The upstream has begun, and nobody has heard of it."""
    shop, point = Shop(tmp_path, upstream), "trigger-unheard"
    upstream.then(REFRESH, Gate())
    with shop.open() as client:
        order(client, point, "first")
        upstream.wait_for_calls(REFRESH)
        shop.gateway.process.kill()
        shop.killed()
    with shop.open() as client:
        assert [job["state"] for job in ended(client)] == ["done"]
    shop.stopped()
    assert (shop.charged("first"), shop.imports(point)) == (CHARGED, 1)
