"""The repository's own config: valid as it stands, and nothing in it gives cause to warn."""

from pathlib import Path

from gateway.config.compile import snapshot
from gateway.config.load import load
from gateway.config.warnings import warnings

CONFIG = Path(__file__).resolve().parents[2] / "config.yaml"


def test_it_is_valid_without_any_environment() -> None:
    config = load(CONFIG, {})
    assert warnings(config) == []
    assert [route.name for route in snapshot(config).routes] == ["product", "other"]


def test_the_environment_says_where_and_with_which_credentials() -> None:
    environ = {"DEMO_UPSTREAM": "https://api.example.com/base", "RETAILER_API_KEY": "real"}
    upstream = snapshot(load(CONFIG, environ)).upstreams["retailer"]
    assert upstream.urls == ("https://api.example.com/base",)
    assert dict(upstream.headers) == {"Authorization": "Bearer real"}
