import pytest

from gateway.admission.peers import is_local, is_trusted

NETWORKS = ("10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32")


@pytest.mark.parametrize(
    ("peer", "trusted"),
    [("10.1.2.3", True), ("192.0.2.7", True), ("192.0.2.8", False), ("2001:db8::1", True), ("::1", False), ("", False)],
)
def test_trusted_proxies_are_networks(peer: str, trusted: bool) -> None:
    assert is_trusted(peer, NETWORKS) is trusted
    assert not is_trusted(peer, ())


@pytest.mark.parametrize(
    ("peer", "local"), [("127.0.0.1", True), ("127.8.0.1", True), ("::1", True), ("10.0.0.1", False)]
)
def test_this_machine(peer: str, local: bool) -> None:
    assert is_local(peer) is local
    assert not is_local("")
