"""Who is at the other end of a connection, and what an upstream is told of it (RFC 7239)."""

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from gateway.admission.target import authority
from gateway.messages import TOKEN, Fields, Request

WHENCE = frozenset({"forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"})
"""Lower-case names of the fields that say where a request came from: the gateway writes them, no client does."""

_CLAIM = "x-forwarded-"
# Well-formed ones alone: what could be read in another way stays where it is.
_NODE = re.compile(r'(?i)(?<![^;, ])(?:for|by)=("?)[A-Za-z0-9._:\[\]-]*\1(?![^;, ])')


@lru_cache(maxsize=4096)
def is_trusted(peer: str, networks: tuple[str, ...]) -> bool:
    """Whether `peer`, an address without port, is in one of `networks`, those of `trusted_proxies`."""
    return bool(networks and peer) and any(_address(peer) in ip_network(network) for network in networks)


@lru_cache(maxsize=4096)
def is_local(peer: str) -> bool:
    """Whether `peer` is this machine."""
    return bool(peer) and _address(peer).is_loopback


def is_claim(lower: str, request: Request, networks: tuple[str, ...]) -> bool:
    """Whether a field, by its lower-case name, tells of hops before a peer that is not believed to know (`whence`)."""
    claims = lower == "forwarded" or lower.replace("_", "-").startswith(_CLAIM)
    return claims and not is_trusted(request.peer, networks)


def without_nodes(forwarded: str) -> str:
    """What Forwarded says of host and scheme: all but the nodes, which are the client's and the proxies'."""
    return _NODE.sub("", forwarded).strip(";, ")


def whence(request: Request, networks: tuple[str, ...]) -> list[tuple[str, str]]:
    """The fields `WHENCE` for the upstream; what the request says itself counts only from a peer in `networks`.

    `for` and `X-Forwarded-For` list every hop, the peer last; scheme and host are those that the first believed proxy
    was asked for. A proxy that writes no Forwarded has its X-Forwarded-For taken over (RFC 7239 §7.4).
    """
    fields = request.fields
    own = _hop(request.peer, fields.get("Host", ""), request.scheme)
    return _joined(fields, own) if is_trusted(request.peer, networks) else list(own)


@lru_cache(maxsize=4096)
def _hop(peer: str, host: str, scheme: str) -> tuple[tuple[str, str], ...]:
    """The last hop alone, all that is sure; the host in the one form in which it is keyed."""
    host = authority(host, scheme)
    address = str(_address(peer)) if peer else "unknown"
    return (
        ("Forwarded", f"for={_node(address)};host={_quoted(host)};proto={scheme}"),
        ("X-Forwarded-For", address),
        ("X-Forwarded-Proto", scheme),
        ("X-Forwarded-Host", host),
    )


def _joined(fields: Fields, own: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """What a believed proxy says, with the last hop added to the lists and left out of the rest."""
    (forwarded, element), (x_for, address), *others = own
    hops = fields.getall(x_for, [])
    listed = [hop.strip() for line in hops for hop in line.split(",")]
    elements = fields.getall(forwarded, None) or [f"for={_node(hop)}" for hop in listed if hop]
    claimed = [(name, ", ".join(fields.getall(name, [value]))) for name, value in others]
    return [(forwarded, ", ".join([*elements, element])), (x_for, ", ".join([*hops, address])), *claimed]


def _address(text: str) -> IPv4Address | IPv6Address:
    """The address; an IPv4 one that came through an IPv6 socket is itself again, a zone is left out."""
    found = ip_address(text.partition("%")[0])
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found


def _node(text: str) -> str:
    """RFC 7239 §6: an address as a node identifier, `unknown` for what is none."""
    try:
        address = _address(text.strip("[]"))
    except ValueError:
        return "unknown"
    return f'"[{address}]"' if isinstance(address, IPv6Address) else str(address)


def _quoted(text: str) -> str:
    """RFC 9110 §5.6.4; a host holds nothing that needs a backslash."""
    return text if TOKEN.fullmatch(text) else f'"{text}"'
