"""Background calls of one upstream, for as long as the foreground, its breakers and its own limits make them wait."""

import asyncio
from collections import OrderedDict
from math import inf

from gateway.admission.allowance import Allowance
from gateway.alarm import Alarm
from gateway.errors import Problem, Reason
from gateway.ports import Clock
from gateway.upstreams.circuit import Circuit, Pass
from gateway.upstreams.gate import Gate

# Seconds after which it is looked again while a probe is under way: nobody says so when it is given up as lost.
_PROBING = 1.0

# Who is told in one turn of the loop that the wait is over for good.
_SENT_OFF = 100


class Backlog:
    """First come, first served, behind every request of the foreground; without a bound in number or time.

    Whoever waits is let in by an event, an exchange's end in most cases, or by the one timer there is.
    """

    def __init__(self, gate: Gate, circuit: Circuit, allowance: Allowance, clock: Clock) -> None:
        self._gate = gate
        self._circuit = circuit
        self._allowance = allowance
        self._clock = clock
        # Who has a call to send, and whether with content; each gets leave to, None where there will be none.
        self._sending: OrderedDict[asyncio.Future[Pass | None], bool] = OrderedDict()
        # Who asks for no more than whether there is room; each hears whether there will be.
        self._looking: OrderedDict[asyncio.Future[bool], None] = OrderedDict()
        self._alarm = Alarm(self.let_in)
        self._ended = False
        gate.freed = self.let_in

    async def room(self) -> None:
        """Return once a call may be sent; raises Problem(upstream_unavailable) at the end."""
        if self._ended:
            raise _gone()
        waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._looking[waiter] = None
        self.let_in()
        try:
            if not await waiter:
                raise _gone()
        except BaseException:
            self._looking.pop(waiter, None)
            raise

    async def enter(self, *, uploads: bool) -> Pass:
        """Leave to send one call and a place at the gate, both once there are; raises Problem(upstream_unavailable)."""
        while True:
            leave = await self._queue_up(uploads=uploads)
            if self._circuit.holds(leave):
                return leave
            # Its breaker has opened since, in this very turn of the loop.
            self._gate.leave_unused()

    def let_in(self) -> None:
        """Let in whoever may be: called whenever that may have changed."""
        if self._ended or not (self._sending or self._looking):
            return
        while self._sending:
            waiter, uploads = next(iter(self._sending.items()))
            if not waiter.done():
                if not self._is_open():
                    return
                self._gate.take()
                waiter.set_result(self._circuit.admit(uploads=uploads))
            del self._sending[waiter]
        self._let_look()

    def end(self) -> None:
        """Nobody is let in any more; those who wait hear of it, some in each turn of the loop."""
        self._ended = True
        self._alarm.stop()
        self._send_off()

    async def _queue_up(self, *, uploads: bool) -> Pass:
        if self._ended:
            raise _gone()
        waiter: asyncio.Future[Pass | None] = asyncio.get_running_loop().create_future()
        self._sending[waiter] = uploads
        self.let_in()
        try:
            leave = await waiter
        except BaseException:
            self._abandon(waiter)
            raise
        if leave is None:
            raise _gone()
        return leave

    def _let_look(self) -> None:
        """One in each turn of the loop, as what the first finds free the next may find taken."""
        while self._looking and self._is_open():
            waiter, _ = self._looking.popitem(last=False)
            if not waiter.done():
                waiter.set_result(True)
                asyncio.get_running_loop().call_soon(self.let_in)
                return

    def _is_open(self) -> bool:
        """Whether a call may be sent now; where time alone can tell when, it is looked again then."""
        pause = self._pause()
        if 0.0 < pause < inf:
            self._alarm.by(asyncio.get_running_loop().time() + pause)
        return pause == 0.0

    def _pause(self) -> float:
        """Seconds until it may, infinity until something happens."""
        pause = self._gate.pause()
        if pause == inf:
            return pause
        pause = max(pause, self._allowance.wait(self._clock.steady(), self._clock.wall(), self._gate.background))
        if pause == 0.0 and not self._circuit.admits():
            pause = self._circuit.wait() or _PROBING
        return pause

    def _abandon(self, waiter: asyncio.Future[Pass | None]) -> None:
        """What was given in the very moment of giving up is given back."""
        self._sending.pop(waiter, None)
        if waiter.done() and not waiter.cancelled() and (leave := waiter.result()) is not None:
            self._circuit.gave_up(leave)
            self._gate.leave_unused()

    def _send_off(self) -> None:
        for _ in range(min(_SENT_OFF, len(self._sending))):
            leaving, _uploads = self._sending.popitem(last=False)
            if not leaving.done():
                leaving.set_result(None)
        for _ in range(min(_SENT_OFF, len(self._looking))):
            looking, _none = self._looking.popitem(last=False)
            if not looking.done():
                looking.set_result(False)
        if self._sending or self._looking:
            asyncio.get_running_loop().call_soon(self._send_off)


def _gone() -> Problem:
    """Nothing was sent, and another instance of the upstream may be asked at once."""
    return Problem(Reason.upstream_unavailable, retry_after=0.0)
