"""What the steps of background refreshes go by: the config in operation, and the gateway's parts that they use."""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.admission.background import BackgroundPolicy
from gateway.admission.prepare import Preparer
from gateway.admission.snapshot import Account, Route, Snapshot
from gateway.cache import Cache
from gateway.fetch import Fetcher
from gateway.lookup import Live
from gateway.ports import Clock
from gateway.settlement import Settlement
from gateway.watch import Watch


@dataclass(slots=True, frozen=True)
class Parts:
    """What the worker is made of. `live` and `preparer` are those in operation.

    `account_of` finds who may be served what is stored in a share scope, None where the config knows nobody any more.
    """

    live: Callable[[], Live]
    preparer: Callable[[], Preparer]
    account_of: Callable[[str], Account | None]
    cache: Cache
    fetcher: Fetcher
    settlement: Settlement
    watch: Watch
    clock: Clock


@dataclass(slots=True, frozen=True)
class Work:
    """One entry of `background_refreshes`, and the config that it belongs to."""

    route: Route
    policy: BackgroundPolicy
    live: Live


def routes(snapshot: Snapshot) -> dict[str, Route]:
    """The route that begins each background refresh, by its name."""
    found = [route for route in snapshot.routes if route.background is not None and not route.tells_status]
    return {route.background.name: route for route in found if route.background is not None}


def work(live: Live, name: str) -> Work | None:
    """The background refresh `name`, None where the config has none."""
    route = routes(live.snapshot).get(name)
    if route is None or route.background is None:
        return None
    return Work(route, route.background, live)
