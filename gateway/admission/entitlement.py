"""What an account may ask for, and what a request allows itself to cost."""

from gateway.admission.charge import Quote
from gateway.admission.provision import Intent
from gateway.admission.snapshot import Account, Scope
from gateway.errors import Problem, Reason
from gateway.messages import Fields

MAX_TOKENS = "X-Max-Tokens"


def max_tokens(fields: Fields) -> int | None:
    """The most that a request allows itself to cost, None where it sets no bound.

    Raises `Problem` with `malformed_request` for what is no one whole number.
    """
    values = fields.getall(MAX_TOKENS, ())
    if not values:
        return None
    if len(values) > 1 or not (values[0].isascii() and values[0].isdecimal()):
        raise Problem(Reason.malformed_request, f"{MAX_TOKENS} must be one whole number.")
    return int(values[0].lstrip("0")[:20] or "0")


def scope_for(intent: Intent, quote: Quote, account: Account) -> Scope:
    """What the account must be allowed to ask for; who may have something refreshed may also see how that stands."""
    if intent is Intent.background_refresh:
        return Scope.background
    if intent is Intent.status and Scope.background in account.scopes:
        return Scope.background
    return Scope.refresh if quote.forced else Scope.lookup


def refuse_beyond(account: Account, quote: Quote, most: int | None, intent: Intent = Intent.lookup) -> None:
    """Raises `Problem` where the account lacks the scope (`insufficient_scope`), or the quote is above `most`."""
    scope = scope_for(intent, quote, account)
    if scope not in account.scopes:
        raise Problem(Reason.insufficient_scope, f"This API key lacks the scope {scope.value}.")
    if most is not None and quote.total > most and not account.test:
        detail = f"This request may cost {quote.total} tokens, and {MAX_TOKENS} allows {most}."
        raise Problem(Reason.over_max_tokens, detail)


def refuse_expired(account: Account, wall: float) -> None:
    """Raises `Problem` with `expired_key` once the account's time is over; `wall` in seconds since the epoch."""
    if account.expires is not None and wall >= account.expires:
        raise Problem(Reason.expired_key)
