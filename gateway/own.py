"""The client port's own resources below `/-/`, by API key and free: `/-/balance`, `/-/receipts`, `/-/receipts/{id}`."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import unquote

import orjson

from gateway.admission.entitlement import refuse_expired
from gateway.admission.snapshot import Account
from gateway.admission.target import Query, canonical
from gateway.answers.account import account_document
from gateway.answers.head import field_line, field_lines
from gateway.answers.problem import problem_body, problem_fields
from gateway.errors import Problem, Reason
from gateway.ledger.ledger import Ledger
from gateway.ledger.receipts import operation_of, receipt, receipts
from gateway.messages import Answer, Fields, Request
from gateway.meter import Meter
from gateway.ports import Clock
from gateway.rfc9111.dates import format_date

_METHODS = ("GET", "HEAD")
# Reads of the book at once, of one account and in all: the ledger's readers are for idempotent refreshes as well.
_MOST_OF_ONE = 4
_MOST_READS = 40


class Own:
    """Answers for these resources; nothing here costs tokens, or counts against a throttle.

    `account_of` finds a request's account as for any other, or raises Problem; `request_id` finds or makes its id.
    """

    def __init__(
        self,
        account_of: Callable[[Request], Account],
        meter: Meter,
        ledger: Ledger,
        clock: Clock,
        request_id: Callable[[Fields], str],
    ) -> None:
        self._account_of = account_of
        self._meter = meter
        self._ledger = ledger
        self._clock = clock
        self._request_id = request_id
        self._reads = Counter[str]()

    async def answer(self, request: Request) -> Answer | None:
        """The answer, problem documents included; None for a path that is none of these."""
        request_id = self._request_id(request.fields)
        try:
            path, query = canonical(request.target)
            segments = path.split("/")[2:]
            if not _is_known(segments):
                return None
            content = orjson.dumps(await self._content(request, segments, query))
        except Problem as problem:
            kind, body = problem_body(problem, request_id, request.fields.get("Accept"))
            lines = field_line("Content-Type", kind) + field_lines(problem_fields(problem))
            return Answer(problem.reason.status, "", lines + self._common(request_id), body)
        lines = b"Content-Type: application/json\r\nCache-Control: no-store\r\n"
        return Answer(200, "", lines + self._common(request_id), content)

    async def _content(self, request: Request, segments: list[str], query: Query) -> object:
        if request.method not in _METHODS:
            raise Problem(Reason.method_not_allowed, fields=(("Allow", ", ".join(_METHODS)),))
        account = self._account_of(request)
        refuse_expired(account, self._clock.wall())
        match segments:
            case ["balance"]:
                return await self._balance(account)
            case ["receipts"]:
                return await self._receipts(account, _asked_for(query))
            case _:
                return await self._receipt(account, segments[-1])

    async def _balance(self, account: Account) -> object:
        standing = self._meter.balance(account)
        # Grants are made when somebody looks: what is told of must be in the journal.
        await self._ledger.committed()
        return account_document(account, standing)

    async def _receipts(self, account: Account, request: str | None) -> object:
        with self._reading(account):
            found = await self._ledger.read(lambda db: receipts(db, account.id, request=request))
        return {"receipts": found}

    async def _receipt(self, account: Account, name: str) -> object:
        operation = operation_of(name)
        if operation is None:
            raise Problem(Reason.no_receipt)
        with self._reading(account):
            found = await self._ledger.read(lambda db: receipt(db, account.id, operation))
        if found is None:
            raise Problem(Reason.no_receipt)
        return found

    @contextmanager
    def _reading(self, account: Account) -> Iterator[None]:
        """Hold a reader's place; raises Problem(throttled) or Problem(ledger_unavailable) where too many do."""
        if self._reads[account.id] >= _MOST_OF_ONE:
            raise Problem(Reason.throttled, "Too many receipts are asked for at once.", retry_after=1)
        if self._reads.total() >= _MOST_READS:
            raise Problem(Reason.ledger_unavailable, retry_after=1)
        self._reads[account.id] += 1
        try:
            yield
        finally:
            self._reads -= Counter([account.id])

    def _common(self, request_id: str) -> bytes:
        return field_line("X-Request-Id", request_id) + field_line("Date", format_date(self._clock.wall()))


def _is_known(segments: list[str]) -> bool:
    return segments in (["balance"], ["receipts"]) or (len(segments) == 2 and segments[0] == "receipts")


def _asked_for(query: Query) -> str | None:
    """The X-Request-Id whose receipts are asked for, None for those of any."""
    values = [value for name, value in query if name == "request_id"]
    if not values:
        return None
    if len(values) > 1 or not values[0]:
        raise Problem(Reason.malformed_request, "`request_id` must be one X-Request-Id.")
    return unquote(values[0])
