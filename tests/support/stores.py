"""An order API on a scripted upstream, the config of a gateway before it, and how its clients ask for refreshes."""

from collections import Counter, defaultdict
from itertools import count
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
from support.config import Config, config, origin, route
from support.polling import eventually
from support.scripts import Received, json_answer
from support.upstream import ScriptedUpstream

REFRESH = "/stores/refreshstore"
STATUS = "/stores/getrefreshstatus"
CLOSED = 900
RUNNING, DONE, FAILED = 2, 3, 4

_FINAL = ("done", "failed", "cancelled")


class Stores:
    """Stores 1 to 99, and one that is closed. What it says of a store changes by its number.

    `status` is what its import has come to, `pages` how many pages of orders it has; `versions` counts the times that
    each target was asked for, and `broken` ones are answered 500.
    """

    def __init__(self, upstream: ScriptedUpstream) -> None:
        self.upstream = upstream
        self.status: defaultdict[str, int] = defaultdict(lambda: DONE)
        self.pages: defaultdict[str, int] = defaultdict(lambda: 1)
        self.versions = Counter[str]()
        self.broken = set[str]()
        self._unused = count(1)
        upstream.script("/stores", json_answer(_listed()))
        upstream.script(REFRESH, json_answer({"success": True}))
        upstream.script(STATUS, self._status)
        upstream.script("/orders", self._orders)

    def take(self) -> int:
        """A store that no other test has."""
        return next(self._unused)

    def triggers(self, store: int) -> list[Received]:
        """The requests for a refresh that name this store, in their query or JSON."""
        return [sent for sent in self.upstream.calls(REFRESH) if _names(sent, store)]

    def asked_status(self, store: int) -> int:
        """How often the status of its import was asked for."""
        calls = self.upstream.calls(STATUS)
        return sum(_query(sent).get("storeId") == str(store) for sent in calls)

    def _status(self, request: Received) -> bytes:
        store = _query(request)["storeId"]
        return json_answer({"storeId": int(store), "refreshStatusId": self.status[store]})

    def _orders(self, request: Received) -> bytes:
        self.versions[request.target] += 1
        if request.target in self.broken:
            return json_answer({}, 500)
        query = _query(request)
        pages, page = self.pages[query["storeId"]], int(query.get("page", "1"))
        return json_answer({"orders": [], "version": self.versions[request.target], "page": page, "pages": pages})


def behind(url: str, *, upstream: Config | None = None, entry: Config | None = None, **rest: Any) -> Config:
    """A config of the order API at `url`; `upstream`, `entry` and `rest` replace keys of its parts."""
    orders = route("/orders", "orders", cache={"ttl": "15m", "tags": ["store:{query.storeId}"]}, price=1)
    upstreams = {"origin": origin(url, **upstream or {})}
    entries = [stores_entry(**entry or {})]
    return config(url, orders, **{"upstreams": upstreams, "background_refreshes": entries} | rest)


def stores_entry(**changes: Any) -> Config:
    """An entry of `background_refreshes` in which nothing takes longer than it must."""
    told = "A store refresh has been initiated for"
    entry: Config = {
        "name": "stores",
        "match": REFRESH,
        "subject": "storeId",
        "subjects": {"get": "/stores", "id": "storeId", "refreshable": {"active": True}},
        "since": "refreshDate",
        "trigger": {
            "wait": {
                "get": STATUS + "?storeId={subject}",
                "until": {"refreshStatusId": DONE},
                "failed": {"refreshStatusId": FAILED},
                "every": "50ms",
            }
        },
        "tags": ["store:{subject}"],
        "pages": True,
        "price": {"base": 3, "per_subject": 2},
        "pace": {"concurrency": 4, "rate": "none"},
        "retry": {"attempts": 2, "first": "50ms", "longest": "100ms"},
        "status": {"path": STATUS, "words": {"running": {"id": RUNNING, "text": "Updating orders"}}},
        "answer": {
            "one": {"success": True, "message": told + " Store ID {subject}"},
            "all": {"success": True, "message": told + " all refreshable stores"},
            "joined": {"success": True, "message": "Already under way for Store ID {subject}", "how": "{how}"},
        },
    }
    return entry | changes


def initiated(store: int) -> Config:
    """The answer to a request for one store."""
    return {"success": True, "message": f"A store refresh has been initiated for Store ID {store}"}


def ask(client: httpx.Client, store: int | None = None, since: str | None = None, **rest: Any) -> httpx.Response:
    """A request for a refresh with JSON content."""
    named = {"storeId": store, "refreshDate": since}
    return client.post(REFRESH, json={name: value for name, value in named.items() if value is not None}, **rest)


def job(answer: httpx.Response) -> str:
    """The id of the job that a request was accepted as."""
    assert answer.status_code == 200, answer.text
    id_ = answer.headers["Location"].removeprefix("/-/refreshes/")
    assert f'job="{id_}"' in answer.headers["X-Background-Refresh"]
    return str(id_)


def how(answer: httpx.Response) -> str:
    """Whether it was initiated, joined or widened."""
    return str(answer.headers["X-Background-Refresh"].partition(";")[0])


def looked_at(client: httpx.Client, id_: str) -> dict[str, Any]:
    """The job, as its client sees it."""
    answer = client.get(f"/-/refreshes/{id_}")
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def ended(client: httpx.Client, id_: str) -> dict[str, Any]:
    """The job once it has ended."""

    def found() -> dict[str, Any] | None:
        told = looked_at(client, id_)
        return told if told["state"] in _FINAL else None

    return eventually(found)


def status(client: httpx.Client, store: int) -> dict[str, Any]:
    """What the gateway tells of a store's refresh."""
    answer = client.get(STATUS, params={"storeId": store})
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def balance(client: httpx.Client) -> int:
    """The tokens that its account has left, none of them reserved."""
    told = client.get("/-/balance").json()
    assert told["reserved"] == 0
    return int(told["balance"])


def _listed() -> list[Config]:
    stores = [{"storeId": number, "active": True} for number in range(1, 100)]
    return [*stores, {"storeId": CLOSED, "active": False}]


def _query(request: Received) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(request.target).query))


def _names(request: Received, store: int) -> bool:
    content = httpx.Response(200, content=request.body).json() if request.body else {}
    named = _query(request).get("storeId", content.get("storeId"))
    return str(named) == str(store)
