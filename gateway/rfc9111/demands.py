"""What a request's own Cache-Control asks of a cache (RFC 9111 §5.2.1), and Pragma in its place (§5.4)."""

from dataclasses import dataclass
from math import ceil, floor, inf

from gateway.messages import Fields
from gateway.rfc9111.directives import delta_seconds, directives


@dataclass(slots=True, frozen=True)
class Demands:
    """A request's directives, durations in seconds; `max_stale` is infinite without an argument.

    `stale_if_error` is RFC 5861 §4's, which a request may say as well.
    """

    no_cache: bool = False
    no_store: bool = False
    only_if_cached: bool = False
    max_age: float | None = None
    min_fresh: float | None = None
    max_stale: float | None = None
    stale_if_error: float | None = None


_NONE = Demands()
_NO_CACHE = Demands(no_cache=True)


def demands(fields: Fields) -> Demands | None:
    """What a request's fields ask of a cache; None where nothing does, unknown directives included.

    A max-age that is no number counts as 0, whose answer suits whatever was meant. Of the others nothing is left to
    go by: they are ignored, max-stale too, so that no unreadable wish brings a stale answer.
    """
    lines = fields.getall("Cache-Control", ())
    if not lines:
        return _NO_CACHE if "no-cache" in directives(fields.getall("Pragma", ())) else None
    found = directives(lines)
    asked = Demands(
        no_cache="no-cache" in found,
        no_store="no-store" in found,
        only_if_cached="only-if-cached" in found,
        max_age=delta_seconds(found["max-age"]) or 0.0 if "max-age" in found else None,
        min_fresh=delta_seconds(found.get("min-fresh")),
        max_stale=inf if found.get("max-stale", "") is None else delta_seconds(found.get("max-stale")),
        stale_if_error=delta_seconds(found.get("stale-if-error")),
    )
    return None if asked == _NONE else asked


def written(demands: Demands) -> str:
    """What a fetch for a request with `demands` asks of the caches nearer the origin, nothing that loosens them."""
    flags = {"no-cache": demands.no_cache, "no-store": demands.no_store}
    bounds = {"max-age": demands.max_age, "min-fresh": demands.min_fresh}
    told = [name for name, asked in flags.items() if asked]
    told += [f"{name}={bound:.0f}" for name, bound in bounds.items() if bound is not None]
    return ", ".join(told or ["no-cache"])


def accepts(demands: Demands, age: float, ttl: float, *, immutable: bool) -> bool:
    """Whether the request is content with a response `age` seconds old, `ttl` seconds before it turns stale.

    Both compare in whole seconds, as Age says them; but a max-age of 0 is how clients ask for validation, whatever the
    age. An `immutable` response is no better for being young (RFC 8246 §2).
    """
    if demands.no_cache or (demands.min_fresh is not None and ceil(ttl) < demands.min_fresh):
        return False
    if _is_too_old(demands, age) and not (immutable and ttl > 0):
        return False
    return ttl > 0 or _accepts_stale(demands, -ttl)


def _is_too_old(demands: Demands, age: float) -> bool:
    return demands.max_age is not None and (demands.max_age == 0 or floor(age) > demands.max_age)


def _accepts_stale(demands: Demands, staleness: float) -> bool:
    if demands.max_stale is None:
        return demands.max_age is None and demands.min_fresh is None
    return staleness <= demands.max_stale
