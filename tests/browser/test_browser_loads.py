"""The page needs nobody else, says nothing on the console, and its Content-Security-Policy leaves no way in."""

from html.parser import HTMLParser

import httpx
import pytest
from browser.staged import Staged, filled
from support.browser import Page, eventually

pytestmark = pytest.mark.slow

POLLS = 3
POLICY = {
    "default-src": ["'none'"],
    "script-src": ["'self'"],
    "style-src": ["'self'"],
    "img-src": ["'self'", "data:"],
    "connect-src": ["'self'"],
    "base-uri": ["'none'"],
    "form-action": ["'none'"],
    "frame-ancestors": ["'none'"],
    "require-trusted-types-for": ["'script'"],
}


class Inline(HTMLParser):
    """Collects what a Content-Security-Policy would have to let through."""

    def __init__(self) -> None:
        super().__init__()
        self.found = list[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("style", "base", "iframe", "object", "embed") or (tag == "script" and "src" not in given):
            self.found.append(tag)
        self.found += [f"{tag} {name}" for name in given if name == "style" or name.startswith("on")]
        links = (given.get(name) or "" for name in ("src", "href", "action", "formaction"))
        self.found += [f"{tag} {link}" for link in links if ":" in link or link.startswith("//")]


def overviews(page: Page) -> int:
    """How often it has asked for its figures."""
    return sum(asked.url.endswith("/-/overview") for asked in page.asked())


def test_it_asks_its_own_origin_alone_and_the_console_stays_empty(page: Page, stage: Staged) -> None:
    page.open(stage.url)
    eventually(lambda: filled(page))
    eventually(lambda: overviews(page) > POLLS)
    assert page.complaints() == []
    assert [asked.url for asked in page.asked() if not asked.url.startswith((stage.url, "data:"))] == []
    assert {asked.method for asked in page.asked()} == {"GET"}


@pytest.mark.parametrize("path", ["", "assets/main.js", "assets/style.css", "assets/icon.svg"])
def test_what_is_served_says_what_it_may_do(stage: Staged, path: str) -> None:
    fields = httpx.get(stage.url + path, trust_env=False).headers
    stated = [directive.split() for directive in fields["Content-Security-Policy"].split(";")]
    assert {name: values for name, *values in stated} == POLICY
    assert fields["X-Content-Type-Options"] == "nosniff"
    assert fields["Referrer-Policy"] == "no-referrer"


def test_nothing_stands_inline(stage: Staged) -> None:
    parser = Inline()
    parser.feed(httpx.get(stage.url, trust_env=False).text)
    assert parser.found == []


def test_without_scripts_it_says_what_else_there_is(page: Page, stage: Staged) -> None:
    page.command("Emulation.setScriptExecutionDisabled", value=True)
    page.open(stage.url)
    assert "/metrics" in page.text("noscript")
