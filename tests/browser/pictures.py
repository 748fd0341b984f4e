"""`make pictures`: docs/images/dashboard.png and dashboard-dark.png, of the demo under some minutes' traffic."""

import asyncio
import math
import random
import sys
import tempfile
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import yaml
from browser.staged import live
from demo.running import Demo, running
from support.addresses import HOST
from support.browser import DESKTOP, Browser, Look, eventually
from support.gateway import ROOT
from support.tools import skip_unless_tool

IMAGES = ROOT / "docs" / "images"
SECONDS = 300
TURN = 0.25
# The product that is asked for: a few often, many now and then.
PRODUCTS = [f"B{number:09}" for number in range(400)]
FULL = "include_offers=true&include_reviews=true"
SHARES = {"shop-web": 0.5, "shop-app": 0.3, "search-indexer": 0.17, "demo": 0.03}
PICTURES = {"dashboard.png": DESKTOP, "dashboard-dark.png": DESKTOP._replace(dark=True)}


def peopled(config: dict[str, Any]) -> dict[str, Any]:
    """The demo's config with organizations whose accounts spend at different rates."""
    plan = {"throttle": {"rate": "6000/min", "burst": 6000}}
    plans = {"business": {"tokens": {"grant": 20_000, "every": "month"}, **plan}}
    plans["starter"] = {"tokens": {"grant": 1_500, "every": "month"}, **plan}
    organizations = {"shop": {"plan": "business", "balance": "organization"}, "search": {"plan": "starter"}}
    keys = [
        {"id": name, "organization": name.partition("-")[0], "key": f"rk_live_{name}"} for name in SHARES if "-" in name
    ]
    return config | {
        "plans": config["plans"] | plans,
        "organizations": config["organizations"] | organizations,
        "keys": config["keys"] + keys,
    }


class Crowd:
    """Clients of the demo, whose number rises and falls; the same each time."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._random = random.Random(9)

    async def come(self) -> None:
        """Until it is cancelled, in turns."""
        async with asyncio.TaskGroup() as asking:
            for turn in count():
                at = turn * TURN
                wave = 1.2 + math.sin(at / 23) * 0.7 + math.sin(at / 7) * 0.3
                for _ in range(round(6 * wave * self._random.uniform(0.6, 1.4))):
                    asking.create_task(self._ask())
                await asyncio.sleep(TURN)

    async def _ask(self) -> None:
        chosen = self._random.choices(list(SHARES), list(SHARES.values()))[0]
        product = PRODUCTS[min(int(self._random.paretovariate(0.7)), len(PRODUCTS)) - 1]
        method, target = self._random.choices(
            [
                ("GET", f"/v1/products/{product}"),
                ("GET", f"/v1/products/{product}?{FULL}"),
                ("POST", f"/v1/products/{product}/refresh"),
                ("GET", f"/orders?storeId=12345&page={self._random.randint(1, 9)}"),
                ("GET", f"/v1/products/{product}?force_refresh=perhaps"),
            ],
            [0.8, 0.06, 0.015, 0.1, 0.003],
        )[0]
        key = f"rk_live_{chosen}" if self._random.random() > 0.004 else "mistyped"
        await self._client.request(method, target, headers={"Authorization": f"Bearer {key}"})

    async def renew(self) -> None:
        """One background refresh."""
        await self._client.post(
            "/stores/refreshstore?storeId=12345", headers={"Authorization": "Bearer rk_live_shop-web"}
        )


async def crowded(demo: Demo) -> None:
    """Take the pictures while clients come and go."""
    limits = httpx.Limits(max_connections=100)
    async with httpx.AsyncClient(base_url=f"http://{HOST}:{demo.ports[0]}", trust_env=False, limits=limits) as client:
        crowd = Crowd(client)
        coming = asyncio.create_task(crowd.come())
        await asyncio.sleep(SECONDS)
        await crowd.renew()
        await asyncio.to_thread(take, f"http://{HOST}:{demo.ports[1]}/")
        coming.cancel()
        await asyncio.wait([coming])


def take(url: str) -> None:
    """All PICTURES of the page at `url`."""
    browser = Browser(skip_unless_tool("chromium"), skip_unless_tool("chromedriver"))
    try:
        for name, look in PICTURES.items():
            taken(browser, url, look, IMAGES / name)
    finally:
        browser.close()


def taken(browser: Browser, url: str, look: Look, path: Path) -> None:
    """The page at `url` as it looks to who has just opened it."""
    with browser.page(look) as page:
        page.open(url)
        eventually(lambda: live(page) and page.rows("#routes table"))
        page.click("#range [data-minutes='5']")
        page.script("document.activeElement.blur()")
        page.answered("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
        page.screenshot(path)


def main() -> int:
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.yaml"
        config.write_text(yaml.safe_dump(peopled(yaml.safe_load((ROOT / "config.yaml").read_text())), sort_keys=False))
        with running(config) as demo:
            demo.wait_until_ready()
            asyncio.run(crowded(demo))
    return 0


if __name__ == "__main__":
    sys.exit(main())
