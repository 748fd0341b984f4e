"""A gateway that has something to show in every part of the page, and the words that the page is addressed by."""

from typing import Any

import httpx
from prometheus.traffic import Traffic, measured
from support.browser import Page
from support.config import KEY, OTHER_KEY, Config, key_field
from support.config import origin as own
from support.gateway import RunningGateway
from support.stores import Stores, ask, behind, ended, job, stores_entry
from support.upstream import ScriptedUpstream

THIRD_KEY = "rk_live_charlie_0123456789abcdefghij"
ROUNDS = 2
SPENT = 8
# Tokens for the route of this name, all others cost one: calls and tokens must not look alike.
SHORT = 2
TABLES = tuple(
    [
        f"#{part} table"
        for part in ("routes", "upstreams", "refusals", "nearest", "organizations", "spenders", "stored", "refreshes")
    ]
)

# What reaches beyond the window, unless something around it scrolls or cuts it off.
_OVERFLOWING = """
const more = document.documentElement.scrollWidth - innerWidth;
const clips = one => getComputedStyle(one).overflowX !== 'visible';
const cut = one => one && one !== document.body && (clips(one) || cut(one.parentElement));
const wide = one => one.getBoundingClientRect().right > innerWidth + 1 && !cut(one.parentElement);
const name = one => `${one.tagName} ${one.className} in #${one.closest('[id]')?.id}`;
return more > 0 ? [`${more} pixels`, ...[...document.querySelectorAll('body *')].filter(wide).map(name)] : [];
"""


def staged(upstream: ScriptedUpstream) -> Config:
    """What `prometheus.traffic` measures, by an organization of two accounts and one of its own, and an order API."""
    traffic, orders = measured(upstream), behind(upstream.url)
    keys = [
        {"id": "alpha", "key": KEY, "organization": "acme"},
        {"id": "charlie", "key": THIRD_KEY, "organization": "acme"},
        {"id": "bravo", "key": OTHER_KEY, "plan": "small"},
    ]
    return traffic | {
        "keys": keys,
        "organizations": {"acme": {"plan": "pro"}},
        "upstreams": traffic["upstreams"] | {"orders": own(upstream.url)},
        "routes": [
            *({**one, "price": {"base": SHORT}} if one["name"] == "short" else one for one in traffic["routes"]),
            *({**one, "upstream": "orders"} for one in orders["routes"]),
        ],
        "background_refreshes": [stores_entry(upstream="orders")],
    }


class Staged:
    """Has sent its traffic; `job` is the id of a background refresh that has ended."""

    def __init__(self, running: RunningGateway, upstream: ScriptedUpstream) -> None:
        self.running = running
        self.upstream = upstream
        traffic = Traffic(running, upstream)
        for _ in range(ROUNDS):
            traffic.round()
        traffic.stale()
        traffic.spend(SPENT)
        stores = Stores(upstream)
        client = running.client(key_field(THIRD_KEY))
        stores.pages["1"] = 3
        assert [client.get(f"/orders?storeId=1&page={number}").status_code for number in (1, 2, 3)] == [200] * 3
        self.job = job(ask(client, 1))
        ended(client, self.job)

    @property
    def url(self) -> str:
        return f"{self.running.admin_url}/"

    def told(self, path: str, **query: str) -> Any:
        """What the operators' API answers."""
        return told(self.running, path, **query)


def told(running: RunningGateway, path: str, **query: str) -> Any:
    """What the operators' API of a gateway without a token answers."""
    answer = httpx.get(f"{running.admin_url}/-/{path}", params=query, trust_env=False)
    assert answer.status_code == 200, answer.text
    return answer.json()


def live(page: Page) -> bool:
    """Whether the page says that what it shows is of now."""
    return "live" in page.text("#status").lower()


def needs_token(page: Page) -> bool:
    """Whether the page says that it was not let in."""
    return "token" in page.text("#status").lower()


def unreachable(page: Page) -> bool:
    """Whether the page says that the gateway does not answer."""
    return "not reachable" in page.text("#status").lower()


def filled(page: Page) -> bool:
    """Whether every part of a staged gateway's page has come."""
    return live(page) and all(page.rows(table) for table in TABLES)


def overflowing(page: Page) -> list[str]:
    """The elements for which the page would have to be moved sideways."""
    found: list[str] = page.script(_OVERFLOWING)
    return found
