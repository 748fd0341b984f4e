"""What the operators' API is made of: an endpoint for each thing that is seen or changed."""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.admin.accounts import AccountsApi
from gateway.admin.config import ConfigApi
from gateway.admin.endpoints import Endpoint
from gateway.admin.explaining import ExplainApi
from gateway.admin.grants import GrantsApi
from gateway.admin.keys import KeysApi
from gateway.admin.log import LogApi
from gateway.admin.refreshes import Ordering, RefreshesApi
from gateway.admin.stored import StoredApi
from gateway.admin.usage import UsageApi
from gateway.admission.prepare import Preparer
from gateway.cache import Cache
from gateway.explaining.live import Explainer, Operating
from gateway.health import Health
from gateway.keys.keyring import Keyring
from gateway.ledger.reports import Reports
from gateway.logs import Logs
from gateway.ports import Clock
from gateway.refreshes import Refreshes
from gateway.reload import Reloader


@dataclass(slots=True, frozen=True)
class Operators:
    """What operators see of a gateway that runs; `ordering` begins background refreshes."""

    keyring: Keyring
    operating: Operating
    cache: Cache
    preparer: Callable[[], Preparer]
    refreshes: Refreshes
    ordering: Ordering
    reloader: Reloader
    logs: Logs
    reports: Reports
    health: Health
    clock: Clock

    def endpoints(self) -> list[Endpoint]:
        """All that `Admin` is to serve."""
        keyring, meter, committed = self.keyring, self.operating.meter, self.operating.committed
        apis = (
            KeysApi(keyring),
            GrantsApi(keyring.account, meter, committed),
            AccountsApi(keyring, meter, committed),
            StoredApi(self.cache, self.preparer, self.clock),
            RefreshesApi(self.refreshes, keyring.account, self.ordering),
            ExplainApi(Explainer(self.operating), keyring.account),
            ConfigApi(self.reloader),
            LogApi(self.logs),
            UsageApi(self.reports, lambda: self.preparer().snapshot.timezone, self.clock, self.health),
        )
        return [endpoint for api in apis for endpoint in api.endpoints()]
