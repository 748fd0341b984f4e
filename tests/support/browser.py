"""A headless chromium driven over WebDriver: pages with storage of their own, and all that they say and ask for."""

import json
import os
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from selenium.common.exceptions import WebDriverException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from support import polling
from support.addresses import HOST
from support.polling import PATIENCE

_ARGUMENTS = (
    "--headless=new",
    "--hide-scrollbars",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    f"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE {HOST}",
)

_ROWS = """
const rows = [...document.querySelectorAll(`${arguments[0]} tbody tr[data-key]`)].filter(row => row.checkVisibility());
const cells = row => [...row.querySelectorAll('[data-column]')].map(one => [one.dataset.column, one.dataset.value]);
return rows.map(row => [row.dataset.key, Object.fromEntries(cells(row))]);
"""
_FIGURES = """
return Object.fromEntries(
    [...document.querySelectorAll('[data-figure]')].map(one => [one.dataset.figure, one.dataset.value]));
"""
_PUT = """
const field = document.querySelector(arguments[0]);
field.value = arguments[1];
field.dispatchEvent(new Event('input', {bubbles: true}));
"""
_COMPLAINTS = ("WARNING", "SEVERE")


T = TypeVar("T")


def eventually(condition: Callable[[], T | None], within: float = PATIENCE) -> T:
    """As `polling.eventually`, but looks less often: each look is work for the browser that is waited for."""
    return polling.eventually(condition, within, every=0.1)


class Look(NamedTuple):
    """How large the window is, in CSS pixels, and whether the operating system asks for dark."""

    width: int
    height: int
    dark: bool = False


DESKTOP = Look(1440, 900)
PHONE = Look(360, 740)
LOOKS = {
    "desktop": DESKTOP,
    "desktop-dark": DESKTOP._replace(dark=True),
    "phone": PHONE,
    "phone-dark": PHONE._replace(dark=True),
}

Cells = Mapping[str, str]


class Asked(NamedTuple):
    """A request that a page made."""

    method: str
    url: str


