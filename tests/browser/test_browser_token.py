"""The operators' token: asked for where one is set, kept by the tab alone, and never where others could read it."""

import pytest
from browser.staged import live, needs_token
from support.browser import Page, eventually
from support.config import Config, config, product_route
from support.gateway import RunningGateway, StartGateway
from support.upstream import ScriptedUpstream

pytestmark = pytest.mark.slow

TOKEN = "operators-token-0123456789abcdefghij"
DIALOG = "#token-dialog"
READABLE = "return JSON.stringify(localStorage) + document.cookie + location.href + document.documentElement.outerHTML"


def guarded(upstream: ScriptedUpstream) -> Config:
    return config(upstream.url, product_route(), admin={"listen": "${GATEWAY_ADMIN}", "token": TOKEN})


# As a pasted word may end; no field of a request can carry it.
PASTED = f"{TOKEN}\u2026"


@pytest.fixture
def running(gateway: StartGateway, upstream: ScriptedUpstream) -> RunningGateway:
    return gateway(guarded(upstream))


def enter(page: Page, token: str) -> None:
    page.fill("#token-form [name=token]", token)
    page.press("\n")


def test_a_wrong_token_is_told_and_the_right_one_lets_in(page: Page, running: RunningGateway) -> None:
    page.open(running.admin_url)
    eventually(lambda: page.shows(DIALOG))
    assert needs_token(page)
    enter(page, "wrong")
    eventually(lambda: page.text("#token-result"))
    enter(page, TOKEN)
    eventually(lambda: live(page))
    assert not page.shows(DIALOG)
    assert page.figures()["requests"] == 0
    assert TOKEN not in page.script(READABLE)
    assert not any(TOKEN in asked.url for asked in page.asked())
    assert [one for one in page.complaints() if "401 (Unauthorized)" not in one] == []


def test_a_token_that_no_request_can_carry_is_wrong(page: Page, running: RunningGateway) -> None:
    page.open(running.admin_url)
    eventually(lambda: page.shows(DIALOG))
    page.put("#token-form [name=token]", PASTED)
    page.click("#token-form [type=submit]")
    eventually(lambda: "wrong" in page.text("#token-result"))


def test_the_token_lasts_over_a_reload_of_the_page(page: Page, running: RunningGateway) -> None:
    page.open(running.admin_url)
    eventually(lambda: page.shows(DIALOG))
    enter(page, TOKEN)
    eventually(lambda: live(page))
    page.forget()
    page.reload()
    eventually(lambda: live(page))
    assert not page.shows(DIALOG)
    assert page.complaints() == []


def test_without_a_token_nothing_is_asked(page: Page, gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    page.open(gateway(config(upstream.url, product_route())).admin_url)
    eventually(lambda: live(page))
    assert not page.shows(DIALOG)
