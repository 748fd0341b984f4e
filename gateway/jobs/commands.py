"""What changes a register, as text: the same commands in the same order make the same register on every node.

A command is the JSON of a list, its name first. Whatever depends on time or chance is among its arguments.
"""

import json
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from gateway.admission.jobs import Job, Kind, Order, Sending, Stage, State, Step, Target
from gateway.jobs import accepting, ending, owning, reading, stepping
from gateway.jobs.encoding import sending, written
from gateway.jobs.seen import see

# Bytes from which a batch is packed.
_LONG = 1024

# Of JSON's lists and of what zlib writes, the first byte.
_PLAIN = b"["


def accept(order: Order, id_: str, now: float) -> str:
    """`ports.Jobs.accept`; a new job has the id `id_`."""
    request = None if order.sending is None else written(order.sending)
    told = [order.name, order.account, order.subjects, order.whole, order.since, order.scopes, order.first, request]
    return _command("accept", told, id_, now)


def withdraw(job: str, now: float) -> str:
    """`ports.Jobs.withdraw`."""
    return _command("withdraw", job, now)


def see_time(now: float) -> str:
    """The leader's wall clock says `now`."""
    return _command("see", now)


def sent(step: Step, now: float) -> str:
    """`ports.Jobs.sent`."""
    return _command("sent", _named(step), now)


def unsent(step: Step, now: float) -> str:
    """It was not sent after all."""
    return later(step, now, "", now, failed=False)


def passed(step: Step, following: Stage, due: float, now: float) -> str:
    """`ports.Jobs.passed`."""
    return _command("passed", _named(step), following, due, now)


def found(step: Step, targets: Iterable[Target], now: float, *, last: bool) -> str:
    """`ports.Jobs.found`."""
    return _command("found", _named(step), _targets(targets), last, now)


def fetched(step: Step, further: Iterable[Target], now: float) -> str:
    """`ports.Jobs.fetched`."""
    return _command("fetched", _named(step), _targets(further), now)


def later(step: Step, due: float, reason: str, now: float, *, failed: bool) -> str:
    """`ports.Jobs.later`."""
    return _command("later", _named(step), due, reason, failed, now)


def failed(step: Step, reason: str, now: float) -> str:
    """`ports.Jobs.failed`."""
    return _command("failed", _named(step), reason, now)


def begin(job: Job, request: Sending, node: int) -> str:
    """`ports.Jobs.begin`, at the node that does it."""
    told = [job.id, job.name, job.account, job.began, job.url, job.host]
    return _command("begin", told, written(request), node)


def end(job: Job, now: float) -> str:
    """`ports.Jobs.end`."""
    return _command("end", [job.id, job.state, job.reason, job.status, job.cache_status, job.tokens], now)


def inherit(dead: Iterable[int], node: int) -> str:
    """`ports.Jobs.unfinished`: what these nodes left, by their incarnations, `node` does from now on."""
    return _command("inherit", sorted(dead), node)


def disown(ids: Iterable[str]) -> str:
    """Nobody does these single refreshes."""
    return _command("disown", list(ids))


def cancel(id_: str, now: float) -> str:
    """`ports.Jobs.cancel`."""
    return _command("cancel", id_, now)


def prune(before: float) -> str:
    """One slice of `ports.Jobs.prune`."""
    return _command("prune", before)


def packed(commands: Sequence[str]) -> bytes:
    """A batch as it is sent, b"" for none. Stray bytes (lone surrogates) come back."""
    batch = f"[{','.join(commands)}]".encode() if commands else b""
    return zlib.compress(batch, 1) if len(batch) >= _LONG else batch


def unpacked(batch: bytes) -> list[list[Any]]:
    """What `packed` has packed. Raises ValueError for anything else, a newer gateway's commands included."""
    if not batch:
        return []
    try:
        commands: list[list[Any]] = json.loads(batch if batch.startswith(_PLAIN) else zlib.decompress(batch))
    except zlib.error as error:
        raise ValueError(f"not packed: {error}") from None
    if unknown := [name for name, *_ in commands if name not in _PERFORMED]:
        raise ValueError(f"unknown: {unknown[0]}")
    return commands


