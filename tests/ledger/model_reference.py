"""What balances, throttles and caps must be, in plain Python: the rules once more, without the code under test.

Times are seconds: `mono` on a clock that nobody sets, `wall` as the machine's clock says.
"""

from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal, NamedTuple

from ledger.model_purse import Purse, Term, price, renewed

from gateway.admission.charge import Quote
from gateway.admission.snapshot import Account, Every, Rate

State = Literal["reserved", "settled", "ended"]


class Operation(NamedTuple):
    """One reservation: where its tokens came from, how far it has come, and what it paid at first and pays now."""

    account: Account
    holder: str
    origin: Term | None
    quote: Quote
    state: State = "reserved"
    charged: int = 0
    paid: int = 0


class Force(NamedTuple):
    """An admitted force refresh against its organization's cap."""

    organization: str
    mono: float


@dataclass
class Books:
    """What is lost or kept as a whole: committed, undone or gone with the process."""

    purses: dict[str, Purse] = field(default_factory=dict)
    operations: dict[int, Operation] = field(default_factory=dict)
    charged: Counter[str] = field(default_factory=Counter)
    forced: tuple[Force, ...] = ()
    spent: int = 0

    def copy(self) -> "Books":
        return Books(dict(self.purses), dict(self.operations), self.charged.copy(), self.forced, self.spent)


class Bucket(NamedTuple):
    """A throttle's requests to spare, as of `mono`."""

    rate: Rate
    burst: int
    level: Fraction
    mono: float

    def at(self, mono: float) -> "Bucket":
        gained = Fraction(mono - self.mono) * self.rate.count / Fraction(self.rate.seconds)
        return self._replace(level=min(Fraction(self.burst), self.level + gained), mono=mono)


