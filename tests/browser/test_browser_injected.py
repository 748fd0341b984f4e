"""Nothing that clients, the config or an operator's own typing hold becomes anything but text, nor breaks the page."""

from collections.abc import Iterator
from urllib.parse import quote

import httpx
import pytest
from browser.staged import live, overflowing, told
from support.browser import PHONE, Browser, Page, eventually
from support.config import KEY, OTHER_KEY, Config, config, key_field, origin, plan, route
from support.gateway import RunningGateway, write
from support.stores import stores_entry
from support.upstream import ScriptedUpstream

pytestmark = pytest.mark.slow

LONG_NAME = "a" * 128
ODD_KEY = "rk_live_charlie_0123456789abcdefghij"
ODD = {"id": "__proto__", "key": ODD_KEY}
PAYLOADS = {
    "image": '<img/src="x"/onerror="window.canary=1">',
    "script": '"><script>window.canary=1</script>',
    "end of text": '</textarea></title></script><svg/onload="window.canary=1">',
    "link": "javascript:window.canary=1",
    "template": "${window.canary=1}{{window.canary=1}}%s%c",
    "right to left": "\u202e\u2066elppa\u200f",
    "combining": "Z\u0335\u0321\u0353\u034d" * 40,
    "long": "x" * 6000,
    "prototype": "__proto__",
}
FOREIGN = """
const made = 'main img, script:not([src^="assets/"]), iframe, object, embed, [onerror], [onload]';
const leading = ['href', 'src', 'action', 'formaction'].map(name => `[${name}^="javascript:" i]`).join();
return document.querySelectorAll(`${made}, ${leading}`).length;
"""


def oddly_named(upstream: ScriptedUpstream) -> Config:
    """Names that are as long as allowed, and ones that mean something to JavaScript."""
    long = f"{LONG_NAME[:-1]}-"
    return config(
        upstream.url,
        route("/odd/{id}", "constructor", upstream="__proto__", cache={"ttl": "15m"}),
        route("/refused/{id}", LONG_NAME, upstream=LONG_NAME, cache={"ttl": "15m", "tags": ["tag:{id}"]}, price=1),
        upstreams={LONG_NAME: origin(upstream.url), "__proto__": origin(upstream.url)},
        plans={LONG_NAME: plan(1000)},
        organizations={LONG_NAME: {"plan": LONG_NAME}},
        keys=[{"id": LONG_NAME, "key": KEY, "organization": LONG_NAME}, {"id": long, "key": OTHER_KEY}, ODD],
        background_refreshes=[stores_entry(name=long, upstream=LONG_NAME)],
    )


