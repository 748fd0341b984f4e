"""The page's clients against a gateway in front of an order API: a change of host, and it works.

Each of `clients` runs as it is but for scheme, host, TLS and the key. Two of them may have nothing to run on:

- `powershell.ps1`: PowerShell is in no Debian package; it runs where `pwsh` is installed;
- `restsharp.cs`: RestSharp is in no Debian package; it runs where NuGet has put version 106.15.0. `webrequest.cs` sends
  by the class that RestSharp sends by.

What else is missing skips by its name, and fails where CI=true.
"""

import json
import re
import socket
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests
from snippets.runtimes import CLIENTS, RUN, Client
from support.config import Config, config, origin, route
from support.gateway import RunningGateway, StartGateway
from support.polling import PATIENCE, eventually
from support.scripts import json_answer
from support.tools import skip_unless_tool
from support.upstream import ScriptedUpstream

pytestmark = pytest.mark.slow

KEY = "rk_live_snippets_0123456789abcdefghij"
STORE = 12345
SINCE = "2020-05-29 15:05:02"
REFRESH = "/stores/refreshstore"
ORDERS = f"/orders?storeId={STORE}"
INITIATED = {"success": True, "message": f"A store refresh has been initiated for Store ID {STORE}"}

BACKGROUND: Config = {
    "name": "stores",
    "match": REFRESH,
    "subject": "storeId",
    "subjects": {"get": "/stores", "id": "storeId", "refreshable": {"active": True}},
    "since": "refreshDate",
    "tags": ["store:{subject}"],
    "status": {
        "path": "/stores/getrefreshstatus",
        "answer": {"storeId": "{subject}", "refreshStatus": "{status}", "refreshDate": "{since}"},
    },
    "answer": {"one": {"success": True, "message": "A store refresh has been initiated for Store ID {subject}"}},
}


