"""Who is believed, and what an upstream is told of where a request comes from."""

import pytest
from multidict import CIMultiDict

from gateway.admission.peers import WHENCE, is_local, is_trusted, whence, without_nodes
from gateway.messages import Request

NETWORKS = ("10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32")


@pytest.mark.parametrize(
    ("peer", "trusted"),
    [
        ("10.1.2.3", True),
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("2001:db8::1", True),
        ("::ffff:10.1.2.3", True),
        ("::ffff:11.1.2.3", False),
        ("2001:db8::1%eth0", True),
        ("::1", False),
        ("", False),
    ],
)
def test_trusted_proxies_are_networks(peer: str, trusted: bool) -> None:
    assert is_trusted(peer, NETWORKS) is trusted
    assert not is_trusted(peer, ())


@pytest.mark.parametrize(
    ("peer", "local"),
    [("127.0.0.1", True), ("127.8.0.1", True), ("::1", True), ("::ffff:127.0.0.1", True), ("10.0.0.1", False)],
)
def test_this_machine(peer: str, local: bool) -> None:
    assert is_local(peer) is local
    assert not is_local("")


def told(
    peer: str, *fields: tuple[str, str], trusted: tuple[str, ...] = (), host: str = "gw.example"
) -> dict[str, str]:
    """The fields in lower case; each must be there once."""
    request = Request("GET", "/", CIMultiDict([("Host", host), *fields]), peer)
    found = {name.lower(): value for name, value in whence(request, trusted)}
    assert found.keys() == WHENCE
    return found


@pytest.mark.parametrize(
    ("peer", "host", "forwarded", "x_for"),
    [
        ("10.0.0.1", "gw.example", "for=10.0.0.1;host=gw.example;proto=http", "10.0.0.1"),
        ("10.0.0.1", "gw:8080", 'for=10.0.0.1;host="gw:8080";proto=http', "10.0.0.1"),
        ("2001:DB8::1", "[::1]", 'for="[2001:db8::1]";host="[::1]";proto=http', "2001:db8::1"),
        ("::ffff:10.0.0.1", "gw", "for=10.0.0.1;host=gw;proto=http", "10.0.0.1"),
        ("fe80::1%eth0", "gw", 'for="[fe80::1]";host=gw;proto=http', "fe80::1"),
        ("", "gw", "for=unknown;host=gw;proto=http", "unknown"),
    ],
    ids=["IPv4", "port", "IPv6", "IPv4 through IPv6", "zone", "no address"],
)
def test_the_last_hop(peer: str, host: str, forwarded: str, x_for: str) -> None:
    assert told(peer, host=host) == {
        "forwarded": forwarded,
        "x-forwarded-for": x_for,
        "x-forwarded-proto": "http",
        "x-forwarded-host": host,
    }


CLAIMS = (
    ("Forwarded", "for=192.0.2.1"),
    ("X-Forwarded-For", "192.0.2.1, 192.0.2.2"),
    ("X-Forwarded-For", "192.0.2.3"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "shop.example"),
)


@pytest.mark.parametrize(
    "trusted", [(), ("10.0.0.2/32",), ("192.0.2.0/24", "::/0")], ids=["none", "another", "claimed"]
)
def test_strangers_are_not_believed(trusted: tuple[str, ...]) -> None:
    assert told("10.0.0.1", *CLAIMS, trusted=trusted) == told("10.0.0.1")


@pytest.mark.parametrize(
    ("forwarded", "left"),
    [
        ("for=192.0.2.1, for=192.0.2.2", ""),
        ('for=192.0.2.1;host=a;proto=https, For="[2001:db8::1]:80";By=_x', "host=a;proto=https"),
        ('for="a;host=b";proto=http', 'for="a;host=b";proto=http'),
        ("x-for=192.0.2.1", "x-for=192.0.2.1"),
        ('for="a', 'for="a'),
        ("for=a/b", "for=a/b"),
    ],
    ids=["for alone", "nodes", "no node", "another name", "unclosed", "no token"],
)
def test_only_well_formed_nodes_are_left_out_of_what_is_said_of_host_and_scheme(forwarded: str, left: str) -> None:
    assert without_nodes(forwarded) == left


def test_a_trusted_proxy_is_added_to() -> None:
    assert told("10.0.0.1", *CLAIMS, trusted=("10.0.0.0/8",)) == {
        "forwarded": "for=192.0.2.1, for=10.0.0.1;host=gw.example;proto=http",
        "x-forwarded-for": "192.0.2.1, 192.0.2.2, 192.0.2.3, 10.0.0.1",
        "x-forwarded-proto": "https",
        "x-forwarded-host": "shop.example",
    }


@pytest.mark.parametrize(
    ("listed", "elements"),
    [
        ("192.0.2.1", "for=192.0.2.1, "),
        ("192.0.2.1,, [2001:db8::1]", 'for=192.0.2.1, for="[2001:db8::1]", '),
        ('a;by="x"', "for=unknown, "),
        ("", ""),
    ],
    ids=["one", "two", "no address", "empty"],
)
def test_rfc7239_7_4_what_only_x_forwarded_for_says_is_taken_over(listed: str, elements: str) -> None:
    found = told("10.0.0.1", ("X-Forwarded-For", listed), trusted=("10.0.0.0/8",))
    assert found["forwarded"] == f"{elements}for=10.0.0.1;host=gw.example;proto=http"
    assert (found["x-forwarded-proto"], found["x-forwarded-host"]) == ("http", "gw.example")
