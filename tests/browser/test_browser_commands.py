"""What an operator does from the page: look up, explain, purge, refresh, cancel and reload really happen."""

from collections.abc import Iterator

import httpx
import pytest
from browser.staged import live, told
from support.browser import Page, eventually
from support.config import Config, config, key_field, product_route
from support.gateway import RunningGateway, StartGateway, write
from support.stores import RUNNING, Stores, behind
from support.upstream import ScriptedUpstream

pytestmark = pytest.mark.slow

TAGGED = {"ttl": "15m", "tags": ["product:{id}"]}


@pytest.fixture(scope="module")
def running(origin: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    commanded = config(origin.url, product_route(cache=TAGGED))
    with RunningGateway(tmp_path_factory.mktemp("commanded"), commanded) as running:
        yield running


@pytest.fixture
def client(running: RunningGateway) -> httpx.Client:
    return running.client(key_field())


@pytest.fixture
def page(page: Page, running: RunningGateway) -> Page:
    """The page of the gateway that a module's tests command."""
    return opened(page, running)


def opened(page: Page, running: RunningGateway) -> Page:
    page.open(running.admin_url)
    eventually(lambda: live(page))
    return page


def stored(client: httpx.Client, item: str) -> str:
    """A target that a response is stored for."""
    target = f"/v1/products/{item}"
    assert client.get(target).status_code == 200
    assert "; hit" in client.get(target).headers["Cache-Status"]
    return target


def order_purge(page: Page, by: str, text: str, *, hard: bool = False) -> None:
    """Fill in the form, and ask for it, up to the question whether it is meant."""
    page.fill("#purge-form [name=by]", by)
    page.fill("#purge-form [name=text]", text)
    if hard:
        page.click("#purge-form [name=hard]")
    page.click("#purge-form [type=submit]")
    eventually(lambda: page.shows("#confirm"))


def test_an_account_is_looked_up(page: Page) -> None:
    page.fill("#account-search", "brav")
    eventually(lambda: "bravo" in page.text("#account-results"))
    assert "alpha" not in page.text("#account-results")


def test_a_url_is_explained(page: Page, client: httpx.Client, item: str) -> None:
    target = stored(client, item)
    page.fill("#explain-form [name=method]", "GET")
    page.fill("#explain-form [name=url]", target)
    page.fill("#explain-form [name=account]", "alpha")
    page.click("#explain-form [type=submit]")
    eventually(lambda: "product" in page.text("#explain-result"))
    assert "hit" in page.text("#explain-result")


@pytest.mark.parametrize("hard", [False, True], ids=["soft", "hard"])
@pytest.mark.parametrize("by", ["url", "tag"])
def test_a_purge_is_asked_about_and_then_done(
    page: Page, client: httpx.Client, origin: ScriptedUpstream, item: str, by: str, hard: bool
) -> None:
    target = stored(client, item)
    text = {"url": target, "tag": f"product:{item}"}[by]
    order_purge(page, by, text, hard=hard)
    page.click("#confirm-no")
    eventually(lambda: not page.shows("#confirm"))
    assert "; hit" in client.get(target).headers["Cache-Status"]
    page.click("#purge-form [type=submit]")
    page.click("#confirm-yes")
    eventually(lambda: "Purged 1" in page.text("#purge-result"))
    assert "; hit" not in client.get(target).headers["Cache-Status"]
    assert len(origin.calls(target)) == 2
    assert page.complaints() == []


def test_a_purge_of_nothing_and_one_that_is_refused(page: Page) -> None:
    order_purge(page, "url", "/v1/products/never-asked-for")
    page.click("#confirm-yes")
    eventually(lambda: "Purged 0" in page.text("#purge-result"))
    page.fill("#purge-form [name=by]", "route")
    page.fill("#purge-form [name=text]", "no-such-route")
    page.click("#purge-form [type=submit]")
    eventually(lambda: "No route" in page.text("#purge-result"))
    assert not page.shows("#confirm")


def test_a_url_is_fetched_afresh(page: Page, client: httpx.Client, origin: ScriptedUpstream, item: str) -> None:
    target = stored(client, item)
    page.fill("#refresh-form [name=url]", target)
    page.click("#refresh-form [type=submit]")
    origin.wait_for_calls(target, 2)
    eventually(lambda: page.text("#refresh-result"))
    eventually(lambda: any(cells["state"] == "done" for cells in page.rows("#refreshes table").values()))
    assert client.get(target).json()["call"] == 2
    assert page.complaints() == []


def test_a_background_refresh_is_begun_watched_and_cancelled(
    page: Page, gateway: StartGateway, upstream: ScriptedUpstream
) -> None:
    stores = Stores(upstream)
    stores.status["7"] = RUNNING
    running = gateway(behind(upstream.url))
    opened(page, running)
    page.fill("#refresh-form [name=background]", "stores")
    page.fill("#refresh-form [name=subject]", "7")
    page.click("#refresh-form [type=submit]")
    upstream.wait(lambda: stores.asked_status(7) > 1)
    (id_,) = eventually(lambda: page.rows("#refreshes table"))
    assert page.rows("#refreshes table")[id_]["state"] == "running"
    page.click(f"#refreshes tr[data-key='{id_}'] button")
    eventually(lambda: page.rows("#refreshes table")[id_]["state"] == "cancelled")
    assert told(running, f"refreshes/{id_}")["state"] == "cancelled"
    assert page.found(f"#refreshes tr[data-key='{id_}'] button:enabled") == 0


def test_a_reload_that_fails_names_the_place(page: Page, gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    written = config(upstream.url, product_route())
    running = gateway(written)
    opened(page, running)
    broken(running, written)
    page.click("#reload")
    eventually(lambda: "gateway.yaml:1:1" in page.text("#config").replace("\n", ""))
    assert "colour" in page.text("#config")
    write(running.folder, written)
    page.click("#reload")
    eventually(lambda: "Loaded" in page.text("#reload-result"))
    eventually(lambda: "gateway.yaml:1:1" not in page.text("#config"))
    assert told(running, "config")["ok"]


def broken(running: RunningGateway, written: Config) -> None:
    """A config with a key that nobody knows, in its first line."""
    write(running.folder, {"colour": "red"} | written)
