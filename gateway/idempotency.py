"""Idempotency-Key on refreshes: who repeats a request gets its first answer again, free and marked as such.

A claim keeps a repeat out while the first request runs in this process; what it was answered with is in the book, from
the same journal group as its charge, so that no moment to die at lies between the two.
"""

import asyncio
import re
import zlib
from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import sha256
from struct import Struct
from weakref import WeakValueDictionary

from gateway.admission.charge import Charge
from gateway.admission.prepared import Prepared
from gateway.admission.provision import Intent
from gateway.answers.head import spliced_head
from gateway.answers.splice import cut
from gateway.errors import Problem, Reason
from gateway.ledger import kept as book
from gateway.ledger.ledger import Ledger
from gateway.ledger.receipts import receipt_id
from gateway.ledger.records import Kept
from gateway.messages import Fields
from gateway.ports import Clock
from gateway.rfc9111.stored import StoredResponse
from gateway.stores.encoding import decode, encode

IDEMPOTENCY_KEY = "Idempotency-Key"

_KEPT_FOR = 86_400.0
_MOST_KEPT = 256 * 1024
# Of one account at once: another's repeats must find room among the ledger's readers.
_MOST_READS = 16

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
    """One request's hold on its key, from `Idempotency.claim` to `end`; `key` and `fingerprint` are digests."""

    account: str
    key: str
    fingerprint: str
    tokens_in_body: bool
    clock: Clock
    running: _Running

    def kept(self, charge: Charge, stored: StoredResponse | None) -> Kept:
        """The record of this request's answer, to be posted in the same turn as the charge.

        `stored` is None for a stream. That, and content above 256 KiB, is remembered as given and not kept.
        """
        fits = stored is not None and len(stored.body) <= _MOST_KEPT
        content = _packed(charge, stored) if stored is not None and fits else ""
        until = self.clock.wall() + _KEPT_FOR
        return Kept(self.account, self.key, self.fingerprint, charge.operation or 0, until, content)

    def withdrawn(self) -> Kept:
        """The record that undoes `kept`, expired at once: for a stream that broke and was refunded."""
        return Kept(self.account, self.key, self.fingerprint, 0, 0.0, "")

    def end(self) -> None:
        """Give the key free, for the next request to find in the book what has become of this one. Idempotent."""
        if self.running.get((self.account, self.key)) is self:
            del self.running[self.account, self.key]


class Idempotency:
    """Keys are each account's own. Test keys claim none: what they ask for is no refresh and costs nothing."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._running: _Running = {}
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    def claim(self, prepared: Prepared, content: str = "") -> Claim | None:
        """The request's hold on its key; None for what is no metered refresh, and without the field.

        `content` is what its content asks for, where that makes another request of it.

        Raises Problem: malformed_request; idempotency_key_reused and request_in_progress while another one has the key.
        """
        account = prepared.account
        if prepared.intent not in _REFRESHES or account is None or prepared.quote is None:
            return None
        text = _named(prepared.request.fields)
        if text is None:
            return None
        asked = _fingerprint(prepared, content)
        claim = Claim(account.id, _digest(text), asked, prepared.route.tokens_in_body, self._clock, self._running)
        first = self._running.setdefault((claim.account, claim.key), claim)
        if first is not claim:
            _refuse_another(claim, first.fingerprint)
            raise Problem(Reason.request_in_progress, retry_after=1)
        return claim

    async def earlier(self, claim: Claim) -> Replay | None:
        """What a request with this key was answered with in the last 24 hours; None where nothing is kept.

        By the wall clock: set forward, it forgets sooner, and a repeat then costs what any new request does.
        Raises Problem: idempotency_key_reused, answer_not_kept, ledger_unavailable.
        """
        kept = await self._read(claim)
        if kept is None or kept.until <= self._clock.wall():
            return None
        _refuse_another(claim, kept.fingerprint)
        # Inflating and cutting open may take milliseconds, and repeats come rarely.
        replay = await asyncio.to_thread(_replay, kept, tokens_in_body=claim.tokens_in_body)
        if replay is None:
            raise _not_kept(kept.operation)
        return replay

    async def _read(self, claim: Claim) -> Kept | None:
        # Nothing in memory may answer for the book: it would not know of what was charged before the last start.
        turns = self._turns.setdefault(claim.account, asyncio.Semaphore(_MOST_READS))
        async with turns:
            return await self._ledger.read(lambda db: book.kept(db, claim.account, claim.key))


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
    if fingerprint != claim.fingerprint:
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


def _replay(kept: Kept, *, tokens_in_body: bool) -> Replay | None:
    """None where no content was kept, or that of another version."""
    content = b64decode(kept.content)
    stored = decode(zlib.decompress(content[_CHARGED.size :])) if content else None
    if stored is None:
        return None
    tokens, remaining = _CHARGED.unpack_from(content)
    if tokens_in_body and (splice := cut(stored.body)) is not None:
        stored.become(splice=splice, head=spliced_head(stored.head))
    return Replay(stored, tokens, None if remaining < 0 else remaining, kept.operation or None)
