"""What a request may cost, in tokens, and which answers cost anything."""

from collections.abc import Set

from gateway.admission.charge import Quote
from gateway.admission.snapshot import Price


def quote(price: Price, flags_on: Set[str], forced: bool) -> Quote:
    """The most a request can cost: base, each option with one of its flags on, and the surcharge where it is forced."""
    plain, lines = price.base, [("base", price.base)]
    for option in price.options:
        if not flags_on.isdisjoint(option.query_any):
            plain += option.tokens
            lines.append((option.name, option.tokens))
    if not forced:
        return Quote(plain, lines=tuple(lines))
    return Quote(plain, price.force_refresh, True, (*lines, ("force_refresh", price.force_refresh)))


def delivers(status: int) -> bool:
    """Whether a force refresh's fetch that ended with `status` brought fresh data: the thing, or that it is not there.

    Any other 4xx speaks of the request or of who sent it (credentials, a rate limit), which is no news of the thing.
    """
    return status < 400 or status in (404, 410)


def charges(price: Price, status: int) -> bool:
    """Whether an answer with `status` costs anything: not what `charge_on` leaves out, and never a failure (5xx)."""
    return status < 500 and not price.charge_on.isdisjoint((status, status // 100))
