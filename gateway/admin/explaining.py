"""The operators' API for explanations: what would become of a request, without sending it."""

from collections.abc import Awaitable
from typing import Protocol

from aiohttp import web

from gateway.admin.accounts import AccountOf, known
from gateway.admin.content import answer, read_order
from gateway.admin.endpoints import Endpoint
from gateway.admin.refusals import Refusal
from gateway.admission.snapshot import Account
from gateway.explaining.asking import Question, request_for
from gateway.explaining.explanation import Explanation
from gateway.messages import Request


class Explaining(Protocol):
    """`explaining.live.Explainer`."""

    def explain(self, request: Request, account: Account | None = None) -> Awaitable[Explanation]:
        """What would become of `request`; with an `account`, as that one's."""


class ExplainApi:
    """Has `explainer` explain; `scheme` is the one that clients reach the gateway by."""

    def __init__(self, explainer: Explaining, account_of: AccountOf, scheme: str = "http") -> None:
        self._explainer = explainer
        self._account_of = account_of
        self._scheme = scheme

    def endpoints(self) -> list[Endpoint]:
        """What `Admin` is to serve."""
        summary = "What would become of a request, without a fetch and without a charge."
        return [
            Endpoint(
                "POST",
                "/-/explain",
                self._explain,
                summary,
                Explanation,
                order=Question,
                refusals=(Refusal.not_found, Refusal.ledger_unavailable),
            )
        ]

    async def _explain(self, request: web.Request) -> web.Response:
        question = await read_order(request, Question)
        account = None if question.account is None else known(self._account_of, question.account)
        asked = request_for(question.method, question.url, question.headers, self._scheme)
        return answer(200, (await self._explainer.explain(asked, account)).model_dump())
