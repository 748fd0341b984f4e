"""Without a pointer: everything that can be done is reached, and a dialog keeps the focus and gives it back."""

import pytest
from browser.staged import Staged, filled
from selenium.webdriver.common.keys import Keys
from support.browser import Page, eventually

pytestmark = pytest.mark.slow

# Every control that can be seen, and what the focus is on: as the same kind of name.
NAMED = """
const name = one => one.id || `${one.form?.id ?? one.closest('[id]')?.id} ${one.name || one.textContent.trim()}`;
"""
CONTROLS = (
    NAMED
    + """
const all = [...document.querySelectorAll('a[href], button, input, select, textarea, [tabindex="0"]')];
return all.filter(one => one.checkVisibility({visibilityProperty: true}) && !one.disabled).map(name);
"""
)
FOCUSED = NAMED + "return document.activeElement === document.body ? null : name(document.activeElement);"
OUTLINED = """
const style = getComputedStyle(document.activeElement);
return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0 || style.boxShadow !== 'none';
"""


def test_tab_reaches_every_control_and_each_can_be_seen_to_have_the_focus(page: Page, stage: Staged) -> None:
    page.open(stage.url)
    eventually(lambda: filled(page))
    wanted, reached = set(page.script(CONTROLS)), set()
    for _ in range(2 * len(wanted)):
        page.press(Keys.TAB)
        focused = page.script(FOCUSED)
        if focused is not None:
            reached.add(focused)
            assert page.script(OUTLINED), f"{focused} does not show its focus"
        if reached >= wanted:
            break
    assert wanted - reached == set()


def test_the_first_control_skips_to_the_figures(page: Page, stage: Staged) -> None:
    page.open(stage.url)
    eventually(lambda: filled(page))
    page.press(Keys.TAB)
    assert page.focused("a.skip")
    assert page.shows("a.skip")
    page.press(Keys.ENTER)
    eventually(lambda: page.focused("main"))


@pytest.mark.parametrize("leave", [Keys.ESCAPE, Keys.ENTER], ids=["escape", "the button"])
def test_a_dialog_keeps_the_focus_and_gives_it_back(page: Page, stage: Staged, leave: str) -> None:
    page.open(stage.url)
    eventually(lambda: filled(page))
    page.fill("#purge-form [name=text]", "/nothing")
    page.press(Keys.TAB, Keys.TAB)
    assert page.focused("#purge-form [type=submit]")
    page.press(Keys.ENTER)
    eventually(lambda: page.shows("#confirm"))
    assert page.focused("#confirm")
    for _ in range(4):
        page.press(Keys.TAB)
        assert not page.focused("main")
        assert not page.focused("header")
    while leave == Keys.ENTER and not page.focused("#confirm-no"):
        page.press(Keys.TAB)
    page.press(leave)
    eventually(lambda: not page.shows("#confirm"))
    assert page.focused("#purge-form [type=submit]")


def test_a_purge_without_a_pointer(page: Page, stage: Staged) -> None:
    """Of what is not there, as others look at the same gateway."""
    page.open(stage.url)
    eventually(lambda: filled(page))
    page.fill("#purge-form [name=text]", "/v1/products/never")
    page.press(Keys.ENTER)
    eventually(lambda: page.shows("#confirm"))
    while not page.focused("#confirm-yes"):
        page.press(Keys.TAB)
    page.press(Keys.ENTER)
    eventually(lambda: page.text("#purge-result"))
    assert page.complaints() == []


def test_it_can_be_found_by_its_headings_and_names(page: Page, stage: Staged) -> None:
    """What a screen reader goes by: one h1, a section with a heading for each part, a name for each control."""
    page.open(stage.url)
    eventually(lambda: filled(page))
    assert page.found("h1") == 1
    parts = [
        "traffic",
        "saved",
        "tokens",
        "routes",
        "upstreams",
        "stored",
        "refreshes",
        "refusals",
        "accounts",
        "config",
    ]
    assert [part for part in parts if page.found(f"main section#{part} h2") != 1] == []
    assert page.found("html[lang=en]") == 1
    assert page.found("#status[aria-live=polite]") == 1
    assert page.found("table:not(:has(caption)):not([aria-label]):not([aria-labelledby])") == 0
    assert page.found("table thead th:not([scope=col])") == 0
