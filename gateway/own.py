"""The client port's own resources below `/-/`, by API key and free: the account's balance, receipts and refreshes."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import unquote

import orjson

from gateway.admission.entitlement import refuse_expired
from gateway.admission.jobs import Job
from gateway.admission.snapshot import Account
from gateway.admission.target import Query, canonical
from gateway.answers.account import account_document
from gateway.answers.head import field_line, field_lines
from gateway.answers.problem import problem_body, problem_fields
from gateway.answers.refresh import page_document, refresh_document
from gateway.errors import Problem, Reason
from gateway.ledger.receipts import operation_of, receipt, receipts
from gateway.ledger.recorded import Recorded
from gateway.messages import Answer, Fields, Request
from gateway.metering import Metering
from gateway.ports import Clock, Jobs
from gateway.rfc9111.dates import format_date

_LOOK = ("GET", "HEAD")
_LOOK_AND_CANCEL = (*_LOOK, "DELETE")

# Reads at once, of one account and in all: of the book's readers idempotent refreshes need some as well.
_MOST_OF_ONE = 4
_MOST_READS = 40

# Each takes the loop's time, for nothing.
_MOST_TOLD = 100


class Own:
    """Answers for these resources; nothing here costs tokens, or counts against a throttle.

    `account_of` finds a request's account as for any other, or raises Problem; `request_id` finds or makes its id.
    """

    def __init__(
        self,
        account_of: Callable[[Request], Account],
        meter: Metering,
        recorded: Recorded,
        jobs: Jobs,
        clock: Clock,
        request_id: Callable[[Fields], str],
    ) -> None:
        self._account_of = account_of
        self._meter = meter
        self._recorded = recorded
        self._jobs = jobs
        self._clock = clock
        self._request_id = request_id
        self._of_receipts = _Reads("receipts", Reason.ledger_unavailable)
        self._of_refreshes = _Reads("refreshes", Reason.jobs_unavailable)

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
        _refuse_method(request.method, segments)
        account = self._account_of(request)
        refuse_expired(account, self._clock.wall())
        match segments:
            case ["balance"]:
                return await self._balance(account)
            case ["receipts"]:
                return await self._receipts(account, _asked_for(query))
            case ["receipts", name]:
                return await self._receipt(account, name)
            case ["refreshes"]:
                return await self._refreshes(account, query)
            case _ if request.method == "DELETE":
                return await self._cancelled(account, segments[-1])
            case _:
                return await self._refresh(account, segments[-1])

    async def _balance(self, account: Account) -> object:
        return account_document(account, await self._meter.balance(account))

    async def _receipts(self, account: Account, request: str | None) -> object:
        with self._of_receipts.by(account):
            found = await self._recorded.read(lambda db: receipts(db, account.id, request=request))
        return {"receipts": found}

    async def _receipt(self, account: Account, name: str) -> object:
        operation = operation_of(name)
        if operation is None:
            raise Problem(Reason.no_receipt)
        with self._of_receipts.by(account):
            found = await self._recorded.read(lambda db: receipt(db, account.id, operation))
        if found is None:
            raise Problem(Reason.no_receipt)
        return found

    async def _refreshes(self, account: Account, query: Query) -> object:
        after, most = _one(query, "after"), _most(query)
        with self._of_refreshes.by(account):
            if after is not None:
                await self._job(account, after)
            return page_document(await self._jobs.latest(after, most + 1, account.id), most)

    async def _refresh(self, account: Account, id_: str) -> object:
        with self._of_refreshes.by(account):
            return refresh_document(await self._job(account, id_))

    async def _cancelled(self, account: Account, id_: str) -> object:
        """Work that nobody else asked for ends; a single one that has begun goes on, and only the waiting ends."""
        if account.test:
            raise Problem(Reason.insufficient_scope, "A test key cancels nothing.")
        with self._of_refreshes.by(account):
            await self._job(account, id_)
            former = await self._jobs.cancel(id_, self._clock.wall())
            if former is not None and former.final:
                raise Problem(Reason.refresh_ended, f"The refresh has ended: it is {former.value}.")
            return refresh_document(await self._job(account, id_))

    async def _job(self, account: Account, id_: str) -> Job:
        """Raises Problem(no_refresh) also for another's: nobody learns that there is one."""
        job = await self._jobs.find(id_, account.id)
        if job is None:
            raise Problem(Reason.no_refresh)
        return job

    def _common(self, request_id: str) -> bytes:
        return field_line("X-Request-Id", request_id) + field_line("Date", format_date(self._clock.wall()))


class _Reads:
    """How many of a kind are under way, by account; `full` is the Problem's reason where there are too many in all."""

    def __init__(self, kind: str, full: Reason) -> None:
        self._kind = kind
        self._full = full
        self.running = Counter[str]()

    @contextmanager
    def by(self, account: Account) -> Iterator[None]:
        """Hold a reader's place; raises Problem(throttled) where the account has too many, else that of `full`."""
        if self.running[account.id] >= _MOST_OF_ONE:
            raise Problem(Reason.throttled, f"Too many {self._kind} are asked for at once.", retry_after=1)
        if self.running.total() >= _MOST_READS:
            raise Problem(self._full, retry_after=1)
        self.running[account.id] += 1
        try:
            yield
        finally:
            self.running -= Counter([account.id])


def _is_known(segments: list[str]) -> bool:
    match segments:
        case ["balance"] | ["receipts" | "refreshes"] | ["receipts" | "refreshes", _]:
            return True
        case _:
            return False


def _refuse_method(method: str, segments: list[str]) -> None:
    allowed = _LOOK_AND_CANCEL if segments[0] == "refreshes" and len(segments) == 2 else _LOOK
    if method not in allowed:
        raise Problem(Reason.method_not_allowed, fields=(("Allow", ", ".join(allowed)),))


def _asked_for(query: Query) -> str | None:
    """The X-Request-Id whose receipts are asked for, None for those of any."""
    return _one(query, "request_id", "one X-Request-Id")


def _most(query: Query) -> int:
    """How many refreshes are asked for at most."""
    text = _one(query, "most")
    if text is None:
        return _MOST_TOLD
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= _MOST_TOLD):
        raise Problem(Reason.malformed_request, f"`most` must be a whole number from 1 to {_MOST_TOLD}.")
    return int(text)


def _one(query: Query, name: str, what: str = "one value") -> str | None:
    """The value of the parameter, None where it is not there. Raises Problem for several, and for an empty one."""
    values = [value for given, value in query if given == name]
    if not values:
        return None
    if len(values) > 1 or not values[0]:
        raise Problem(Reason.malformed_request, f"`{name}` must be {what}.")
    return unquote(values[0])
