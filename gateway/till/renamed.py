"""Since when this node goes by what its config says of names that were given up; other nodes may have another one."""

from gateway.admission.snapshot import Account
from gateway.ports import Clock
from gateway.roster import Roster


class Renamed:
    """Names that a config of this process had an heir for, whether or not the present one has."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since: dict[str, float] = {}

    def changed(self, before: Roster, after: Roster) -> None:
        """Takes note of the names of which `after` says something else."""
        now = self._clock.steady()
        for name in before.heirs.keys() | after.heirs.keys():
            if _said(before, name) != _said(after, name):
                self._since[name] = now

    def enrolled(self, account: Account, roster: Roster) -> None:
        """The account has come to `roster`, perhaps by a name that was given up."""
        if account.id in roster.heirs:
            self._since[account.id] = self._clock.steady()

    def since(self, name: str) -> int | None:
        """For how many microseconds the same has been said of it; None where nothing ever was."""
        since = self._since.get(name)
        return None if since is None else round((self._clock.steady() - since) * 1_000_000)


def _said(roster: Roster, name: str) -> tuple[str | None, bool]:
    """Who takes it over, and whether it is in use."""
    heir = roster.heirs.get(name)
    return None if heir is None else heir.holder, name in roster.accounts
