"""The job campaign's upstream: an order API that imports what it is told to, and fails in every way now and then."""

import json
import random
import time
from collections import Counter
from urllib.parse import parse_qs, urlsplit

from crash.origin import Origin
from support.config import Config, route
from support.scripts import End, Pause, Received, Script, json_answer

STORES, ORDERS, REFRESH, STATUS = "/stores", "/orders", "/stores/refreshstore", "/stores/getrefreshstatus"
SUBJECTS = tuple(str(number) for number in range(1, 25))
PAGES = 3
BASE, PER_SUBJECT = 2, 3

_DELAYS = (0.001, 0.002, 0.005, 0.01, 0.03)
_IMPORT = 0.05
_FAILING = 0.06


class OrderOrigin(Origin):
    """Counts the imports that each client's request has begun, by the `request` in its query.

    It may say so and be heard, or reset the connection after. `well`: nothing fails from now on.
    """

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self.begun: Counter[str] = Counter()
        self.well = False
        self._imported_at: dict[str, float] = {}

    def __enter__(self) -> "OrderOrigin":
        super().__enter__()
        return self

    def _script(self, path: str) -> Script:
        delay, chance = Pause(self._random.choice(_DELAYS)), 1.0 if self.well else self._random.random()
        if chance < _FAILING:
            return delay, self._random.choice((json_answer({}, 503), json_answer({}, 429, Retry_After="0")))
        if chance < 1.5 * _FAILING:
            return (self._begin, delay, End.reset) if path == REFRESH else (delay, End.reset)
        if path == REFRESH:
            return self._begin, delay, json_answer({"success": True})
        if path == STATUS:
            return delay, self._status
        if path == STORES:
            return delay, json_answer([{"storeId": int(subject), "active": True} for subject in SUBJECTS])
        return delay, _orders if path == ORDERS else json_answer({"path": path})

    def _begin(self, request: Received) -> bytes:
        """Says nothing yet."""
        asked = parse_qs(urlsplit(request.target).query)
        self.begun[asked["request"][0]] += 1
        subject = json.loads(request.body or b"{}").get("storeId")
        for imported in SUBJECTS if subject is None else (str(subject),):
            self._imported_at[imported] = time.monotonic() + _IMPORT
        return b""

    def _status(self, request: Received) -> bytes:
        subject = parse_qs(urlsplit(request.target).query)["storeId"][0]
        over = time.monotonic() >= self._imported_at.get(subject, 0.0)
        return json_answer({"storeId": int(subject), "refreshStatusId": 3 if over else 2})


def _orders(request: Received) -> bytes:
    page = int(parse_qs(urlsplit(request.target).query).get("page", ["1"])[0])
    return json_answer({"orders": [random.random()], "total": PAGES, "page": page, "pages": PAGES})


def order_routes() -> list[Config]:
    """The lists whose tags name a store."""
    tags = ["store:{query.storeId:-any}"]
    return [route(ORDERS, "orders", cache={"ttl": "15m", "tags": tags}, price=1)]


def stores_refreshed(**changes: object) -> Config:
    """The background refresh of a store; `changes` replace whole keys."""
    wait = {"get": f"{STATUS}?storeId={{subject}}", "until": {"refreshStatusId": 3}, "every": "50ms", "within": "1m"}
    entry: Config = {
        "name": "stores",
        "match": {"path": REFRESH, "methods": ["POST"]},
        "subject": "storeId",
        "subjects": {"get": STORES, "id": "storeId", "refreshable": {"active": True}},
        "since": "refreshDate",
        "trigger": {"wait": wait},
        "tags": ["store:{subject}"],
        "pages": True,
        "price": {"base": BASE, "per_subject": PER_SUBJECT},
        "pace": {"concurrency": 8, "rate": "none"},
        "retry": {"attempts": 8, "first": "50ms", "longest": "200ms", "within": "1m"},
    }
    return entry | changes
