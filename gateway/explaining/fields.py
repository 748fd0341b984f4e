"""The fields that would go on and those that would stay behind, with nothing shown that may be secret."""

from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from gateway.admission.forwarding import left_out
from gateway.admission.keys import credential_fields
from gateway.admission.masking import HIDDEN, masked
from gateway.admission.prepared import Prepared
from gateway.admission.provision import Intent
from gateway.admission.snapshot import Snapshot
from gateway.explaining.explanation import Onward, Sent
from gateway.messages import Fields, Outgoing, Request


def onward(request: Request, prepared: Prepared, snapshot: Snapshot, outgoing: Outgoing) -> Onward:
    """What the upstream gets of `request`, which is `outgoing`, and what stays behind."""
    sent = tuple(_sent(prepared, snapshot, outgoing))
    going = {field.name.lower() for field in sent if field.source == "client"}
    names = {name.lower(): name for name in request.fields}
    upstream = snapshot.upstreams[prepared.route.upstream]
    left = [(name, left_out(lower, prepared, snapshot).value) for lower, name in names.items() if lower not in going]
    return Onward(
        upstream=upstream.name,
        method=outgoing.method,
        url=_below(upstream.urls[0]) + masked(outgoing.target, snapshot, prepared),
        fields=sent,
        left_out=tuple(left),
    )


def _below(url: str) -> str:
    """The upstream's URL without its path, which may be as secret as a key."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" + (f"/{HIDDEN}" if parts.path.strip("/") else "")


def _sent(prepared: Prepared, snapshot: Snapshot, outgoing: Outgoing) -> Iterator[Sent]:
    route, given, secret = prepared.route, prepared.request.fields, secret_fields(snapshot)
    sources = dict.fromkeys(
        _names(snapshot.upstreams[route.upstream].headers if route.send_credentials else ()), "upstream"
    )
    if prepared.intent is Intent.force_refresh and route.refresh is not None:
        sources |= dict.fromkeys(_names(route.refresh.upstream_headers), "refresh.upstream")
    for name, value in outgoing.fields.items():
        lower = name.lower()
        source = sources.get(lower) or ("client" if _is_clients(lower, value, given) else "gateway")
        yield Sent(name, value if source == "client" and lower not in secret else None, source)


def _names(lines: Iterable[tuple[str, str]]) -> list[str]:
    return [name.lower() for name, _ in lines]


def _is_clients(name: str, value: str, given: Fields) -> bool:
    """Whether the value is the client's; Via is, with the gateway's own behind it."""
    values = given.getall(name, ())
    return value in values or (name == "via" and bool(values) and value.startswith(", ".join(values)))


def secret_fields(snapshot: Snapshot) -> frozenset[str]:
    """Lower-case names of the fields whose values are not shown."""
    return credential_fields(snapshot) | {"cookie"}
