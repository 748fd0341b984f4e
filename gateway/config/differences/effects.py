"""When a changed setting acts, and on what: the clause that ends the sentence about it."""

from collections.abc import Mapping

from gateway.config.differences.changed import Changed

_NEW_REQUESTS = "for requests that begin from now on"
_STORED = "acts at once, on what is stored as well"
_OTHER_KEYS = f"{_NEW_REQUESTS}: what is stored under the former cache keys is fetched anew"
_STORED_HENCE = "for what is stored from now on"
_AT_ONCE = "acts at once"
_RESTART = "needs a restart"
_NEW_BUCKET = "acts at once, with a full bucket"
_NEW_CONNECTIONS = "on connections from now on"
_NEXT_STEPS = "for what its work does from now on"

_ROUTES = {
    "upstream": _OTHER_KEYS,
    "rewrite": _OTHER_KEYS,
    "forward": _OTHER_KEYS,
    "cache": _NEW_REQUESTS,
    "cache.ttl": _STORED,
    "cache.ttl_by_status": _STORED,
    "cache.override_origin": _STORED,
    "cache.stale_while_revalidate": _STORED,
    "cache.stale_if_error": _STORED,
    "cache.share": _OTHER_KEYS,
    "cache.vary_on": _OTHER_KEYS,
    "cache.tags": _STORED_HENCE,
    "cache.max_body": _STORED_HENCE,
}

_BACKGROUND = {
    "upstream": _NEXT_STEPS,
    "trigger": _NEXT_STEPS,
    "tags": _NEXT_STEPS,
    "pages": _NEXT_STEPS,
    "pace": _NEXT_STEPS,
    "retry": _NEXT_STEPS,
}

_TOP = {
    "listen": _RESTART,
    "tls": _RESTART,
    "tls.cert": _NEW_CONNECTIONS,
    "tls.key": _NEW_CONNECTIONS,
    "admin.listen": _RESTART,
    "store.kind": _RESTART,
    "store.path": _RESTART,
    "store.durability": _RESTART,
    "limits.target": _NEW_CONNECTIONS,
    "limits.fields": _NEW_CONNECTIONS,
    "timezone": "grants and usage go by its calendar from now on",
}

_PLANS = {"throttle": _NEW_BUCKET}

_ORGANIZATIONS = {
    "balance": "acts at once: what is spent from is another balance",
    "caps": "acts at once, and what was admitted still counts",
}

_KEYS = {"throttle": _NEW_BUCKET}


def route_effect(changed: Changed) -> str:
    """Of a setting of a route."""
    return _effect(_ROUTES, changed, _NEW_REQUESTS)


def background_effect(changed: Changed) -> str:
    """Of a setting of a background refresh."""
    return _effect(_BACKGROUND, changed, _NEW_REQUESTS)


def plan_effect(changed: Changed) -> str:
    """Of a setting of a plan; a balance is never taken back."""
    if changed.path == "tokens.grant" and isinstance(changed.old, int) and isinstance(changed.new, int):
        return _AT_ONCE if changed.new > changed.old else "from the next grant on"
    return _bounded(_PLANS, changed)


def organization_effect(changed: Changed) -> str:
    """Of a setting of an organization."""
    return _bounded(_ORGANIZATIONS, changed)


def key_effect(changed: Changed) -> str:
    """Of a setting of a key."""
    return _bounded(_KEYS, changed)


def upstream_effect(changed: Changed) -> str:
    """Of a setting of an upstream."""
    return _effect({}, changed, "for exchanges that begin from now on")


def top_effect(changed: Changed) -> str:
    """Of a setting that stands alone, or in a section of its own."""
    return _effect(_TOP, changed, _AT_ONCE)


def _bounded(effects: Mapping[str, str], changed: Changed) -> str:
    """A bound that is gone has no bucket, and nothing counts against it."""
    return _AT_ONCE if changed.new is None else _effect(effects, changed, _AT_ONCE)


def _effect(effects: Mapping[str, str], changed: Changed, otherwise: str) -> str:
    """That of the longest part of the path that has one."""
    path = changed.path
    while path:
        if path in effects:
            return effects[path]
        path = path.rpartition(".")[0]
    return otherwise