class OrderApi:
    """A gateway in front of an order API, with a page of the store's orders stored."""

    def __init__(self, gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
        self.url = gateway.url
        self.address = gateway.address
        self._upstream = upstream
        self._client = gateway.client({"Authorization": KEY})
        assert self._client.get(ORDERS).json()["call"] == 1

    def edit(self, text: str) -> str:
        """A client's text for this gateway; the field Host stays the page's."""
        assert "__YOUR_AUTH_HERE__" in text
        moved = text.replace("https://ssapi.shipstation.com", self.url).replace("use_ssl = true", "use_ssl = false")
        return moved.replace("__YOUR_AUTH_HERE__", KEY)

    def assert_refreshed_once(self) -> None:
        """The upstream was triggered once, by what the client sent, and the stored orders were fetched again."""
        eventually(lambda: self._client.get(ORDERS).json()["call"] == 2)
        eventually(lambda: self._status()["refreshStatus"] == "Done")
        [trigger] = self._upstream.calls(REFRESH)
        assert trigger.field("Authorization") == "Basic b3VyczpzZWNyZXQ="
        assert trigger.field("Host") == self._upstream.url.removeprefix("http://")
        assert str(STORE) in trigger.target + trigger.body.decode()
        assert len(self._upstream.calls("/orders")) == 2

    def _status(self) -> Any:
        return self._client.get(f"/stores/getrefreshstatus?storeId={STORE}").json()


@pytest.fixture
def api(gateway: StartGateway, upstream: ScriptedUpstream) -> OrderApi:
    upstream.script("/stores", json_answer([{"storeId": STORE, "active": True}, {"storeId": 7, "active": False}]))
    upstream.script(REFRESH, json_answer({"success": True}))
    ours = origin(upstream.url) | {"headers": {"Authorization": "Basic b3VyczpzZWNyZXQ="}}
    orders = route("/orders", "orders", cache={"ttl": "15m", "tags": ["store:{query.storeId:-any}"]}, price=1)
    whole = config("", orders, upstreams={"orders": ours}, keys=[{"id": "me", "key": KEY}])
    return OrderApi(gateway(whole | {"background_refreshes": [BACKGROUND]}), upstream)


@pytest.mark.parametrize("client", RUN, ids=lambda client: client.file)
def test_a_client_of_the_page(api: OrderApi, client: Client, tmp_path: Path) -> None:
    client.skip_unless_runnable()
    assert json.loads(client.run(tmp_path, api.edit)) == INITIATED
    api.assert_refreshed_once()


def test_the_page_in_raw_http(api: OrderApi) -> None:
    head, _, content = api.edit((CLIENTS / "raw.http").read_text()).partition("\n\n")
    sent = head.replace("\n", "\r\n") + "\r\n\r\n" + content.removesuffix("\n")
    assert "\r\nHost: ssapi.shipstation.com\r\n" in sent
    with socket.create_connection(api.address, PATIENCE) as connection:
        connection.sendall(sent.encode())
        with closing(connection.makefile("rb")) as answer:
            assert answer.readline() == b"HTTP/1.1 200 OK\r\n"
            fields = dict(line.decode().strip().lower().split(": ", 1) for line in iter(answer.readline, b"\r\n"))
            assert json.loads(answer.read(int(fields["content-length"]))) == INITIATED
    api.assert_refreshed_once()


def test_each_file_is_run() -> None:
    assert {file.name for file in CLIENTS.iterdir() if file.is_file()} == {client.file for client in RUN} | {"raw.http"}


@pytest.mark.parametrize(("known", "outcome"), [(0, pytest.fail.Exception), (100, pytest.skip.Exception)])
def test_in_ci_nothing_is_skipped_that_a_package_has(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, known: int, outcome: type[BaseException]
) -> None:
    (tmp_path / "apt-cache").write_text(f"#!/bin/sh\nexit {known}\n")
    (tmp_path / "apt-cache").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CI", "true")
    ruby = next(client for client in RUN if client.file == "net_http.rb")
    with pytest.raises(outcome, match=r"net_http\.rb cannot run: ruby is missing"):
        ruby.skip_unless_runnable()


@pytest.mark.parametrize("client", RUN, ids=lambda client: client.file)
def test_the_readme_says_what_it_needs(client: Client) -> None:
    rows = [line for line in (CLIENTS.parent / "README.md").read_text().splitlines() if f"| `{client.file}` |" in line]
    [packages] = [row.split("|")[3] for row in rows]
    assert set(client.packages) == set(re.findall("`(.+?)`", packages))
    assert ("none" in packages) == bool(client.why)


Ask = Callable[[str, str | None], Any]


def _requests(url: str, content: str | None) -> Any:
    fields = {"Authorization": KEY} | ({"Content-Type": "application/json"} if content else {})
    return requests.post(url, data=content, headers=fields, timeout=PATIENCE).json()


def _fetch(url: str, content: str | None) -> Any:
    script = """
      const [url, key, body] = process.argv.slice(1);
      const headers = {Authorization: key, ...(body && {"Content-Type": "application/json"})};
      fetch(url, {method: "POST", headers, body}).then((answer) => answer.text()).then(console.log);
    """
    return _printed(skip_unless_tool("node"), "-e", script, url, KEY, *([content] if content else []))


def _curl(url: str, content: str | None) -> Any:
    told = ["-H", "Content-Type: application/json", "-d", content] if content else []
    return _printed(skip_unless_tool("curl"), "-sS", "-X", "POST", "-H", f"Authorization: {KEY}", *told, url)


def _printed(*command: str) -> Any:
    return json.loads(subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE).stdout)


QUERY = f"?storeId={STORE}&refreshDate={SINCE.replace(' ', '%20')}"
CONTENT = json.dumps({"storeId": STORE, "refreshDate": SINCE})


@pytest.mark.parametrize("ask", [_requests, _fetch, _curl], ids=["requests", "fetch", "curl"])
@pytest.mark.parametrize(
    ("query", "content"), [(QUERY, None), ("", CONTENT), (QUERY, CONTENT)], ids=["query", "body", "both"]
)
def test_the_store_in_query_or_body_or_both(api: OrderApi, ask: Ask, query: str, content: str | None) -> None:
    assert ask(api.url + REFRESH + query, content) == INITIATED
    api.assert_refreshed_once()
