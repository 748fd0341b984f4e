"""Who may spend, as the meter looks it up: worked out from a config's accounts before it is swapped in."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gateway.admission.snapshot import Account, Rate
from gateway.ledger.periods import Calendar


@dataclass(slots=True, frozen=True)
class Roster:
    """Accounts by id, by the holder whose balance they take over, and the organizations' caps.

    The dicts belong to the meter that it is given to, which adds keys made later.
    """

    calendar: Calendar
    accounts: dict[str, Account]
    heirs: Mapping[str, Account]
    caps: dict[str, Rate | None]

    @classmethod
    def of(cls, accounts: Iterable[Account], timezone: str) -> "Roster":
        """Of several that share an id the last one counts. Grants go by the calendar of `timezone`."""
        known = {account.id: account for account in accounts}
        return cls(
            calendar=Calendar(timezone),
            accounts=known,
            heirs={account.former: account for account in known.values() if account.former is not None},
            caps={account.organization: account.force_refresh_cap for account in known.values()},
        )
