"""The operators' page: what is served, to whom and how, and that its files hold together without a build."""

import asyncio
import gzip
import re
from collections.abc import AsyncIterator
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath

import httpx
import pytest
from admin.operated import TOKEN
from support.addresses import HOST, free_port
from support.in_process import no_gauges

from gateway.admin import Admin, page
from gateway.admin.page import assets
from gateway.health import Health
from gateway.metrics import Metrics

FILES = assets()
OURS = [name for name in FILES if not name.startswith("vendor/")]
SCRIPTS = [name for name in OURS if name.endswith(".js")]
# Of uplot-1.6.32.tgz, as its authors published it.
VENDORED = {
    "vendor/uplot/LICENSE": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
    "vendor/uplot/uPlot.esm.js": "5dd9b3281aa64b461b42d9945f6adb2649d346502b12281a9ae0d46599a80eba",
    "vendor/uplot/uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
}
POLICY = {
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
}
# What would make markup or code of a string, also where a policy lets it through.
MARKUP = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|createContextualFragment"
    r"|setHTML|DOMParser|srcdoc|javascript:|cssText"
)


@pytest.fixture(params=[TOKEN], ids=["token"])
async def door(request: pytest.FixtureRequest) -> AsyncIterator[httpx.AsyncClient]:
    """A door with a token, which nothing here presents, and a client that takes content as it comes."""
    port = free_port()
    admin = Admin(Metrics(no_gauges(), "0"), Health({}), request.param)
    await admin.open(HOST, port)
    try:
        fields = {"Accept-Encoding": "identity"}
        async with httpx.AsyncClient(base_url=f"http://{HOST}:{port}", headers=fields, trust_env=False) as client:
            yield client
    finally:
        await admin.close()


@pytest.mark.parametrize(
    ("path", "name", "kind"),
    [
        ("/", "index.html", "text/html; charset=utf-8"),
        ("/?filter=x", "index.html", "text/html; charset=utf-8"),
        ("/assets/main.js", "main.js", "text/javascript; charset=utf-8"),
        ("/assets/style.css", "style.css", "text/css; charset=utf-8"),
        ("/assets/icon.svg", "icon.svg", "image/svg+xml"),
        ("/assets/vendor/uplot/LICENSE", "vendor/uplot/LICENSE", "text/plain; charset=utf-8"),
    ],
)
async def test_a_file_is_served_to_whoever_asks(door: httpx.AsyncClient, path: str, name: str, kind: str) -> None:
    answer = await door.get(path)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, kind)
    assert answer.content == FILES[name].content
    assert set(answer.headers["Content-Security-Policy"].split("; ")) == POLICY
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-cache"
    head = await door.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert {**head.headers, "date": ""} == {**answer.headers, "date": ""}


@pytest.mark.parametrize(("door", "refused"), [(TOKEN, 401), ("", 403)], ids=["token", "none"], indirect=["door"])
async def test_another_host_gets_the_page_but_not_the_api(door: httpx.AsyncClient, refused: int) -> None:
    """A name that leads here shows an empty page: `Guard` refuses what it asks for."""
    elsewhere = {"Host": "rebound.example"}
    assert (await door.get("/", headers=elsewhere)).status_code == 200
    assert (await door.get("/-/openapi.json", headers=elsewhere)).status_code == refused


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [("gzip", True), ("br, gzip;q=0.5", True), ("gzip;q=0", False), ("br", False), ("", False)],
)
async def test_gzip_for_who_takes_it(door: httpx.AsyncClient, accepted: str, packed: bool) -> None:
    async with door.stream("GET", "/assets/style.css", headers={"Accept-Encoding": accepted}) as answer:
        raw = b"".join([piece async for piece in answer.aiter_raw()])
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert ("Content-Encoding" in answer.headers) is packed
    assert (gzip.decompress(raw) if packed else raw) == FILES["style.css"].content


async def test_what_has_not_changed_is_not_sent_again(door: httpx.AsyncClient) -> None:
    plain = await door.get("/assets/style.css")
    packed = await door.get("/assets/style.css", headers={"Accept-Encoding": "gzip"})
    assert plain.headers["ETag"] != packed.headers["ETag"]
    for first, coding in ((plain, "identity"), (packed, "gzip")):
        asked = {"Accept-Encoding": coding, "If-None-Match": first.headers["ETag"]}
        again = await door.get("/assets/style.css", headers=asked)
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["ETag"] == first.headers["ETag"]
        assert again.headers["Content-Security-Policy"] == first.headers["Content-Security-Policy"]
    changed = await door.get("/assets/style.css", headers={"If-None-Match": '"another"'})
    since = await door.get("/assets/style.css", headers={"If-Modified-Since": "Fri, 31 Dec 2100 23:59:59 GMT"})
    assert (changed.status_code, since.status_code) == (200, 200)


