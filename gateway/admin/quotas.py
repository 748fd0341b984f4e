"""The operators' API for quotas: the accounts that have used most of theirs."""

from typing import Protocol

from aiohttp import web

from gateway.admin.accounts import AccountStanding
from gateway.admin.content import answer, whole
from gateway.admin.endpoints import Endpoint, Parameter
from gateway.admin.lately import Lately
from gateway.answers.account import account_document
from gateway.config.section import Section
from gateway.keys.listing import instant
from gateway.ports import Clock
from gateway.quotas import Near

# So many are found at once, whoever asks for fewer, and not again for so many seconds.
_MOST, _SECONDS = 100, 5.0

_HOW_MANY = Parameter(
    "most", "How many to tell at most.", {"type": "integer", "minimum": 1, "maximum": _MOST, "default": 20}
)


class NearQuota(AccountStanding):
    """An account that has used some of its present grant; of those that share a balance, the first."""

    used: float
    """How much of `granted` neither `balance` nor `reserved` has any more: 1 is all of it."""


class NearQuotas(Section):
    """Those that have used the largest part, it first."""

    accounts: tuple[NearQuota, ...]
    as_of: str


class Reading(Protocol):
    """Where balances are read, and not brought up to their plans: `metering.Metering`."""

    async def nearest(self, most: int) -> list[Near]:
        """The `most` accounts that have used the largest part of their present grant, it first."""


class QuotasApi:
    """What `balances` has, read every few seconds at most."""

    def __init__(self, balances: Reading, clock: Clock) -> None:
        self._balances = balances
        self._clock = clock
        self._lately = Lately[tuple[str | None, list[dict[str, object]]]](clock, _SECONDS)

    def endpoints(self) -> list[Endpoint]:
        """What `Admin` is to serve."""
        # Not below /-/accounts/: any account may have any id.
        return [
            Endpoint(
                "GET",
                "/-/quotas",
                self._tell,
                "The accounts nearest to the end of their grant, as they stood some seconds ago at most.",
                NearQuotas,
                parameters=(_HOW_MANY,),
            )
        ]

    async def _tell(self, request: web.Request) -> web.Response:
        most = whole(request, _HOW_MANY)
        as_of, documents = await self._lately.get(self._find)
        return answer(200, {"accounts": documents[:most], "as_of": as_of})

    async def _find(self) -> tuple[str | None, list[dict[str, object]]]:
        near = await self._balances.nearest(_MOST)
        return instant(self._clock.wall()), [_document(one) for one in near]


def _document(near: Near) -> dict[str, object]:
    return account_document(near.account, near.standing) | {"used": near.used}
