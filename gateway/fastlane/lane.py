"""From heads' bytes to answers', for hits: once a turn, find who asks and what for, admit, charge and answer.

Nothing is charged without its answer, and no answer leaves before its charge is in the journal: what the journal does
not take is undone and goes the full lane, like everything that is no plain hit. A plain lookup that misses was read
and prepared here, so that the steps behind that begin at once; all else is read by aiohttp.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import takewhile
from typing import Any

from gateway.admission.charge import Quote
from gateway.admission.outcomes import Outcome
from gateway.admission.prepared import Prepared
from gateway.answers.limits import token_form
from gateway.errors import Problem
from gateway.fastlane.cashier import Cashier
from gateway.fastlane.heads import Given, Heads, Parsed, given_id, stripped
from gateway.fastlane.plan import Plan, What, for_one
from gateway.fastlane.planning import Planning
from gateway.fastlane.run import Client, Run
from gateway.fastlane.turn import Turn
from gateway.fastlane.who import Seat, Tab, Who
from gateway.lookup import Live
from gateway.messages import Answer
from gateway.ports import Clock
from gateway.watch import Watch

# Heads that are looked at in one go, some five milliseconds: of more, the rest is the next turn's.
_MOST = 512
_NONE_GIVEN: Given = ()
_UNMETERED = ((None, None),)

FullLane = Callable[[Prepared, Live], Coroutine[Any, Any, Answer]]
"""The steps of a request's way behind its preparing, which answer it whatever happens."""


