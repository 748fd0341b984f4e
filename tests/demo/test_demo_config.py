"""The repository's own config: valid as it stands, and nothing in it gives cause to warn."""

from pathlib import Path

from gateway.config.compile import snapshot
from gateway.config.load import load
from gateway.config.warnings import warnings
from gateway.demo.orders import CREDENTIALS
from gateway.demo.upstream import API_KEY

CONFIG = Path(__file__).resolve().parents[2] / "config.yaml"


def test_it_is_valid_without_any_environment() -> None:
    config = load(CONFIG, {})
    assert warnings(config) == []
    assert [route.name for route in snapshot(config).routes] == [
        "stores",
        "stores-status",
        "product",
        "store-list",
        "order-list",
        "order",
        "other",
    ]


def test_the_environment_says_where_and_with_which_credentials() -> None:
    environ = {
        "DEMO_UPSTREAM": "https://api.example.com/base",
        "RETAILER_API_KEY": "real",
        "DEMO_ORDERS": "https://orders.example.com",
        "ORDERS_API_KEY": "cmVhbDpzZWNyZXQ=",
    }
    upstreams = snapshot(load(CONFIG, environ)).upstreams
    assert {name: (upstream.urls, dict(upstream.headers)) for name, upstream in upstreams.items()} == {
        "retailer": (("https://api.example.com/base",), {"Authorization": "Bearer real"}),
        "orders": (("https://orders.example.com",), {"Authorization": "Basic cmVhbDpzZWNyZXQ="}),
    }


def test_its_defaults_are_the_demos_own_credentials() -> None:
    upstreams = snapshot(load(CONFIG, {})).upstreams
    assert dict(upstreams["retailer"].headers) == {"Authorization": f"Bearer {API_KEY}"}
    assert dict(upstreams["orders"].headers) == {"Authorization": f"Basic {CREDENTIALS}"}
