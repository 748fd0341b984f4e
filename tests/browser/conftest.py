"""One browser for each worker, a page for each test, and a gateway that all tests look at together."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser.staged import Staged, staged
from support.browser import Browser, Page
from support.gateway import ROOT, RunningGateway
from support.tools import skip_unless_tool
from support.upstream import ScriptedUpstream


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    started = Browser(skip_unless_tool("chromium"), skip_unless_tool("chromedriver"))
    yield started
    started.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """As large as a desktop's window, light."""
    with browser.page() as page:
        yield page


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Staged]:
    """A gateway with known traffic behind it: for tests that only look."""
    folder = tmp_path_factory.mktemp("staged")
    with ScriptedUpstream() as upstream, RunningGateway(folder, staged(upstream)) as running:
        yield Staged(running, upstream)


@pytest.fixture(scope="session")
def pictures() -> Path:
    """Where screenshots are kept for people to look at."""
    folder = Path(os.environ.get("SCREENSHOTS", ROOT / "build" / "screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
