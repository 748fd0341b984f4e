"""What narrows the page: the filter over its tables, kept in the link, and the time range of its charts."""

import pytest
from browser.staged import Staged, filled
from support.browser import Page, eventually

pytestmark = pytest.mark.slow

FILTER = "#filter"
FILTERED = ("routes", "upstreams", "nearest", "stored", "refreshes", "refusals", "spenders")


def narrowed(page: Page, table: str, text: str) -> bool:
    """Whether each row that is left holds the text."""
    rows = page.rows(f"#{table} table")
    return all(text in " ".join([key, *(value or "" for value in cells.values())]) for key, cells in rows.items())


@pytest.mark.parametrize(
    ("text", "table", "left"),
    [
        pytest.param("prod", "routes", {"product"}, id="a route"),
        pytest.param("dow", "upstreams", {"down"}, id="an upstream"),
        pytest.param("brav", "spenders", {"bravo"}, id="an account"),
        pytest.param("brav", "nearest", {"bravo"}, id="an account near its quota"),
        pytest.param("orders", "stored", {"orders"}, id="what is stored"),
        pytest.param("cancelled", "refreshes", set(), id="refreshes"),
        pytest.param("nothing has this", "routes", set(), id="nothing"),
    ],
)
def test_the_filter_narrows_tables(page: Page, stage: Staged, text: str, table: str, left: set[str]) -> None:
    page.open(stage.url)
    eventually(lambda: filled(page))
    page.fill(FILTER, text)
    eventually(lambda: page.rows(f"#{table} table").keys() == left)
    eventually(lambda: all(narrowed(page, one, text) for one in FILTERED))


def test_the_filter_is_part_of_the_link(page: Page, stage: Staged) -> None:
    page.open(stage.url)
    eventually(lambda: filled(page))
    page.fill(FILTER, "prod uct&=#")
    eventually(lambda: "#" in page.url)
    page.fill(FILTER, "product")
    eventually(lambda: page.rows("#routes table").keys() == {"product"})
    link = page.url
    page.open("about:blank")
    page.open(link)
    eventually(lambda: page.rows("#routes table").keys() == {"product"})
    assert page.script("return document.querySelector('#filter').value") == "product"
    page.fill(FILTER, "")
    eventually(lambda: len(page.rows("#routes table")) > 1)


def test_a_time_range_is_chosen(page: Page, stage: Staged) -> None:
    page.open(stage.url)
    eventually(lambda: filled(page))
    for minutes in ("5", "60", "15"):
        page.click(f"#range [data-minutes='{minutes}']")
        assert page.found("#range [aria-pressed='true']") == 1
        assert page.found(f"#range [data-minutes='{minutes}'][aria-pressed='true']") == 1
    assert page.complaints() == []
