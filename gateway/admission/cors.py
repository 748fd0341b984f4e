"""Cross-origin requests of web pages: what a page's browser is told (Fetch Standard, CORS protocol)."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from gateway.errors import Problem, Reason
from gateway.messages import TOKEN, Request

Lines = tuple[tuple[str, str], ...]

ANY = "*"

UPSTREAMS = frozenset(
    {
        "access-control-allow-credentials",
        "access-control-allow-headers",
        "access-control-allow-methods",
        "access-control-allow-origin",
        "access-control-expose-headers",
        "access-control-max-age",
    }
)
"""Lower-case names of what an upstream may say of it, which is not passed on where the gateway answers itself."""

_ASKED_METHOD = "Access-Control-Request-Method"
_ASKED_FIELDS = "Access-Control-Request-Headers"
_MAX_AGE = "600"

# What a page may read besides the few fields that the standard always shows it.
_EXPOSED = ", ".join(
    [
        "Age",
        "Cache-Status",
        "Content-Location",
        "Content-Range",
        "Date",
        "ETag",
        "Link",
        "Location",
        "RateLimit",
        "RateLimit-Policy",
        "Retry-After",
        "Via",
        "WWW-Authenticate",
        "X-RateLimit-Reset",
        "X-RateLimit-Throttle-Limit",
        "X-RateLimit-Throttle-Remaining",
        "X-RateLimit-Tokens-Remaining",
        "X-Request-Id",
        "X-Tokens-Consumed",
        "X-Tokens-Remaining",
    ]
)


@dataclass(slots=True, frozen=True)
class Cors:
    """A route's `cors`: the origins whose pages may call it, as browsers write them, or `*` for every page."""

    origins: frozenset[str]

    def allows(self, origin: str | None) -> str | None:
        """What Access-Control-Allow-Origin says to this origin; None where its pages may not call."""
        if ANY in self.origins:
            return ANY
        return origin if origin in self.origins else None


def is_preflight(request: Request) -> bool:
    """Whether a browser asks if a page may send a request; it asks without credentials."""
    return request.method == "OPTIONS" and "Origin" in request.fields and _ASKED_METHOD in request.fields


def asked_method(request: Request) -> str:
    """The method that a preflight asks for."""
    return request.fields[_ASKED_METHOD]


def preflight_fields(cors: Cors, request: Request, methods: Iterable[str] | None) -> Lines:
    """The fields of the 204 that answers a preflight; `methods` are the route's, None for any.

    Raises `Problem`: `origin_not_allowed`, and `malformed_request` for names that are none.
    """
    allowed = cors.allows(request.fields["Origin"])
    if allowed is None:
        raise Problem(Reason.origin_not_allowed)
    method, wanted = asked_method(request), ", ".join(request.fields.getall(_ASKED_FIELDS, ()))
    names = [name.strip() for name in wanted.split(",")] if wanted.strip() else []
    if not all(TOKEN.fullmatch(name) for name in (method, *names)):
        raise Problem(Reason.malformed_request, "The preflight asks for what is no method or no field name.")
    return (
        ("Access-Control-Allow-Origin", allowed),
        ("Access-Control-Allow-Methods", method if methods is None else ", ".join(sorted(methods))),
        *((("Access-Control-Allow-Headers", ", ".join(names)),) if names else ()),
        ("Access-Control-Max-Age", _MAX_AGE),
        *_varying(cors, _ASKED_METHOD, _ASKED_FIELDS),
    )


def answer_fields(cors: Cors, origin: str | None) -> Lines:
    """What every answer on the route says to a page of `origin`, the gateway's problems included."""
    allowed = cors.allows(origin)
    exposed = (("Access-Control-Allow-Origin", allowed), ("Access-Control-Expose-Headers", _EXPOSED)) if allowed else ()
    return (*exposed, *_varying(cors))


def answer_lines(cors: Cors, origin: str | None) -> bytes:
    """`answer_fields` as field lines."""
    return _rendered(cors, cors.allows(origin))


# Of the few origins that are allowed: what strangers send must not fill it.
@lru_cache(maxsize=256)
def _rendered(cors: Cors, allowed: str | None) -> bytes:
    return "".join([f"{name}: {value}\r\n" for name, value in answer_fields(cors, allowed)]).encode("ascii")


def _varying(cors: Cors, *names: str) -> Lines:
    """The origin decides only where not every one is allowed (RFC 9110 §12.5.5)."""
    return () if ANY in cors.origins and not names else (("Vary", ", ".join(["Origin", *names])),)
