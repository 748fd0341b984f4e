"""Who may use the operators' API: whoever holds the token; without one, this machine, but no page that it shows.

A browser sends what any page asks it to, also to 127.0.0.1, and a name that any page has may lead there.
"""

from hashlib import sha256
from hmac import compare_digest

from gateway.admin.refusals import Denied, Refusal
from gateway.admission.target import host, without_port
from gateway.config.units import Address
from gateway.errors import Problem
from gateway.messages import Fields

_CHALLENGE = (("WWW-Authenticate", 'Bearer realm="gateway admin"'),)
# RFC 6454 §7 and Fetch Metadata: what a browser says of where a request comes from.
_OWN_SITES = ("same-origin", "none")
_JSON = "application/json"


class Guard:
    """Judges a request by its fields alone; `token` is empty where none is set."""

    def __init__(self, token: str) -> None:
        self._digest = _digest(token) if token else None

    @property
    def by_token(self) -> bool:
        """Whether a token is asked for."""
        return self._digest is not None

    def refuse(self, fields: Fields) -> None:
        """Raises Denied: token_required, token_wrong, malformed, foreign_site."""
        if self._digest is None:
            _refuse_foreign(fields)
            return
        presented = _presented(fields)
        if not presented:
            raise Denied(Refusal.token_required, fields=_CHALLENGE)
        # Digests, as their length is always the same.
        if not compare_digest(_digest(presented), self._digest):
            raise Denied(Refusal.token_wrong, fields=_CHALLENGE)


def refuse_unmarked(fields: Fields) -> None:
    """Raises Denied(not_json) unless the content is marked as JSON, which no form of a page can do."""
    if _kind(fields) != _JSON:
        raise Denied(Refusal.not_json)


def refuse_form(fields: Fields) -> None:
    """Raises Denied(not_json) for what says its content is anything but JSON, as each form of a page does."""
    if _kind(fields) not in (_JSON, ""):
        raise Denied(Refusal.not_json)


def _kind(fields: Fields) -> str:
    return fields.get("Content-Type", "").partition(";")[0].strip().lower()


def _presented(fields: Fields) -> str:
    values = fields.getall("Authorization", ())
    if len(values) > 1:
        raise Denied(Refusal.malformed, "The request carries more than one Authorization field.")
    scheme, _, token = (values[0] if values else "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _refuse_foreign(fields: Fields) -> None:
    try:
        asked = host(fields, "http")
    except Problem as problem:
        raise Denied(Refusal.malformed, problem.detail or "") from None
    if not Address(without_port(asked).strip("[]"), 0).loopback:
        detail = "Without `admin.token` only a loopback Host is served, such as 127.0.0.1 or localhost."
        raise Denied(Refusal.foreign_site, detail)
    origins = {origin.lower() for origin in fields.getall("Origin", ())}
    sites = set(fields.getall("Sec-Fetch-Site", ()))
    if not origins <= {f"http://{asked}"} or not sites <= set(_OWN_SITES):
        raise Denied(Refusal.foreign_site)


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogateescape")).digest()
