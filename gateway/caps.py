"""The organizations' caps on force refreshes: one window each, whichever config or process admitted what is in it."""

from collections.abc import Iterable, Mapping

from gateway.admission.snapshot import Account, Rate
from gateway.admission.throttle import SlidingWindow
from gateway.ledger.records import Forced
from gateway.ports import Clock


class Caps:
    """Windows by the present config's rates; `forced` are the force refreshes before the start that may still count."""

    def __init__(self, forced: Iterable[Forced], clock: Clock) -> None:
        self._clock = clock
        self._rates: Mapping[str, Rate | None] = {}
        self._windows: dict[str, SlidingWindow] = {}
        self._forced = _by_organization(forced)

    def configure(self, rates: Mapping[str, Rate | None]) -> None:
        """Go by these rates, to which some may be added; what the former ones admitted still counts.

        Each organization's window is to be asked for again, and it is no more work for many than for few.
        """
        self._rates = rates

    def window(self, account: Account) -> SlidingWindow | None:
        """The organization's one window. Its rate is the present config's, whichever config `account` is from."""
        organization = account.organization
        cap = self._rates.get(organization, account.force_refresh_cap)
        if cap is None:
            return None
        window = self._windows.get(organization)
        if window is None:
            now = self._clock.steady()
            ages = [self._age(record) for record in self._forced.pop(organization, ())]
            window = self._windows[organization] = _restored(cap, (now - age for age in ages))
        elif window.rate != cap and organization in self._rates:
            window = self._windows[organization] = _restored(cap, window.times)
        return window

    def undo(self, organization: str) -> None:
        """Take back the newest of the window that counts now: another config may have come since."""
        window = self._windows.get(organization)
        if window is not None:
            window.undo()

    def _age(self, forced: Forced) -> float:
        """Seconds since a force refresh before the start: exact within one boot, else by the wall clock."""
        boot, uptime = self._clock.uptime()
        since = uptime - forced.uptime if boot and boot == forced.boot else self._clock.wall() - forced.at
        return max(0.0, since)


def _by_organization(forced: Iterable[Forced]) -> dict[str, list[Forced]]:
    found: dict[str, list[Forced]] = {}
    for record in forced:
        found.setdefault(record.organization, []).append(record)
    return found


def _restored(cap: Rate, times: Iterable[float]) -> SlidingWindow:
    window = SlidingWindow(cap)
    window.restore(times)
    return window
