"""Operations of the fleet's ledger, as the node that has begun them knows them."""

from dataclasses import dataclass

from gateway.admission.charge import Quote
from gateway.admission.snapshot import Route
from gateway.ledger.records import Reserve
from gateway.reservation import Reservation, State
from gateway.till.place import Place


@dataclass(slots=True, eq=False)
class Held(Reservation):
    """A reservation. `late`: it has ended without its caller, who finds that done when it tries again."""

    late: bool = False

    def expect(self, state: State) -> None:
        """Raises RuntimeError where it is in another state."""
        if self.state is not state:
            raise RuntimeError(f"operation {self.reserve.id} is {self.state.value}, not {state.value}")

    def end(self) -> None:
        """It has ended, and its caller does not know."""
        self.state, self.tokens, self.late = State.ended, 0, True


class Draft:
    """Operation `number` before it is admitted: its record is made anew whenever it is asked for in another term."""

    def __init__(
        self, number: int, place: Place, route: Route, quote: Quote, tokens: int, request: str, wall: float
    ) -> None:
        self._place = place
        account = place.account
        who = account.id, account.holder, account.organization
        self.record = Reserve(number, *who, route.name, route.upstream, None, tokens, quote.lines, request, wall)

    def made(self) -> Reserve:
        """The record in the term that is believed now."""
        if not self._place.unlimited:
            self.record = self.record._replace(period=self._place.holder.term.period)
        return self.record
