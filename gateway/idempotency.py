"""Idempotency-Key on refreshes: who repeats a request gets its first answer again, free and marked as such.

A claim keeps a repeat out while the first request runs; what it was answered with is kept by the same step as its
charge, so that no moment to die at lies between the two.
"""

import asyncio
import re
import zlib
from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import sha256
from struct import Struct

from gateway.admission.charge import Charge
from gateway.admission.prepared import Prepared
from gateway.admission.provision import Intent
from gateway.answered import Answered, Asked, Found
from gateway.answers.head import spliced_head
from gateway.answers.splice import cut
from gateway.errors import Problem, Reason
from gateway.ledger.receipts import receipt_id
from gateway.ledger.records import Kept
from gateway.messages import Fields
from gateway.ports import Clock
from gateway.rfc9111.stored import StoredResponse
from gateway.stores.encoding import decode, encode

IDEMPOTENCY_KEY = "Idempotency-Key"

_KEPT_FOR = 86_400.0
_MOST_KEPT = 256 * 1024

_PLAIN = re.compile(r'(?!")[\x21-\x7e]{1,255}')
_STRING = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\]){1,255})"')
_CHARGED = Struct(">qq")  # tokens, and those that remained: below 0 where the plan is unlimited
_SQUEEZED = 1  # zlib's level: a fifth of JSON is left at 10 ms per MiB

_REFRESHES = (Intent.force_refresh, Intent.background_refresh)

_Running = dict[tuple[str, str], "Claim"]


@dataclass(slots=True, frozen=True)
class Replay:
    """A first answer, to be given again for nothing.

    `tokens` and `remaining` are those of its own charge, for content that names them; `operation` is the charge's, None
    where it has no receipt. `stored` is cut open where the route's tokens go into content.
    """

    stored: StoredResponse
    tokens: int
    remaining: int | None
    operation: int | None


@dataclass(slots=True, eq=False)
class Claim:
    """One request's hold on its key, from `Idempotency.claim` to `end`."""

    asked: Asked
    tokens_in_body: bool
    clock: Clock
    running: _Running
    answered: Answered
    ended: bool = False

    def kept(self, charge: Charge, stored: StoredResponse | None) -> Kept:
        """The record of this request's answer, to be posted in the same turn as the charge.

        `stored` is None for a stream. That, and content above 256 KiB, is remembered as given and not kept.
        """
        fits = stored is not None and len(stored.body) <= _MOST_KEPT
        content = _packed(charge, stored) if stored is not None and fits else ""
        until = self.clock.wall() + _KEPT_FOR
        return self._kept(charge.operation or 0, until, content)

    def withdrawn(self) -> Kept:
        """The record that undoes `kept`, expired at once: for a stream that broke and was refunded."""
        return self._kept(0, 0.0, "")

    def end(self) -> None:
        """Give the key free, for the next request to find out what has become of this one. Idempotent."""
        if not self.ended:
            self.ended = True
            del self.running[self.asked.account, self.asked.key]
            self.answered.end(self.asked)

    def _kept(self, operation: int, until: float, content: str) -> Kept:
        asked = self.asked
        return Kept(asked.account, asked.key, asked.fingerprint, operation, until, content)


