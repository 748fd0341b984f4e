"""What the operators' API is made of: an endpoint for each thing that is seen or changed."""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.admin.accounts import AccountsApi
from gateway.admin.config import ConfigApi
from gateway.admin.endpoints import Endpoint
from gateway.admin.explaining import ExplainApi
from gateway.admin.grants import GrantsApi
from gateway.admin.history import HistoryApi
from gateway.admin.keys import KeysApi
from gateway.admin.log import LogApi
from gateway.admin.overview import OverviewApi
from gateway.admin.quotas import QuotasApi
from gateway.admin.refreshes import Ordering, RefreshesApi
from gateway.admin.refused import RefusedApi
from gateway.admin.stored import StoredApi
from gateway.admin.summary import SummaryApi
from gateway.admin.usage import UsageApi
from gateway.admission.prepare import Preparer
from gateway.cache import Cache
from gateway.explaining.live import Explainer, Operating
from gateway.health import Health
from gateway.history import History
from gateway.keys.keyring import Keyring
from gateway.ledger.reports import Reports
from gateway.ports import Clock
from gateway.refreshes import Refreshes
from gateway.reload import Reloader
from gateway.whole import Whole


@dataclass(slots=True, frozen=True)
class Operators:
    """What operators see of a gateway that runs; `ordering` begins background refreshes.

    `memory` tells the bytes that may be stored in memory; it all `started` then, in wall-clock seconds.
    """

    keyring: Keyring
    operating: Operating
    cache: Cache
    preparer: Callable[[], Preparer]
    refreshes: Refreshes
    ordering: Ordering
    reloader: Reloader
    reports: Reports
    health: Health
    whole: Whole
    history: History
    memory: Callable[[], int]
    started: float
    clock: Clock

    def endpoints(self) -> list[Endpoint]:
        """All that `Admin` is to serve."""
        keyring, meter = self.keyring, self.operating.meter
        scheme = self.preparer().snapshot.scheme
        apis = (
            self._overview(),
            HistoryApi(self.history, self.clock),
            RefusedApi(self.whole.refusals),
            KeysApi(keyring),
            GrantsApi(keyring.account, meter),
            AccountsApi(keyring, meter),
            QuotasApi(meter, self.clock),
            StoredApi(self.cache, self.preparer, self.clock),
            SummaryApi(self.whole.stored),
            RefreshesApi(self.refreshes, keyring.account, self.ordering, scheme),
            ExplainApi(Explainer(self.operating), keyring.account, scheme),
            ConfigApi(self.reloader),
            LogApi(self.whole),
            UsageApi(self.reports, lambda: self.preparer().snapshot.timezone, self.clock, self.health),
        )
        return [endpoint for api in apis for endpoint in api.endpoints()]

    def _overview(self) -> OverviewApi:
        return OverviewApi(
            metrics=self.whole.metrics,
            doors=self.whole,
            reloads=self.reloader,
            preparer=self.preparer,
            state=self.whole.upstream,
            limit=self.memory,
            started=self.started,
            clock=self.clock,
        )
