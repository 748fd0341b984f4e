"""Configs for the suites: plain data in the shape of the design's YAML, small builders for what repeats."""

from typing import Any

Config = dict[str, Any]

UPSTREAM_SECRET = "sk-upstream-0123456789abcdef"
KEY = "rk_live_alpha_0123456789abcdefghijkl"
OTHER_KEY = "rk_live_bravo_0123456789abcdefghijkl"

SEED_PRICE: Config = {
    "base": 1,
    "options": [{"name": "offers_reviews", "tokens": 5, "when": {"query_any": ["include_offers", "include_reviews"]}}],
    "force_refresh": 3,
}


def key_field(key: str = KEY) -> dict[str, str]:
    """The request field that carries `key`."""
    return {"Authorization": f"Bearer {key}"}


def route(path: str, name: str, **rest: Any) -> Config:
    """A metered route for `path`."""
    return {"name": name, "match": {"path": path}, **rest}


def product_route(**changes: Any) -> Config:
    """The seed's route: prices, both ways to force a refresh, tokens in the body; `changes` replace whole keys."""
    path = "/v1/products/{id}"
    refresh = {
        "query": ["include_force_refresh", "force_refresh"],
        "post": f"{path}/refresh",
        "post_query": {"include_offers": "true", "include_reviews": "true"},
    }
    seed = route(path, "product", cache={"ttl": "15m"}, price=SEED_PRICE, refresh=refresh, tokens_in_body=True)
    return seed | changes


def config(upstream: str, *routes: Config, **rest: Any) -> Config:
    """A whole config with one upstream that has its own credentials, and two unlimited keys; `rest` replaces keys."""
    whole: Config = {
        "listen": "${GATEWAY_LISTEN}",
        "admin": {"listen": "${GATEWAY_ADMIN}"},
        "limits": {"connections_per_address": 5000},
        "store": {"path": "var"},
        "upstreams": {"origin": origin(upstream)},
        "keys": [{"id": "alpha", "key": KEY}, {"id": "bravo", "key": OTHER_KEY}],
        "routes": list(routes),
    }
    return whole | rest


def origin(url: str | list[str], **rest: Any) -> Config:
    """An upstream with credentials of its own."""
    return {"url": url, "headers": {"Authorization": f"Bearer {UPSTREAM_SECRET}"}, **rest}


def plan(grant: int, every: str = "month", **rest: Any) -> Config:
    """A plan that grants tokens."""
    return {"tokens": {"grant": grant, "every": every}, **rest}


class KeyRing:
    """Accounts in numbers, so that each test on a shared gateway spends from a balance of its own."""

    def __init__(self, count: int, plan: str) -> None:
        self.plan = plan
        self._unused = [f"rk_live_{plan}_{number:04}" for number in range(count)]
        self.keys = [{"id": key.replace("_", "-"), "key": key, "plan": plan} for key in self._unused]

    def take(self) -> dict[str, str]:
        """The request field of a key that no other test holds."""
        return key_field(self._unused.pop())