class Idempotency:
    """Keys are each account's own. Test keys claim none: what they ask for is no refresh and costs nothing."""

    def __init__(self, answered: Answered, clock: Clock) -> None:
        self._answered = answered
        self._clock = clock
        self._running: _Running = {}

    def claim(self, prepared: Prepared, content: str = "") -> Claim | None:
        """The request's hold on its key; None for what is no metered refresh, and without the field.

        `content` is what its content asks for, where that makes another request of it.

        Raises Problem: malformed_request; idempotency_key_reused and request_in_progress while another one has the key
        in this process.
        """
        account = prepared.account
        if prepared.intent not in _REFRESHES or account is None or prepared.quote is None:
            return None
        text = _named(prepared.request.fields)
        if text is None:
            return None
        asked = Asked(account.organization, account.id, _digest(text), _fingerprint(prepared, content))
        claim = Claim(asked, prepared.route.tokens_in_body, self._clock, self._running, self._answered)
        first = self._running.setdefault((asked.account, asked.key), claim)
        if first is not claim:
            _refuse_another(claim, first.asked.fingerprint)
            raise Problem(Reason.request_in_progress, retry_after=1)
        return claim

    async def earlier(self, claim: Claim) -> Replay | None:
        """What a request with this key was answered with in the last 24 hours; None where nothing is kept.

        Then the key is this request's at all nodes, unless the claim has ended: who only looks keeps nobody out. By the
        wall clock: set forward, it forgets sooner, and a repeat then costs what any new request does.
        Raises Problem: idempotency_key_reused, request_in_progress, answer_not_kept, ledger_unavailable.
        """
        found = await self._answered.earlier(claim.asked, claim=not claim.ended)
        if found is None or found.kept.until <= self._clock.wall():
            return None
        _refuse_another(claim, found.kept.fingerprint)
        # Inflating and cutting open may take milliseconds, and repeats come rarely.
        replay = await asyncio.to_thread(_replay, found, tokens_in_body=claim.tokens_in_body)
        if replay is None:
            raise _not_kept(found.kept.operation)
        return replay


def _named(fields: Fields) -> str | None:
    """The key's text, which an RFC 8941 string and the same text without quotes both name; None without the field."""
    values = fields.getall(IDEMPOTENCY_KEY, ())
    if not values:
        return None
    value = values[0].strip(" \t")
    if len(values) == 1:
        if _PLAIN.fullmatch(value):
            return value
        if string := _STRING.fullmatch(value):
            return re.sub(r"\\(.)", r"\1", string[1])
    raise Problem(
        Reason.malformed_request,
        f"{IDEMPOTENCY_KEY} must be one field of 1 to 255 visible ASCII characters, or such a string in quotes.",
    )


def _digest(*parts: str) -> str:
    return sha256("\n".join(parts).encode()).hexdigest()


def _fingerprint(prepared: Prepared, content: str) -> str:
    """What makes another request of it: method, canonical target, and all that the cache keeps apart."""
    return _digest(prepared.request.method, prepared.target, prepared.key, *((content,) if content else ()))


def _refuse_another(claim: Claim, fingerprint: str) -> None:
    if fingerprint != claim.asked.fingerprint:
        raise Problem(Reason.idempotency_key_reused)


def _not_kept(operation: int) -> Problem:
    if not operation:
        return Problem(Reason.answer_not_kept)
    receipt = receipt_id(operation)
    detail = f"{Reason.answer_not_kept.title}; what it cost is at /-/receipts/{receipt}."
    return Problem(Reason.answer_not_kept, detail, fields=(("X-Receipt-Id", receipt),))


def _packed(charge: Charge, stored: StoredResponse) -> str:
    remaining = -1 if charge.remaining is None else charge.remaining
    squeezed = zlib.compress(encode(stored), _SQUEEZED)
    return b64encode(_CHARGED.pack(charge.tokens, remaining) + squeezed).decode("ascii")


def _replay(found: Found, *, tokens_in_body: bool) -> Replay | None:
    """None where no content was kept, or that of another version."""
    kept = found.kept
    content = b64decode(kept.content)
    stored = decode(zlib.decompress(content[_CHARGED.size :])) if content else None
    if stored is None:
        return None
    tokens, remaining = _CHARGED.unpack_from(content)
    if tokens_in_body and (splice := cut(stored.body)) is not None:
        stored.become(splice=splice, head=spliced_head(stored.head))
    if remaining >= 0 and found.remaining is not None:
        remaining = found.remaining
    return Replay(stored, tokens, None if remaining < 0 else remaining, kept.operation or None)
