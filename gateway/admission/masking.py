"""Request targets as they may be shown: nothing in them that may be secret."""

from urllib.parse import unquote

from gateway.admission.keys import credential_parameters
from gateway.admission.prepared import Prepared
from gateway.admission.snapshot import Snapshot
from gateway.admission.target import component

HIDDEN = "..."
"""Stands for a secret, or what may be one."""


def masked(target: str, snapshot: Snapshot, prepared: Prepared | None = None) -> str:
    """A target without the values of parameters that may be secret: API keys, and what a forced fetch adds."""
    path, mark, query = target.partition("?")
    refresh = prepared.route.refresh if prepared is not None else None
    added = [component(name) for name, _ in refresh.upstream_query] if refresh is not None else []
    hidden = credential_parameters(snapshot).union(added)
    return path + mark + "&".join([_hidden(pair, hidden) for pair in query.split("&")])


def _hidden(pair: str, names: frozenset[str]) -> str:
    name, equals, _ = pair.partition("=")
    return f"{name}={HIDDEN}" if equals and component(unquote(name)) in names else pair
