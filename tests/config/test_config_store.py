"""The settings of a store in Redis: URLs that redis-py can use, and nothing of a wrong one is told."""

import pytest
from config.texts import ENVIRON, Errors, Read

REST = "upstreams: {api: {url: http://api}}\nroutes: [{}]\n"
URL = "must be a URL such as redis://redis.example:6379/0, rediss://… with TLS, or unix:///run/redis.sock"
TLS = (
    "ssl_ca_certs, ssl_ca_path, ssl_cert_reqs, ssl_certfile, ssl_check_hostname, ssl_ciphers, ssl_keyfile, ssl_password"
)


@pytest.mark.parametrize(
    "url",
    [
        "redis://redis",
        "redis://redis.example:6379/0",
        "redis://:s3cret@[::1]:6379/",
        "rediss://user:s3cret@redis.example/15",
        "rediss://redis?ssl_ca_certs=/etc/ca.pem&ssl_cert_reqs=none&ssl_check_hostname=false",
        "unix:///run/redis.sock",
        "unix://user:s3cret@/run/redis.sock?db=3",
    ],
)
def test_a_url(read: Read, url: str) -> None:
    store = read(f"{REST}store: {{kind: redis, url: '{url}', path: /var}}\n").store
    assert store.url == url
    assert "s3cret" not in f"{store!r} {store}"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis.example:6379", URL),
        ("http://redis", URL),
        ("redis://", URL),
        ("redis://redis/s3cret", URL),
        ("redis://s3cret:s3cret", URL),
        ("redis://redis:0", URL),
        ("redis://redis:70000", URL),
        ("redis://redis#s3cret", URL),
        ("redis://rédis", URL),
        ("redis://[s3cret", URL),
        ("unix://s3cret", URL),
        ("redis://redis?ssl_ca_certs=/s3cret", f"{URL}; nothing may follow a `?` here"),
        ("redis://redis?socket_timeout=9", f"{URL}; nothing may follow a `?` here"),
        ("rediss://redis?socket_timeout=9", f"{URL}; after the `?` may stand {TLS}"),
        ("rediss://redis?ssl_cert_reqs=s3cret", "its argument `ssl_cert_reqs` has no value that can be used"),
        ("rediss://redis?ssl_ca_certs=", "its argument `ssl_ca_certs` has no value that can be used"),
        ("unix:///run/redis.sock?db=s3cret", "its argument `db` has no value that can be used"),
    ],
)
def test_what_is_no_url(errors: Errors, url: str, told: str) -> None:
    assert errors(f"{REST}store: {{kind: redis, url: '{url}'}}\n") == [f"3:27: store.url: {told}"]


@pytest.mark.parametrize("timeout", ["5ms", "1s"])
def test_the_bounds_of_the_timeout(read: Read, timeout: str) -> None:
    read(f"{REST}store: {{kind: redis, url: 'redis://a', timeout: {timeout}}}\n")


@pytest.mark.parametrize("timeout", ["4ms", "1001ms"])
def test_beyond_the_bounds_of_the_timeout(errors: Errors, timeout: str) -> None:
    told = ["3:49: store.timeout: must be from 5ms to 1s"]
    assert errors(f"{REST}store: {{kind: redis, url: 'redis://a', timeout: {timeout}}}\n") == told


def test_user_and_password_come_from_the_environment(read: Read) -> None:
    environ = ENVIRON | {"GATEWAY_REDIS_USERNAME": "gw", "GATEWAY_REDIS_PASSWORD": "s3cret"}
    store = read(f"{REST}store: {{kind: redis, url: 'redis://a'}}\n", environ).store
    assert (store.username, store.password) == ("gw", "s3cret")
    assert "s3cret" not in f"{store!r} {store}"


def test_an_environment_for_redis_harms_no_embedded_store(read: Read) -> None:
    assert read(REST, ENVIRON | {"GATEWAY_REDIS_PASSWORD": "s3cret"}).store.kind == "embedded"