class FastLane:
    """Answers the hits among requests whose field lines it has learnt, and leaves all else. It goes with its config."""

    def __init__(
        self, heads: Heads, planning: Planning, cashier: Cashier, full: FullLane, watch: Watch, clock: Clock
    ) -> None:
        self._heads = heads
        self._longest = heads.longest
        self._planning = planning
        self._cashier = cashier
        self._full = full
        self._watch = watch
        self._clock = clock
        self._arrived: list[tuple[Client, bytes]] = []

    def take(self, client: Client, data: bytes) -> bool:
        """Whether it looks at what `client` sent, when all of this turn is there: then it answers or declines."""
        if len(data) > self._longest:
            return False
        arrived = self._arrived
        if not arrived:
            asyncio.get_running_loop().call_soon(self._serve)
        arrived.append((client, data))
        return True

    def learn(self, client: Client, data: bytes, parsed: Parsed) -> None:
        """Remember what aiohttp's parser made of `data`, all of one head and nothing else."""
        # Where the account's grant is due and cannot be written, there is nothing to learn.
        with suppress(Problem):
            self._heads.learn(client.address, data, parsed)

    def shrink(self, most: int) -> bool:
        """Give up to so many of what is remembered back, used or not; False once nothing is left."""
        return self._planning.shrink(most) or self._heads.shrink(most)

    def _serve(self) -> None:
        """The turn: admit all that are hits, have that written, and answer; decline the others."""
        arrived, self._arrived = self._arrived[:_MOST], self._arrived[_MOST:]
        if self._arrived:
            asyncio.get_running_loop().call_soon(self._serve)
        turn = Turn(self._clock.steady(), self._clock.wall())
        declined = []
        for clients, data in self._runs(arrived):
            admitted = self._admitted(turn, clients, data)
            if admitted < len(clients):
                declined += [(client, data) for client in clients[admitted:]]
        if turn.runs:
            self._cashier.end(partial(self._ended, turn))
        for client, data in declined:
            client.decline(data)
        for client, prepared in turn.missed:
            client.serve(self._full(prepared, self._planning.live), bodiless=prepared.request.method == "HEAD")

    def _runs(self, arrived: Sequence[tuple[Client, bytes]]) -> Iterator[tuple[list[Client], bytes]]:
        """Those who sent the same, one after the other, together."""
        clients, last, first, believes = list[Client](), b"", "", self._heads.believes
        for client, data in arrived:
            address = client.address
            if data == last and clients and (address == first or believes(address) == believes(first)):
                clients.append(client)
                continue
            if clients:
                yield clients, last
            clients, last, first = [client], data, address
        yield clients, last

    def _admitted(self, turn: Turn, clients: Sequence[Client], data: bytes) -> int:
        """As `_admit`; where that fails, those who were charged before are answered all the same."""
        before = len(turn.runs)
        try:
            return self._admit(turn, clients, data)
        except Exception as error:  # noqa: BLE001 - a bug of ours must leave nobody without an answer
            # A Problem is that of a closed ledger.
            if not isinstance(error, Problem):
                self._watch.broken(error)
        return sum([len(run.clients) for run in turn.runs[before:]])

    def _admit(self, turn: Turn, clients: Sequence[Client], data: bytes) -> int:
        """How many of those who sent the same are admitted, the first ones."""
        end = data.find(b"\r\n")
        line, address, given = data[:end], clients[0].address, _NONE_GIVEN
        whos = self._heads.known(address)
        who = whos.get(data[end:])
        if who is None:
            lines, given = stripped(data[end:])
            who = whos.get(lines) or self._heads.recognised(address, lines)
            if who is None:
                return 0
        what = self._planning.find(who, line, address, turn.now)
        if what is None:
            return 0
        if isinstance(what, Prepared):
            return self._miss(turn, clients, who, what, given)
        id_ = given_id(given) if given else None
        plan, seat = what.plan, who.seat
        if seat is None or not plan.counted:
            alone = (self._admit_one(turn, client, data, who, what, id_) for client in clients)
            return sum(1 for _ in takewhile(bool, alone))
        tab = self._tab(turn, who, seat, plan)
        run = Run(clients, data, who, what, who.form, id_, tab.tokens, None, ())
        admitted = self._cashier.pay(turn, run, tab) if turn.wall < who.expires else 0
        if not admitted:
            self._leave(who)
            return 0
        turn.runs.append(run)
        return admitted

    def _miss(self, turn: Turn, clients: Sequence[Client], who: Who, prepared: Prepared, given: Given) -> int:
        """How many go on with what was prepared, all or none; they are admitted there."""
        if who.account is not None and self._cashier.seat(who.account) is not who.seat:
            self._heads.forget(who)
            return 0
        each = [for_one(prepared, who, given, client.address) for client in clients]
        turn.missed += [(client, one) for client, one in zip(clients, each, strict=True) if one is not None]
        return len(clients) if each[0] is not None else 0

    def _tab(self, turn: Turn, who: Who, seat: Seat, plan: Plan) -> Tab:
        """Where hits by this plan are charged in this minute."""
        tab = who.tab
        if tab is None or tab.minute != turn.minute or who.plan is not plan:
            tab = who.tab = seat.tab(plan.route, plan.tokens, Outcome.hit.name, turn.wall)
            who.plan = plan
        if seat.limits is not who.limits:
            who.limits, who.form = seat.limits, token_form(seat.limits)
        return tab

    def _admit_one(self, turn: Turn, client: Client, data: bytes, who: Who, what: What, id_: bytes | None) -> bool:
        """A hit that costs nothing, or more than a plain lookup: that is charged by itself and has a receipt."""
        plan, run = what.plan, Run((client,), data, who, what, who.form, id_, 0, None, _UNMETERED, b"")
        if plan.quote is None:
            self._cashier.give(run)
        elif not self._sold(turn, run, plan.quote):
            return False
        if plan.ahead is not None and 0 <= what.stored.hits < plan.ahead.hits:
            what.stored.hits += 1
        turn.runs.append(run)
        return True

    def _sold(self, turn: Turn, run: Run, quote: Quote) -> bool:
        """Whether it is charged; if not nothing was taken, and the full lane has to refuse it."""
        who, run.id_ = run.who, run.id_ or self._watch.new_id().encode()
        if who.account is None or who.seat is None or turn.wall >= who.expires or not who.seat.current(turn.wall):
            self._leave(who)
            return False
        return self._cashier.sell(turn, run, quote)

    def _ended(self, turn: Turn, problem: Problem | None) -> None:
        if problem is None:
            turn.answer(self._watch, self._clock.steady())
        else:
            turn.decline()

    def _leave(self, who: Who) -> None:
        """The full lane says what is wrong; whoever's seat is another one by now is learnt anew there."""
        who.tab = None
        if who.account is None:
            return
        with suppress(Problem):
            if self._cashier.seat(who.account) is not who.seat:
                self._heads.forget(who)
