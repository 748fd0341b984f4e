"""Phone and desktop, light and dark: nothing is cut off, axe finds nothing, and a screenshot is kept of each."""

from pathlib import Path
from typing import Any

import pytest
from browser.staged import Staged, filled, overflowing
from support.browser import LOOKS, Browser, Page, eventually

pytestmark = pytest.mark.slow

AXE = (Path(__file__).parent / "vendor" / "axe-core" / "axe.min.js").read_text()
RUN = """
const [rules, done] = arguments;
axe.run(document, {runOnly: rules}).then(done, error => done({error: `${error}`}));
"""
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
BACKGROUND = "return getComputedStyle(document.body).backgroundColor"


def violations(page: Page) -> list[Any]:
    """What axe finds wrong with the page as it is now: the rule and its elements."""
    page.script(AXE)
    found = page.answered(RUN, RULES)
    assert "error" not in found, found["error"]
    return [(one["id"], [node["html"] for node in one["nodes"]]) for one in found["violations"]]


@pytest.mark.parametrize("name", LOOKS)
def test_it_can_be_read(browser: Browser, stage: Staged, name: str, pictures: Path) -> None:
    with browser.page(LOOKS[name]) as page:
        page.open(stage.url)
        eventually(lambda: filled(page))
        page.screenshot(pictures / f"{name}.png")
        page.screenshot_of_all(pictures / f"{name}-whole.png")
        assert overflowing(page) == []
        assert violations(page) == []


def test_dark_is_what_the_system_asks_for_until_the_button_says_otherwise(browser: Browser, stage: Staged) -> None:
    light, dark = LOOKS["desktop"], LOOKS["desktop-dark"]
    with browser.page(light) as page:
        page.open(stage.url)
        eventually(lambda: filled(page))
        bright = page.script(BACKGROUND)
        page.look(dark)
        eventually(lambda: page.script(BACKGROUND) != bright)
        page.look(light)
        eventually(lambda: page.script(BACKGROUND) == bright)
        page.click("#theme")
        eventually(lambda: page.script(BACKGROUND) != bright)
        page.reload()
        eventually(lambda: filled(page))
        assert page.script(BACKGROUND) != bright
