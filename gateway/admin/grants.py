"""The operators' API for corrections of balances, which the ledger records and the log tells."""

from typing import Protocol

import structlog
from aiohttp import web

from gateway.admin.accounts import ID, AccountOf, known
from gateway.admin.content import answer, read_order
from gateway.admin.endpoints import Endpoint
from gateway.admin.refusals import Refusal
from gateway.admission.snapshot import Account
from gateway.config.section import Section
from gateway.keys.orders import Fault, Grant, Refused


class Granted(Section):
    """A correction, and the balance before and after."""

    account: str
    tokens: int
    before: int
    after: int


class Corrections(Protocol):
    """Where balances are corrected: `metering.Metering`."""

    async def correct(self, account: Account, tokens: int, reason: str) -> tuple[int, int]:
        """Adds tokens to it, or takes some back; the balance before and after. Raises ValueError for what cannot be."""


class GrantsApi:
    """Corrections of the accounts that `account_of` finds."""

    def __init__(self, account_of: AccountOf, balances: Corrections) -> None:
        self._account_of = account_of
        self._balances = balances
        self._log = structlog.get_logger("gateway.admin")

    def endpoints(self) -> list[Endpoint]:
        """What `Admin` is to serve."""
        return [
            Endpoint(
                "POST",
                "/-/keys/{id}/grant",
                self._grant,
                "Correct an account's balance; the correction is a record in the ledger.",
                Granted,
                order=Grant,
                parameters=(ID,),
                refusals=(Refusal.not_found, Refusal.conflict, Refusal.ledger_unavailable),
            )
        ]

    async def _grant(self, request: web.Request) -> web.Response:
        account, order = known(self._account_of, request.match_info["id"]), await read_order(request, Grant)
        try:
            before, after = await self._balances.correct(account, order.tokens, order.reason)
        except ValueError as error:
            raise Refused(Fault.conflict, str(error)) from None
        self._log.info("tokens granted", who="admin", account=account.id, tokens=order.tokens, reason=order.reason)
        return answer(200, {"account": account.id, "tokens": order.tokens, "before": before, "after": after})