class Reference:
    """All that the meter must know. What was done since the latest `commit` can be undone, or be lost in a crash."""

    def __init__(self) -> None:
        self.books = Books()
        self.committed = Books()
        self.accounts: dict[str, Account] = {}
        self.buckets: dict[str, Bucket] = {}
        self.taken: list[str] = []

    # What the config and the process do

    def configure(self, accounts: tuple[Account, ...]) -> None:
        self.accounts = {account.id: account for account in accounts}

    def commit(self) -> None:
        self.committed = self.books.copy()
        self.taken.clear()

    def undo(self) -> None:
        """The journal did not take what was done since the latest commit."""
        self.books = self.committed.copy()
        for name in self.taken:
            if bucket := self.buckets.get(name):
                self.buckets[name] = bucket._replace(level=min(Fraction(bucket.burst), bucket.level + 1))
        self.taken.clear()

    def restart(self) -> None:
        """A new process: what was committed is there, what was open is given back, throttles begin full."""
        self.books = self.committed.copy()
        self.buckets.clear()
        self.taken.clear()
        for number, operation in self.books.operations.items():
            if operation.state == "reserved":
                self._close(number, 0)
            self.books.operations[number] = self.books.operations[number]._replace(state="ended")

    # What accounts do

    def present(self, account: Account) -> Account:
        """By the present config; who is configured no more goes on as whoever took over, else as before."""
        if account.id in self.accounts:
            return self.accounts[account.id]
        heirs = [heir for heir in self.accounts.values() if heir.former == account.holder]
        return heirs[0] if heirs else account

    def look(self, account: Account, wall: float) -> Purse:
        """The balance, brought up to its plan."""
        self.sit(account)
        if account.former is not None:
            self._inherit(account.former, account.holder)
        purse = renewed(self.purse(account.holder), account.plan, wall)
        self.put(account.holder, purse)
        return purse

    def purse(self, holder: str) -> Purse:
        return self.books.purses.get(holder, Purse())

    def put(self, holder: str, purse: Purse) -> None:
        self.books.purses[holder] = purse
        if purse == Purse():
            del self.books.purses[holder]

    def admit(self, account: Account, tokens: int, forced: bool, wall: float, mono: float) -> str | None:
        """Why the request is refused; None when it is admitted, and has taken its room in throttle and cap."""
        purse, cap, bucket = self.look(account, wall), account.force_refresh_cap, self.bucket(account, mono)
        if bucket is not None and bucket.level < 1:
            return "throttled"
        if forced and cap is not None and self.in_window(account.organization, cap.seconds, mono) >= cap.count:
            return "force_refresh_capped"
        if account.plan.grant is not None and purse.balance < tokens:
            return "quota_exhausted" if account.plan.every is Every.never else "quota_exceeded"
        if bucket is not None:
            self.buckets[account.id] = bucket._replace(level=bucket.level - 1)
            self.taken.append(account.id)
        if forced and cap is not None:
            self.books.forced += (Force(account.organization, mono),)
        return None

    def charge(self, account: Account, outcome: str, quote: Quote) -> None:
        purse, tokens = self.purse(account.holder), price(outcome, quote)
        purse = purse.take(tokens, unlimited=account.plan.grant is None)
        self.put(account.holder, purse._replace(charged=purse.charged + tokens))
        self.books.charged[account.id] += tokens

    def sold(self, number: int, account: Account, quote: Quote, tokens: int) -> None:
        """The charge just made is an operation, with a number that nobody has."""
        assert number not in self.books.operations
        self.books.operations[number] = Operation(account, account.holder, None, quote, "ended", tokens, tokens)

    def reserve(self, number: int, account: Account, quote: Quote) -> None:
        assert number not in self.books.operations
        unlimited, tokens = account.plan.grant is None, quote.total
        purse = self.purse(account.holder).take(tokens, unlimited=unlimited)
        self.put(account.holder, purse._replace(reserved=purse.reserved + tokens))
        origin = None if unlimited else purse.term
        self.books.operations[number] = Operation(account, account.holder, origin, quote)

    def settle(self, number: int, outcome: str) -> int:
        """The tokens it costs."""
        tokens = price(outcome, self.books.operations[number].quote)
        account = self.books.operations[number].account
        self._close(number, tokens)
        self.books.charged[account.id] += tokens
        return tokens

    def release(self, number: int) -> None:
        self._close(number, 0)
        self.books.operations[number] = self.books.operations[number]._replace(state="ended")

    def refund(self, number: int) -> None:
        operation = self.books.operations[number]
        purse = self.purse(operation.holder)
        purse = purse._replace(charged=purse.charged - operation.paid).give(operation.paid, operation.origin)
        self.put(operation.holder, purse)
        self.books.operations[number] = operation._replace(state="ended", paid=0)
        self.books.charged[operation.account.id] -= operation.paid

    def correct(self, holder: str, tokens: int) -> None:
        purse = self.purse(holder)
        self.put(holder, purse._replace(granted=purse.granted + tokens, balance=purse.balance + tokens))

    # What holds them back

    def sit(self, account: Account) -> None:
        """Whoever is seen under another throttle than before begins with a full one."""
        policy, bucket = account.plan.throttle, self.buckets.get(account.id)
        if bucket is not None and (policy is None or (policy.rate, policy.burst) != (bucket.rate, bucket.burst)):
            del self.buckets[account.id]

    def bucket(self, account: Account, mono: float) -> Bucket | None:
        policy = account.plan.throttle
        if policy is None:
            return None
        full = Bucket(policy.rate, policy.burst, Fraction(policy.burst), mono)
        self.buckets[account.id] = self.buckets.get(account.id, full).at(mono)
        return self.buckets[account.id]

    def in_window(self, organization: str, seconds: float, mono: float) -> int:
        """Force refreshes in the `seconds` up to now, both ends included."""
        return sum(force.organization == organization and mono - force.mono <= seconds for force in self.books.forced)

    def _inherit(self, former: str, holder: str) -> None:
        """All but what is still reserved."""
        old, new = self.purse(former), self.purse(holder)
        heir = Purse(
            granted=new.granted + old.granted - old.reserved,
            charged=new.charged + old.charged,
            reserved=new.reserved,
            lapsed=new.lapsed + old.lapsed,
            balance=new.balance + old.balance,
            term=max(old.term, new.term),
        )
        self.put(holder, heir)
        self.put(former, Purse(granted=old.reserved, reserved=old.reserved))

    def _close(self, number: int, tokens: int) -> None:
        operation = self.books.operations[number]
        purse, total = self.purse(operation.holder), operation.quote.total
        purse = purse._replace(reserved=purse.reserved - total, charged=purse.charged + tokens)
        self.put(operation.holder, purse.give(total - tokens, operation.origin))
        self.books.operations[number] = operation._replace(state="settled", charged=tokens, paid=tokens)
