"""Who is at the other end of a connection: a client, or one that speaks for many."""

from functools import lru_cache
from ipaddress import ip_address, ip_network


@lru_cache(maxsize=4096)
def is_trusted(peer: str, networks: tuple[str, ...]) -> bool:
    """Whether `peer`, an address without port, is in one of `networks`, those of `trusted_proxies`."""
    return bool(networks and peer) and any(ip_address(peer) in ip_network(network) for network in networks)


@lru_cache(maxsize=4096)
def is_local(peer: str) -> bool:
    """Whether `peer` is this machine."""
    return bool(peer) and ip_address(peer).is_loopback
