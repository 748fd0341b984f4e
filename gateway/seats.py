"""Who sits where at the meter by the present roster: each account takes its seat anew when it is next seen."""

from math import inf

from gateway.admission.snapshot import Account
from gateway.admission.throttle import TokenBucket
from gateway.caps import Caps
from gateway.ledger.accounts import Accounts
from gateway.ledger.seat import Seat
from gateway.roster import Roster
from gateway.untracked import untracked


class Seats:
    """The seats of all accounts seen so far, on the balances of `accounts`.

    A new roster leaves them all where they are, so that many accounts take no longer than few.
    """

    def __init__(self, accounts: Accounts, caps: Caps) -> None:
        self.roster = Roster.of((), "UTC")
        self._accounts = accounts
        self._caps = caps
        self._seats: dict[str, Seat] = {}
        self._number = 0

    def configure(self, roster: Roster) -> None:
        """Goes by another roster; a throttle goes on as it is unless its own setting changed.

        A cap that changed still counts what the former one has admitted.
        """
        self.roster = roster
        self._caps.configure(roster.caps)
        self._number += 1

    def enroll(self, account: Account) -> None:
        """Takes over one account that is new, or that has changed, as `configure` does for all."""
        self.roster.accounts[account.id] = account
        self.roster.caps.setdefault(account.organization, account.force_refresh_cap)
        seat = self._seats.get(account.id)
        if seat is not None:
            # Whoever holds it must ask for the account's seat again.
            seat.until = -inf
            seat.roster = -1

    def of(self, account: Account) -> Seat:
        """The account's seat, which may have to be brought up to its plan."""
        seat = self._seats.get(account.id)
        return seat if seat is not None and seat.roster == self._number else self._sit(account, seat)

    def _sit(self, account: Account, former: Seat | None) -> Seat:
        """A seat by the present config; by the request's own for an account that is configured no more.

        One that has another name by now sits where that does: nobody grants to the former name again.
        """
        heir = self.roster.heirs.get(account.holder)
        if heir is not None and account.id not in self.roster.accounts:
            return self.of(heir)
        account = self.roster.accounts.get(account.id, account)
        policy, bucket = account.plan.throttle, None if former is None else former.bucket
        if bucket is None or bucket.policy != policy:
            bucket = untracked(TokenBucket(policy)) if policy is not None else None
        balance = self._accounts.balance(account.holder)
        seat = self._seats[account.id] = untracked(Seat(account, balance, bucket, self._caps.window(account)))
        seat.roster = self._number
        return seat
