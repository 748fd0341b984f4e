"""Who sits where at the till by the present roster: each account takes its place anew when it is next seen."""

from math import inf

from gateway.admission.snapshot import Account
from gateway.ports import Clock
from gateway.roster import Roster
from gateway.till.holder import Holder
from gateway.till.place import Place
from gateway.till.renamed import Renamed


class Places:
    """The places of all accounts seen so far, and what is believed of their holders.

    A new roster leaves them all where they are, so that many accounts take no longer than few.
    """

    def __init__(self, clock: Clock) -> None:
        self.roster = Roster.of((), "UTC")
        self._renamed = Renamed(clock)
        self._holders: dict[str, Holder] = {}
        self._places: dict[str, Place] = {}
        self._number = 0

    def configure(self, roster: Roster) -> None:
        """Goes by another roster."""
        self._renamed.changed(self.roster, roster)
        self.roster = roster
        self._number += 1

    def enroll(self, account: Account) -> None:
        """Takes over one account that is new, or that has changed, as `configure` does for all."""
        self._renamed.enrolled(account, self.roster)
        self.roster.accounts[account.id] = account
        self.roster.caps.setdefault(account.organization, account.force_refresh_cap)
        place = self._places.get(account.id)
        if place is not None:
            # Whoever holds it must ask for the account's place again.
            place.until, place.roster = -inf, -1

    def holder(self, name: str) -> Holder:
        """What is believed of a holder; it stays the same object for good."""
        holder = self._holders.get(name)
        if holder is None:
            holder = self._holders[name] = Holder(name)
        return holder

    def of(self, account: Account) -> Place:
        """The account's place, which may have to be brought up to its plan."""
        place = self._places.get(account.id)
        return place if place is not None and place.roster == self._number else self._sit(account)

    def former(self, account: Account) -> str | None:
        """The holder whose balance the account takes over, unless somebody has taken that name: who has keeps it."""
        former = account.former
        return None if former is None or former in self.roster.accounts else former

    def in_use(self, name: str) -> int | None:
        """For how many microseconds it has known that a name is in use that was given up; None where it does not."""
        retired = name in self.roster.heirs and name not in self.roster.accounts
        return None if retired else self._renamed.since(name)

    def taken_over(self, former: str, holder: str) -> int | None:
        """For how many microseconds it has known that `holder` takes over what `former` has; None where it does not."""
        heir = self.roster.heirs.get(former)
        takes = heir is not None and heir.holder == holder and former not in self.roster.accounts
        return self._renamed.since(former) if takes else None

    def _sit(self, account: Account) -> Place:
        """A place by the present config; by the request's own for an account that is configured no more.

        One that has another name by now sits where that does: nobody grants to the former name again.
        """
        heir = self.roster.heirs.get(account.holder)
        if heir is not None and account.id not in self.roster.accounts:
            return self.of(heir)
        account = self.roster.accounts.get(account.id, account)
        cap = self.roster.caps.get(account.organization, account.force_refresh_cap)
        place = self._places[account.id] = Place(account, self.holder(account.holder), cap, self._number)
        return place
