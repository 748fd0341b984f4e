"""The operators' API for accounts: who there is, and how each stands."""

import asyncio
from collections.abc import Callable, Iterable
from heapq import nsmallest
from typing import Literal, Protocol

from aiohttp import web

from gateway.admin.content import answer, whole
from gateway.admin.endpoints import AFTER, MOST, Endpoint, Parameter
from gateway.admin.refusals import Denied, Refusal
from gateway.admission.snapshot import Account
from gateway.admission.standing import Standing
from gateway.answers.account import account_document
from gateway.config.section import Section

# Ids that are looked through, and accounts that are brought up to their plan, before others' work goes on.
_LOOKED_THROUGH = 2000
_BROUGHT_UP = 25

ID = Parameter("id", "The account's id.", {"type": "string", "minLength": 1})
_LIKE = Parameter("like", "Only accounts whose id contains this, in any case.", {"type": "string"})


class NextGrant(Section):
    """When the plan grants anew, and how much."""

    at: str
    tokens: int


class ThrottleState(Section):
    """`remaining` calls of `limit`; all of them in `reset` seconds. `window`: in which the plan allows so many."""

    limit: int
    window: int | None = None
    remaining: int | None = None
    reset: int | None = None


class CapState(Section):
    """`remaining` of `limit` in any `window` seconds."""

    limit: int
    window: int
    remaining: int | None = None


class Caps(Section):
    """The organization's caps."""

    force_refresh: CapState


class AccountStanding(Section):
    """An account and how it stands, in tokens; what its plan does not have is null."""

    account: str
    organization: str
    plan: str
    balance_of: Literal["key", "organization"]
    balance: int | None = None
    """What can be spent now."""
    reserved: int
    charged: int
    granted: int | None = None
    """In the present period."""
    next_grant: NextGrant | None = None
    throttle: ThrottleState | None = None
    cap: Caps | None = None
    scopes: tuple[str, ...]
    expires: str | None = None
    test: bool


class AccountStandings(Section):
    """A page of accounts by their id."""

    accounts: tuple[AccountStanding, ...]
    next: str | None = None
    """What `after` is to be for the following page; null on the last."""


AccountOf = Callable[[str], Account | None]
"""The account of an id, whatever keys it has: `keyring.Keyring.account`."""


class Accounts(Protocol):
    """`keyring.Keyring`."""

    def account(self, id_: str) -> Account | None:
        """The account of this id."""

    def ids(self) -> Iterable[str]:
        """The id of every account, the config's and those made, in no order; some perhaps twice."""


class Balances(Protocol):
    """Where accounts' balances are known: `metering.Metering`."""

    async def balance(self, account: Account) -> Standing:
        """How the account stands, brought up to its plan."""


def known(account_of: AccountOf, id_: str) -> Account:
    """The account of `id_`. Raises Denied(not_found)."""
    account = account_of(id_)
    if account is None:
        raise Denied(Refusal.not_found, "There is no such account.")
    return account


class AccountsApi:
    """The accounts there are, and how they stand."""

    def __init__(self, accounts: Accounts, balances: Balances) -> None:
        self._accounts = accounts
        self._balances = balances

    def endpoints(self) -> list[Endpoint]:
        """What `Admin` is to serve."""
        return [
            Endpoint(
                "GET",
                "/-/accounts",
                self._list,
                "All accounts by their id, and how each stands.",
                AccountStandings,
                parameters=(AFTER, _LIKE, MOST),
                refusals=(Refusal.ledger_unavailable,),
            ),
            Endpoint(
                "GET",
                "/-/accounts/{id}",
                self._tell,
                "An account and how it stands.",
                AccountStanding,
                parameters=(ID,),
                refusals=(Refusal.not_found, Refusal.ledger_unavailable),
            ),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        after, like = request.query.get("after", ""), request.query.get("like", "").lower()
        most = whole(request, MOST)
        found = await _page(list(self._accounts.ids()), after, like, most + 1)
        # One may be revoked or reloaded away since it was found.
        accounts = [account for id_ in found[:most] if (account := self._accounts.account(id_)) is not None]
        documents: list[dict[str, object]] = []
        for start in range(0, len(accounts), _BROUGHT_UP):
            some = accounts[start : start + _BROUGHT_UP]
            standings = await asyncio.gather(*map(self._balances.balance, some))
            documents += map(account_document, some, standings)
        return answer(200, {"accounts": documents, "next": found[most - 1] if len(found) > most else None})

    async def _tell(self, request: web.Request) -> web.Response:
        account = known(self._accounts.account, request.match_info["id"])
        return answer(200, account_document(account, await self._balances.balance(account)))


async def _page(ids: list[str], after: str, like: str, most: int) -> list[str]:
    """The first ids behind `after` that are `like` that, `most` of them; others' work goes on meanwhile."""
    found: list[str] = []
    for start in range(0, len(ids), _LOOKED_THROUGH):
        some = {id_ for id_ in ids[start : start + _LOOKED_THROUGH] if id_ > after and like in id_.lower()}
        found = nsmallest(most, some.union(found))
        await asyncio.sleep(0)
    return found
