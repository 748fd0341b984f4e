"""What the fast lane answers in one turn of the event loop: runs of equal heads, and their messages."""

from dataclasses import replace

from multidict import CIMultiDict

from gateway.admission.prepared import Prepared
from gateway.answers.server_timing import timing_line
from gateway.fastlane.heads import stripped
from gateway.fastlane.messages import last, messages
from gateway.fastlane.run import Client, Run
from gateway.messages import Request
from gateway.metrics import Answered
from gateway.operation import Operation
from gateway.watch import Watch


class Turn:
    """What is taken in one turn, all at one time: steady and wall-clock seconds, and its minute.

    `runs` are hits, `missed` is what was prepared for lookups that are none, and who asks.
    """

    __slots__ = ("minute", "missed", "now", "runs", "wall")

    def __init__(self, now: float, wall: float) -> None:
        self.now = now
        self.wall = wall
        self.minute = int(wall // 60)
        self.runs: list[Run] = []
        self.missed: list[tuple[Client, Prepared]] = []

    def answer(self, watch: Watch, now: float) -> None:
        """Send all answers at `now` (steady seconds), and let them be seen from outside."""
        seconds = max(0.0, now - self.now)
        timing, prefix = timing_line("hit", int(seconds * 100_000)), watch.prefix.encode()
        place = first = watch.numbers(sum([len(run.clients) for run in self.runs]))
        times: dict[Answered, int] = {}
        for run in self.runs:
            if not run.clients:
                continue
            answered, number = run.what.answered, len(run.clients)
            times[answered] = times.get(answered, 0) + self._send(run, prefix, place, timing, watch)
            place += number
        for answered, number in times.items():
            answered.count(number, seconds)
        self._tell(watch, first, place - first, seconds)

    def decline(self) -> None:
        """Let all of it go the full lane."""
        for run in self.runs:
            for client in run.clients:
                client.decline(run.data)

    def _send(self, run: Run, prefix: bytes, first: int, timing: bytes, watch: Watch) -> int:
        """How many are answered."""
        try:
            made = messages(run, prefix, first, timing, self.wall)
        except Exception as error:  # noqa: BLE001 - a bug of ours must leave nobody without an answer
            watch.broken(error)
            # The full lane would charge them once more.
            for client in run.clients:
                client.fail()
            return 0
        for client, message in zip(run.clients, made, strict=True):
            client.send(last(message) if client.ends else message)
        return len(made)

    def _tell(self, watch: Watch, first: int, number: int, seconds: float) -> None:
        """The lines that are due in the log."""
        due = watch.lines_due(number)
        if due:
            runs = [run for run in self.runs for _ in run.clients]
            for place, weight in due:
                operation = _operation(runs[place], f"{watch.prefix}-{first + place:x}")
                watch.hit(operation, runs[place].what.stored.status, seconds, weight)


def _operation(run: Run, own: str) -> Operation:
    """What the log tells of, as if the full lane had read it; `own` is its id where the client gave none."""
    line, _, rest = run.data.partition(b"\r\n")
    _, given = stripped(b"\r\n" + rest)
    who, plan = run.who, run.what.plan
    fields = CIMultiDict([*who.fields.items(), *((name.decode(), value.decode()) for name, value in given)])
    request = Request(plan.lookup.prepared.request.method, line.split(b" ")[1].decode(), fields)
    prepared = replace(plan.lookup.prepared, account=who.account)
    op = Operation(request, own if run.id_ is None else run.id_.decode(), 0.0, prepared, plan.route.name)
    op.ttl, op.tokens = 0, run.tokens
    return op
