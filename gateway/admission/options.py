"""OPTIONS that the gateway answers itself: what browsers ask before, and what has come far enough (RFC 9110 §7.6.2)."""

from gateway.admission.cors import Lines, is_preflight, preflight_fields
from gateway.admission.snapshot import Route
from gateway.errors import Problem, Reason
from gateway.messages import Fields, Request

_COMMON = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")


def max_forwards(method: str, fields: Fields) -> int | None:
    """How often an OPTIONS may still be forwarded, None where it does not say; other methods need not heed it.

    Raises `Problem` with `malformed_request` for what is no one number.
    """
    values = fields.getall("Max-Forwards", ()) if method == "OPTIONS" else ()
    if not values:
        return None
    if len(values) > 1 or not (values[0].isascii() and values[0].isdecimal()):
        raise Problem(Reason.malformed_request, "Max-Forwards must be one number.")
    return min(int(values[0].lstrip("0")[:10] or "0"), 255)


def own_fields(request: Request, route: Route) -> Lines:
    """The fields of the 204 that answers a request whose intent is `own`. Raises `Problem` as `preflight_fields` does.

    Where a route takes any method, Allow names the usual ones.
    """
    methods = _methods(route)
    if route.cors is not None and is_preflight(request):
        return preflight_fields(route.cors, request, methods)
    return (("Allow", ", ".join(sorted(methods or _COMMON))),)


def _methods(route: Route) -> frozenset[str] | None:
    """What may be sent to the route's paths, None for anything."""
    if route.methods is None:
        return None
    posted = route.refresh is not None and route.refresh.post is not None
    return route.methods | {"POST"} if posted else route.methods
