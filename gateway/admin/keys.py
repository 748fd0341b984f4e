"""The operators' API for keys and corrections; every change is logged, and the key itself only answered, once."""

from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog
from aiohttp import web

from gateway.admin.content import answer, read_order
from gateway.admin.refusals import Denied, Refusal
from gateway.admission.snapshot import Account
from gateway.admission.standing import Standing
from gateway.answers.account import account_document
from gateway.keys.keyring import Keyring
from gateway.keys.listing import made, revoked
from gateway.keys.orders import Creation, Fault, Grant, Refused, Rotation
from gateway.keys.planning import Planned

_MOST_LISTED = 1000
_MOST_DIGITS = 18


class Balances(Protocol):
    """Where accounts' balances are known and corrected: `meter.Meter`."""

    def balance(self, account: Account) -> Standing:
        """How the account stands, brought up to its plan."""

    def correct(self, account: Account, tokens: int, reason: str) -> tuple[int, int]:
        """Adds tokens to it, or takes some back; the balance before and after. Raises ValueError for what cannot be."""


class KeysApi:
    """`committed` resolves once everything that `balances` was told of is in the journal, or raises Problem."""

    def __init__(self, keyring: Keyring, balances: Balances, committed: Callable[[], Awaitable[None]]) -> None:
        self._keyring = keyring
        self._balances = balances
        self._committed = committed
        self._log = structlog.get_logger("gateway.admin")

    def routes(self) -> list[web.RouteDef]:
        """What `Admin` is to serve."""
        return [
            web.get("/-/keys", self._list, allow_head=False),
            web.post("/-/keys", self._create),
            web.post("/-/keys/{id}/rotate", self._rotate),
            web.delete("/-/keys/{id}", self._revoke),
            web.post("/-/keys/{id}/grant", self._grant),
            web.get("/-/accounts/{id}", self._account, allow_head=False),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        """A page of 1,000; `next` is what `after` is to be for the following one, null on the last."""
        rows = await self._keyring.listed(_after(request), _MOST_LISTED)
        return answer(200, {"keys": rows, "next": rows[-1]["number"] if len(rows) == _MOST_LISTED else None})

    async def _create(self, request: web.Request) -> web.Response:
        order = await read_order(request, Creation)
        return self._answer_made("key created", await self._keyring.create(order))

    async def _rotate(self, request: web.Request) -> web.Response:
        order = await read_order(request, Rotation)
        return self._answer_made("key rotated", await self._keyring.rotate(request.match_info["id"], order))

    async def _revoke(self, request: web.Request) -> web.Response:
        document = revoked(await self._keyring.revoke(request.match_info["id"]))
        self._log.info("keys revoked", who="admin", **document)
        return answer(200, document)

    async def _grant(self, request: web.Request) -> web.Response:
        account, order = self._known(request), await read_order(request, Grant)
        try:
            before, after = self._balances.correct(account, order.tokens, order.reason)
        except ValueError as error:
            raise Refused(Fault.conflict, str(error)) from None
        await self._committed()
        self._log.info("tokens granted", who="admin", account=account.id, tokens=order.tokens, reason=order.reason)
        return answer(200, {"account": account.id, "tokens": order.tokens, "before": before, "after": after})

    async def _account(self, request: web.Request) -> web.Response:
        account = self._known(request)
        standing = self._balances.balance(account)
        # Grants are made when somebody looks: what is told must be in the journal.
        await self._committed()
        return answer(200, account_document(account, standing))

    def _known(self, request: web.Request) -> Account:
        account = self._keyring.account(request.match_info["id"])
        if account is None:
            raise Denied(Refusal.not_found, "There is no such account.")
        return account

    def _answer_made(self, event: str, planned: Planned) -> web.Response:
        document = made(planned)
        self._log.info(event, who="admin", **{name: value for name, value in document.items() if name != "key"})
        return answer(201, document)


def _after(request: web.Request) -> int:
    text = request.query.get("after", "0")
    if not (text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS):
        raise Denied(Refusal.invalid, "`after` must be the number of a key.")
    return int(text)
