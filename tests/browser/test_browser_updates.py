"""What is open stays right: new traffic appears, a gateway that is gone is told and found again, hidden tabs rest."""

import httpx
import pytest
from browser.staged import live, unreachable
from support.browser import Page, eventually
from support.config import config, key_field, product_route
from support.gateway import RunningGateway, StartGateway
from support.upstream import ScriptedUpstream

pytestmark = pytest.mark.slow

MARK = "window.marked = true"
MARKED = "return window.marked === true"
# Of all that is asked for, the refusals alone are refused from when the test says so.
REFUSING = """
const real = window.fetch;
const refusal = () => Promise.resolve(new Response('{"detail": "Not now."}', {status: 503}));
window.fetch = (path, options) => window.refusing && path === '-/refusals' ? refusal() : real(path, options);
"""
# That nothing happens shows only by waiting for as long as it would take.
TWO_POLLS = "setTimeout(arguments[0], 5000)"


@pytest.fixture
def running(gateway: StartGateway, upstream: ScriptedUpstream) -> RunningGateway:
    return gateway(config(upstream.url, product_route()))


@pytest.fixture
def client(running: RunningGateway) -> httpx.Client:
    return running.client(key_field())


def requests(page: Page, count: int) -> bool:
    return live(page) and page.figures()["requests"] == count


def opened(page: Page, running: RunningGateway) -> None:
    page.open(running.admin_url)
    eventually(lambda: requests(page, 0))
    page.script(MARK)


def test_new_traffic_appears(page: Page, running: RunningGateway, client: httpx.Client) -> None:
    opened(page, running)
    for _ in range(3):
        client.get("/v1/products/1")
    client.get("/nowhere")
    eventually(lambda: requests(page, 4))
    figures = page.figures()
    assert (figures["saved_upstream_calls"], figures["upstream_calls"], figures["refused"]) == (2, 1, 1)
    eventually(lambda: page.rows("#refusals table"))
    assert page.rows("#routes table")["product"]["requests"] == "3"
    assert page.script(MARKED)


def test_a_table_that_is_not_of_now_says_so(page: Page, running: RunningGateway, client: httpx.Client) -> None:
    page.before_any_script(REFUSING)
    client.get("/nowhere")
    page.open(running.admin_url)
    eventually(lambda: page.rows("#refusals table"))
    page.script("window.refusing = true")
    eventually(lambda: "Not now." in page.text("#refusals-table"))
    assert live(page)
    assert page.rows("#refusals table")
    page.script("window.refusing = false")
    eventually(lambda: "Not now." not in page.text("#refusals-table"))


def test_a_restart_of_the_gateway(page: Page, running: RunningGateway, client: httpx.Client) -> None:
    """Told while it lasts; then the figures are those of the new process, and what the ledger holds is as before."""
    client.get("/v1/products/1")
    page.open(running.admin_url)
    eventually(lambda: requests(page, 1))
    page.script(MARK)
    running.stop()
    eventually(lambda: unreachable(page))
    running.start()
    eventually(lambda: requests(page, 0))
    for _ in range(2):
        client.get("/v1/products/2")
    eventually(lambda: requests(page, 2))
    assert page.script(MARKED)
    page.reload()
    eventually(lambda: page.rows("#spenders table").get("alpha", {}).get("tokens") == "3")
    assert [one for one in page.complaints() if not one.startswith("network: ")] == []


def test_a_hidden_tab_asks_nothing(page: Page, running: RunningGateway, client: httpx.Client) -> None:
    opened(page, running)
    page.hide()
    eventually(lambda: page.script("return document.hidden"))
    page.forget()
    client.get("/v1/products/1")
    page.answered(TWO_POLLS)
    assert page.asked() == []
    page.show()
    eventually(lambda: requests(page, 1))
    assert page.script(MARKED)