def perform(db: sqlite3.Connection, command: Sequence[Any]) -> Any:
    """What the method that `command` is of returns. Raises sqlite3.Error."""
    name, *arguments = command
    return _PERFORMED[name](db, *arguments)


def _command(name: str, *arguments: object) -> str:
    return json.dumps([name, *arguments], separators=(",", ":"))


def _named(step: Step) -> tuple[object, ...]:
    return step.id, step.stage, step.name, step.job


def _step(named: Sequence[Any]) -> Step:
    """As much of it as tells which one it is."""
    id_, stage, name, job = named
    return Step(id_, Stage(stage), name, job, account="", subject="", since=None, scopes=(), due=0.0)


def _targets(targets: Iterable[Target]) -> list[tuple[str, str]]:
    return [(target.scope, written(target.sending)) for target in targets]


def _aimed(targets: Iterable[Sequence[str]]) -> list[Target]:
    return [Target(scope, sending(request)) for scope, request in targets]


def _accept(db: sqlite3.Connection, told: Sequence[Any], id_: str, now: float) -> Any:
    name, account, subjects, whole, since, scopes, first, request = told
    wanted = None if request is None else sending(request)
    order = Order(name, account, tuple(subjects), whole, since, tuple(scopes), Stage(first), wanted)
    return accepting.accept(db, order, id_, now)


def _passed(db: sqlite3.Connection, step: Sequence[Any], following: str, due: float, now: float) -> None:
    stepping.passed(db, _step(step), Stage(following), due, now)


def _found(db: sqlite3.Connection, step: Sequence[Any], targets: Any, last: bool, now: float) -> None:
    stepping.found(db, _step(step), _aimed(targets), now, last=last)


def _later(db: sqlite3.Connection, step: Sequence[Any], due: float, reason: str, failed: bool, now: float) -> None:
    stepping.later(db, _step(step), due, reason, now, failed=failed)


def _begin(db: sqlite3.Connection, told: Sequence[Any], request: str, node: int) -> None:
    id_, name, account, began, url, host = told
    job = Job(id_, Kind.single, name, account, began, State.running, url=url, host=host)
    reading.begin(db, job, sending(request))
    owning.own(db, id_, node)


def _end(db: sqlite3.Connection, told: Sequence[Any], now: float) -> None:
    id_, state, reason, status, cache_status, tokens = told
    told_of = {"reason": reason, "status": status, "cache_status": cache_status, "tokens": tokens}
    reading.end(db, Job(id_, Kind.single, "", None, now, State(state), **told_of), now)
    owning.forget(db, id_)


def _cancel(db: sqlite3.Connection, id_: str, now: float) -> State | None:
    owning.forget(db, id_)
    return ending.cancel(db, id_, now)


def _by_the_clock(action: Callable[..., Any]) -> Callable[..., Any]:
    """Of the leader, whose wall clock is the register's."""

    def seeing(db: sqlite3.Connection, *arguments: Any) -> Any:
        see(db, arguments[-1])
        return action(db, *arguments)

    return seeing


_PERFORMED: dict[str, Callable[..., Any]] = {
    "accept": _accept,
    "withdraw": ending.withdraw,
    "see": see,
    "sent": _by_the_clock(lambda db, step, now: stepping.sent(db, _step(step), now)),
    "passed": _by_the_clock(_passed),
    "found": _by_the_clock(_found),
    "fetched": _by_the_clock(lambda db, step, more, now: stepping.fetched(db, _step(step), _aimed(more), now)),
    "later": _by_the_clock(_later),
    "failed": _by_the_clock(lambda db, step, reason, now: stepping.failed(db, _step(step), reason, now)),
    "begin": _begin,
    "end": _end,
    "inherit": owning.inherit,
    "disown": owning.disown,
    "cancel": _cancel,
    "prune": reading.prune,
}
