"""A request's way, put together; and what goes on without a request."""

from collections.abc import Callable

from gateway.admission.prepare import Preparer
from gateway.answering import Answering
from gateway.background.department import Background, within
from gateway.background.work import Parts
from gateway.fetch import Fetcher
from gateway.lookup import Live
from gateway.once import Once
from gateway.pipeline import Pipeline
from gateway.ports import Clock
from gateway.refreshes import Refreshes
from gateway.settlement import Settlement
from gateway.singles import Singles
from gateway.storage import Storage
from gateway.watch import Watch


class Way:
    """Of all requests: `live` is what they begin under, which may be replaced. `preparer` is the one in operation."""

    def __init__(
        self,
        storage: Storage,
        fetcher: Fetcher,
        settlement: Settlement,
        watch: Watch,
        clock: Clock,
        live: Live,
        preparer: Callable[[], Preparer],
    ) -> None:
        jobs, account_of = storage.jobs, storage.keyring.account
        self.answering = Answering(clock)
        once = Once(storage.idempotency, settlement, self.answering, clock)
        singles = Singles(jobs, preparer, clock)
        parts = Parts(
            live=lambda: self.live,
            preparer=preparer,
            account_of=within(account_of),
            cache=storage.cache,
            fetcher=fetcher,
            settlement=settlement,
            watch=watch,
            clock=clock,
        )
        self.background = Background(jobs, parts, once, self.answering)
        self.refreshes = Refreshes(
            jobs=jobs,
            singles=singles,
            live=lambda: self.live,
            preparer=preparer,
            account_of=account_of,
            fetcher=fetcher,
            settlement=settlement,
            watch=watch,
            clock=clock,
        )
        self.pipeline = Pipeline(
            live=live,
            cache=storage.cache,
            fetcher=fetcher,
            settlement=settlement,
            once=once,
            background=self.background,
            singles=singles,
            answering=self.answering,
            watch=watch,
            clock=clock,
        )

    @property
    def live(self) -> Live:
        """What requests begin under."""
        return self.pipeline.live

    def change(self, live: Live) -> None:
        """Have requests begin under this from now on."""
        self.pipeline.live = live
        self.background.worker.configure()

    async def finish(self) -> None:
        """Begin nothing more by itself, and wait for all that is under way."""
        await self.background.finish()
        await self.refreshes.finish()
        await self.pipeline.finish()