class Page:
    """One tab. What reads it does so in one step, as the page may draw itself anew at any time."""

    def __init__(self, driver: Chrome) -> None:
        self._driver = driver
        self._noted = list[dict[str, Any]]()
        self._asked = list[Asked]()

    def look(self, look: Look) -> None:
        """Be as large and as dark as this; nothing glides, so that it can be clicked on."""
        size = {"width": look.width, "height": look.height, "deviceScaleFactor": 1, "mobile": False}
        scheme = {"name": "prefers-color-scheme", "value": "dark" if look.dark else "light"}
        still = {"name": "prefers-reduced-motion", "value": "reduce"}
        self.command("Emulation.setDeviceMetricsOverride", **size)
        self.command("Emulation.setEmulatedMedia", features=[scheme, still])

    def open(self, url: str) -> None:
        self._driver.get(url)

    def reload(self) -> None:
        self._driver.refresh()

    def hide(self) -> None:
        """As another tab in front of it would."""
        self._driver.minimize_window()

    def show(self) -> None:
        """The end of `hide`."""
        self._driver.set_window_rect(0, 0, *DESKTOP[:2])

    def command(self, name: str, **parameters: Any) -> Any:
        """A command of the DevTools protocol."""
        return self._driver.execute_cdp_cmd(name, parameters)

    def before_any_script(self, source: str) -> None:
        """Run `source` in each document that is opened from now on, before its own scripts."""
        self.command("Page.addScriptToEvaluateOnNewDocument", source=source)

    def script(self, source: str, *arguments: object) -> Any:
        """What the body of a function returns, within the page."""
        return self._driver.execute_script(source, *arguments)

    def answered(self, source: str, *arguments: object) -> Any:
        """What a function's body hands to the callback that is its last argument."""
        return self._driver.execute_async_script(source, *arguments)

    def found(self, css: str) -> int:
        """How many such elements there are, seen or not."""
        return int(self.script("return document.querySelectorAll(arguments[0]).length", css))

    def focused(self, css: str) -> bool:
        """Whether the first such element, or something within, has the focus."""
        return bool(self.script("return document.querySelector(arguments[0])?.matches(':focus-within') ?? false", css))

    @property
    def url(self) -> str:
        return self._driver.current_url

    def text(self, css: str) -> str:
        """What of its first element can be seen; empty where there is none."""
        return str(self.script("return document.querySelector(arguments[0])?.innerText ?? ''", css))

    def shows(self, css: str) -> bool:
        """Whether such an element is there to be seen."""
        return bool(self.script("return document.querySelector(arguments[0])?.checkVisibility() ?? false", css))

    def figures(self) -> dict[str, float | None]:
        """The raw number of each figure, None where it says that there is none."""
        found: dict[str, str | None] = self.script(_FIGURES)
        return {name: number(text) for name, text in found.items()}

    def rows(self, table: str) -> dict[str, Cells]:
        """The rows that can be seen, by their key and in their order: raw values by column."""
        return dict(self.script(_ROWS, table))

    def click(self, css: str) -> None:
        """As a pointer would: what it is must be there, in view and not covered."""
        self._when_it_can(lambda: self._driver.find_element(By.CSS_SELECTOR, css).click())

    def fill(self, css: str, text: str) -> None:
        """Replace what is in a field, key by key; of a select, choose the value."""
        self._when_it_can(lambda: self._fill(css, text))

    def put(self, css: str, text: str) -> None:
        """Replace what is in a field at once, as pasting does: also what a keyboard does not have."""
        self.script(_PUT, css, text)

    def press(self, *keys: str) -> None:
        """To whatever has the focus."""
        ActionChains(self._driver).send_keys(*keys).perform()

    def screenshot(self, path: Path) -> None:
        """What the window shows, as PNG."""
        assert self._driver.save_screenshot(str(path))

    def screenshot_of_all(self, path: Path) -> None:
        """The same of the whole document, however long."""
        taken = self.command("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(b64decode(taken["data"]))

    def complaints(self) -> list[str]:
        """Every warning and error on the console so far: of scripts, of the CSP, of failed requests."""
        self._noted += self._driver.get_log("browser")  # type: ignore[no-untyped-call]
        return [f"{one['source']}: {one['message']}" for one in self._noted if one["level"] in _COMPLAINTS]

    def asked(self) -> list[Asked]:
        """Every request so far, whoever it went to."""
        for entry in self._driver.get_log("performance"):  # type: ignore[no-untyped-call]
            event = json.loads(entry["message"])["message"]
            if event["method"] == "Network.requestWillBeSent":
                request = event["params"]["request"]
                self._asked.append(Asked(request["method"], request["url"]))
        return list(self._asked)

    def forget(self) -> None:
        """What was asked and complained of until now."""
        self.complaints()
        self.asked()
        self._noted.clear()
        self._asked.clear()

    def _fill(self, css: str, text: str) -> None:
        element = self._driver.find_element(By.CSS_SELECTOR, css)
        if element.tag_name == "select":
            options = element.find_elements(By.TAG_NAME, "option")
            next(option for option in options if option.get_property("value") == text).click()
            return
        element.send_keys(Keys.CONTROL, "a", Keys.NULL, Keys.BACKSPACE, text)

    def _when_it_can(self, act: Callable[[], None]) -> None:
        """Again until it is possible, as what is meant may be drawn anew, or covered, just then."""
        refused = list[str]()

        def done() -> bool:
            try:
                act()
            except WebDriverException as error:
                refused[:] = [error.msg or ""]
                return False
            return True

        try:
            eventually(done, PATIENCE / 2)
        except AssertionError:
            raise AssertionError(refused[0]) from None


class Browser:
    """One process of chromium; each page is in a browsing context of its own, as in a private window."""

    def __init__(self, chromium: str, driver: str) -> None:
        options = ChromeOptions()
        options.binary_location = chromium
        for argument in _ARGUMENTS if os.geteuid() else (*_ARGUMENTS, "--no-sandbox"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        options.enable_bidi = True
        self._driver = Chrome(options=options, service=Service(driver))
        self._home = self._driver.current_window_handle

    def close(self) -> None:
        self._driver.quit()

    @contextmanager
    def page(self, look: Look = DESKTOP) -> Iterator[Page]:
        """An empty one, which has nothing stored; one at a time."""
        context = self._driver.browser.create_user_context()
        tab = self._driver.browsing_context.create(type="tab", user_context=context)
        self._driver.switch_to.window(tab)
        page = Page(self._driver)
        page.forget()
        page.look(look)
        try:
            yield page
        finally:
            self._driver.switch_to.window(self._home)
            self._driver.browser.remove_user_context(context)


def number(text: str | None) -> float | None:
    """A raw value; None where it is empty."""
    return float(text) if text else None