@pytest.fixture(scope="module")
def running(origin: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("injected") / "<img src=x onerror=window.canary=1>"
    folder.mkdir()
    with RunningGateway(folder, oddly_named(origin)) as running:
        yield running


@pytest.fixture
def page(browser: Browser, running: RunningGateway) -> Iterator[Page]:
    """Narrow, so that whatever is too long shows; and at the end nothing has happened."""
    with browser.page(PHONE) as page:
        page.open(running.admin_url)
        eventually(lambda: live(page))
        yield page


def usage(running: RunningGateway) -> list[dict[str, object]]:
    """What the page is told of the organizations."""
    rows: list[dict[str, object]] = told(running, "usage", by="organization", top="20")["rows"]
    return rows


def ids(page: Page) -> list[str]:
    """The request ids of the refusals that are shown."""
    return [cells["request_id"] for cells in page.rows("#refusals table").values()]


def unharmed(page: Page) -> None:
    assert page.script("return window.canary") is None
    assert page.script(FOREIGN) == 0
    assert [one for one in page.complaints() if not one.startswith("network: ")] == []
    assert overflowing(page) == []
    assert page.script("return Object.keys(Object.prototype).length") == 0


def visible(payload: str) -> str:
    """As much of it as a field's value may hold; an id is kept up to 128 characters."""
    return "".join(one for one in payload if "!" <= one <= "~")[:128] or "none"


def send(client: httpx.Client, payload: str) -> None:
    """In every place of a request that may hold it: one that is answered, one that is refused, and a refresh of it."""
    spelled = quote(payload, safe="")
    text = visible(payload)
    fields = {"X-Request-Id": text, "Idempotency-Key": text, "User-Agent": text, "Traceparent": text}
    client.get(f"/refused/{spelled}?{spelled}={spelled}", headers=fields)
    client.get(f"/refused/{spelled}", headers=fields | {"Authorization": f"Bearer {text}"})
    client.get(f"/nowhere/{spelled}", headers=fields)
    client.request("POST", f"/refused/{spelled}", headers=fields, content=payload.encode())


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_what_clients_send(page: Page, running: RunningGateway, payload: str) -> None:
    refused = len(told(running, "refusals")["refusals"])
    send(running.client(key_field()), payload)
    order = {"url": f"/refused/{quote(payload, safe='')}"[:8000]}
    httpx.post(f"{running.admin_url}/-/refreshes", json=order, trust_env=False)
    now = told(running, "refusals")["refusals"]
    assert len(now) > refused
    page.reload()
    eventually(lambda: page.figures()["refused"] == len(now))
    eventually(lambda: visible(payload) in ids(page))
    ordered = {one["id"] for one in told(running, "refreshes", most="20")["refreshes"]}
    eventually(lambda: page.rows("#refreshes table").keys() >= ordered)
    unharmed(page)


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_what_operators_type(page: Page, payload: str) -> None:
    payload = payload[:200]
    page.put("#filter", payload)
    page.put("#account-search", payload)
    page.put("#explain-form [name=url]", f"/refused/{payload}")
    page.put("#explain-form [name=fields]", f"X-Field: {payload}")
    page.click("#explain-form [type=submit]")
    eventually(lambda: page.text("#explain-result"))
    page.put("#refresh-form [name=background]", payload)
    page.click("#refresh-form [type=submit]")
    eventually(lambda: page.found("#refresh-result[data-kind=bad]"))
    page.put("#purge-form [name=text]", payload)
    page.click("#purge-form [type=submit]")
    eventually(lambda: page.shows("#confirm") or page.found("#purge-result[data-kind=bad]"))
    unharmed(page)


def test_what_a_link_holds(page: Page, running: RunningGateway) -> None:
    """Followed from elsewhere, and within the page."""
    for payload in PAYLOADS.values():
        for fragment in (payload, quote(payload), f"filter={quote(payload)}"):
            page.open(f"{running.admin_url}/#{fragment}")
            unharmed(page)
    page.open("about:blank")
    page.open(f"{running.admin_url}/?filter={quote(PAYLOADS['image'])}#filter={quote(PAYLOADS['image'])}")
    eventually(lambda: live(page))
    eventually(lambda: page.script("return document.querySelector('#filter').value") == PAYLOADS["image"])
    unharmed(page)


def test_what_a_broken_config_says(page: Page, running: RunningGateway, origin: ScriptedUpstream) -> None:
    whole = oddly_named(origin)
    write(running.folder, {payload: payload for payload in PAYLOADS.values()} | whole)
    page.click("#reload")
    eventually(lambda: "onerror" in page.text("#config"))
    unharmed(page)
    assert httpx.get(f"{running.admin_url}/-/config", trust_env=False).json()["ok"] is False
    write(running.folder, whole)


def test_a_name_that_is_cut_off_can_be_read(page: Page, running: RunningGateway) -> None:
    """Those that begin alike are told apart."""
    running.client(key_field()).get("/refused/named")
    named = f"#routes tr[data-key='{LONG_NAME}'] [data-column=route]"
    eventually(lambda: page.script("return document.querySelector(arguments[0])?.title", named) == LONG_NAME)


def test_a_config_with_more_mistakes_than_can_be_read(
    page: Page, running: RunningGateway, origin: ScriptedUpstream
) -> None:
    whole = oddly_named(origin)
    write(running.folder, {f"unknown-{number}": 1 for number in range(1000)} | whole)
    page.click("#reload")
    eventually(lambda: page.text("#config").count("and 980 more") == 2)
    assert page.found("#reload-result .mistakes li") == 21
    write(running.folder, whole)
    page.click("#reload")
    eventually(lambda: "Loaded" in page.text("#reload-result"))


def test_names_that_objects_of_javascript_have(page: Page, running: RunningGateway) -> None:
    assert running.client(key_field(ODD_KEY)).get("/odd/1").status_code == 200
    # A report is told again for some seconds.
    eventually(lambda: "__proto__" in [row["organization"] for row in usage(running)])
    page.reload()
    eventually(lambda: page.rows("#routes table")["constructor"]["requests"] == "1")
    eventually(lambda: page.rows("#upstreams table")["__proto__"]["calls"] == "1")
    eventually(lambda: "__proto__" in page.rows("#organizations table"))
    eventually(lambda: "constructor" in page.rows("#stored table"))
    unharmed(page)


def test_one_id_for_many_requests(page: Page, running: RunningGateway) -> None:
    """Clients choose it, and each refusal is told all the same."""
    client = running.client()
    before = len(told(running, "refusals")["refusals"])
    for _ in range(3):
        client.get("/nowhere", headers={"X-Request-Id": "always-the-same"})
    page.put("#filter", "no_route")
    assert len(told(running, "refusals")["refusals"]) == before + 3
    eventually(lambda: page.found("#refusals tbody tr[data-key]") >= 3)
