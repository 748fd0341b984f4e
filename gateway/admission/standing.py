"""How an account stands, as its owner and operators may read it."""

from dataclasses import dataclass

from gateway.admission.charge import Charge


@dataclass(slots=True, frozen=True)
class Standing:
    """In tokens: `balance` can be spent now, `reserved` is set aside for operations under way.

    `charged` is all that was ever charged, net of refunds; `granted` is the present period's grant. `balance` and
    `granted` are None where the plan is unlimited. `cap_remaining` is how many force refreshes the organization's cap
    has room for now, None where it has no cap. `limits` is a charge of nothing: its renewal and its throttle.
    """

    balance: int | None
    reserved: int
    charged: int
    granted: int | None
    cap_remaining: int | None
    limits: Charge
