"""What the charts draw of the gateway's points: what happened in each step, and nothing where nobody knows."""

from typing import Any

import pytest
from browser.staged import Staged, filled
from support.browser import Page
from support.polling import eventually

pytestmark = pytest.mark.slow

# Requests in a second, of each step of the last five minutes.
RATES = """
const [answers, done] = arguments;
import('/assets/history.js').then(({History, rates}) => {
    const history = new History();
    for (const points of answers) history.add({points, next: 0});
    done(rates(history.steps(5), point => point.requests));
});
"""
STEP = 5


def points(*told: tuple[int, int], first: int = 1) -> list[dict[str, Any]]:
    """Of (seconds past noon, requests until then)."""
    return [
        {"n": first + number, "at": f"2026-01-15T12:{at // 60:02}:{at % 60:02}.000Z", "requests": requests}
        for number, (at, requests) in enumerate(told)
    ]


@pytest.mark.parametrize(
    ("answers", "drawn"),
    [
        pytest.param([points((2, 0), (7, 50), (12, 50))], [None, 10, 0], id="a burst, and then nothing"),
        pytest.param([points((2, 0), (7, 50)), points((12, 60), first=3)], [None, 10, 2], id="told one by one"),
        pytest.param([points((2, 0), (22, 60), (27, 60))], [None, None, None, None, 3, 0], id="held up for a while"),
        pytest.param([points((2, 0), (7, 50)), points((12, 4), (17, 9), first=90)], [None, None, 1], id="a restart"),
    ],
)
def test_what_a_step_shows(page: Page, stage: Staged, answers: list[Any], drawn: list[float | None]) -> None:
    page.open(stage.url)
    shown = page.answered(RATES, answers)
    assert len(shown) == 5 * 60 // STEP
    assert shown[-len(drawn) :] == drawn
    assert [value for value in shown[: -len(drawn)] if value is not None] == []


@pytest.mark.parametrize("name", ["saved_upstream_calls", "saved_tokens", "tokens_charged"])
def test_what_the_time_range_has_brought(page: Page, stage: Staged, name: str) -> None:
    """All of it, as the gateway has run for no longer."""
    page.open(stage.url)
    eventually(lambda: filled(page))
    figure = page.figures()[name]
    assert figure
    eventually(lambda: page.text(f"[data-tile={name}] .lately") == f"{figure:.0f} in 15 min")