@pytest.mark.parametrize(
    "target",
    [
        "/assets/",
        "/assets/index.html",
        "/assets/nothing.js",
        "/assets/../page.py",
        "/assets/%2e%2e/page.py",
        "/assets/..%2fpage.py",
        "/assets//etc/passwd",
        "/assets/%2fetc%2fpasswd",
        "/assets/main.js%00",
        "/assets/vendor",
        "/assets/vendor/uplot/",
        "/assets/MAIN.JS",
    ],
)
async def test_no_path_leads_elsewhere(door: httpx.AsyncClient, target: str) -> None:
    """Sent as it is: what is no file of the page is not there, or is another path, which the guard keeps."""
    reader, writer = await asyncio.open_connection(HOST, door.base_url.port)
    writer.write(f"GET {target} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
    head, _, content = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    assert head.split()[1] in (b"404", b"401")
    assert b"Content-Type: application/json" in head
    assert b"passwd" not in content


@pytest.mark.parametrize("target", ["/", "/assets/main.js"])
async def test_it_is_for_reading(door: httpx.AsyncClient, target: str) -> None:
    assert (await door.post(target)).status_code == 401
    answer = await door.post(target, headers={"Authorization": f"Bearer {TOKEN}"})
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")


async def test_it_says_nothing_that_browsers_complain_of_where_there_is_no_tls(door: httpx.AsyncClient) -> None:
    """Off loopback, where the port is spoken to in plain HTTP all the same, each look would leave an error."""
    assert "Cross-Origin-Opener-Policy" not in (await door.get("/")).headers


async def test_an_unknown_asset_is_a_problem(door: httpx.AsyncClient) -> None:
    answer = await door.get("/assets/nothing.js", headers={"Accept": "application/problem+json"})
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")
    assert answer.json()["reason"] == "not_found"
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(("name", "digest"), VENDORED.items(), ids=VENDORED)
def test_the_chart_library_is_as_its_authors_published_it(name: str, digest: str) -> None:
    assert sha256(FILES[name].content).hexdigest() == digest


def test_nothing_else_is_vendored() -> None:
    assert {name for name in FILES if name not in OURS} == VENDORED.keys()


@pytest.mark.parametrize("name", [*SCRIPTS, "vendor/uplot/uPlot.esm.js"])
def test_no_string_becomes_markup_or_code(name: str) -> None:
    assert MARKUP.findall(FILES[name].content.decode()) == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_import_is_there_and_exports_what_is_wanted(name: str) -> None:
    source = FILES[name].content.decode()
    for names, wanted in re.findall(r'^import ([^;]*?) from "([^"]+)";', source, re.MULTILINE):
        path = PurePosixPath(name).parent / wanted
        assert wanted.startswith("./")
        exporting = FILES[str(path)].content.decode()
        for one in re.findall(r"\w+", names if "{" in names else ""):
            assert re.search(rf"^export (?:async )?(?:const|function|class) {one}\b", exporting, re.MULTILINE), one


class Markup(HTMLParser):
    """Collects the elements of the page, each with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found = list[tuple[str, dict[str, str | None]]]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def markup() -> list[tuple[str, dict[str, str | None]]]:
    parser = Markup()
    parser.feed(FILES["index.html"].content.decode())
    return parser.found


def test_the_page_names_only_what_is_there(markup: list[tuple[str, dict[str, str | None]]]) -> None:
    linked = [given[name] or "" for _, given in markup for name in ("href", "src") if name in given]
    assert [link for link in linked if link.startswith("assets/") and link.removeprefix("assets/") not in FILES] == []
    assert {link for link in linked if not link.startswith(("assets/", "#"))} == {"metrics"}
    ids = [given["id"] for _, given in markup if "id" in given]
    assert len(ids) == len(set(ids))
    aims = {link[1:] for link in linked if link.startswith("#")}
    aims |= {named for _, given in markup if (named := given.get("aria-labelledby"))}
    assert aims <= set(ids)


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_find_only_what_the_page_has(name: str, markup: list[tuple[str, dict[str, str | None]]]) -> None:
    ids = {given["id"] for _, given in markup if "id" in given}
    sought = re.findall(r'(?:find|usage)\(\s*(?:"\w+",\s*)?"#([\w-]+)"', FILES[name].content.decode())
    assert set(sought) <= ids


def test_nothing_stands_inline(markup: list[tuple[str, dict[str, str | None]]]) -> None:
    assert [tag for tag, given in markup if tag == "style" or (tag == "script" and "src" not in given)] == []
    assert [name for _, given in markup for name in given if name == "style" or name.startswith("on")] == []


def test_every_file_has_its_media_type_and_no_more_lines_than_can_be_read() -> None:
    folder = Path(page.__file__).with_name("page")
    assert {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()} == FILES.keys()
    assert {
        name: len(FILES[name].content.splitlines()) for name in OURS if FILES[name].content.count(b"\n") > 300
    } == {}
