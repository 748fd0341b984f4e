"""Plays a row of the conformance tables against a real gateway, and holds each turn against what it wants."""

from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import formatdate
from typing import assert_never

from conformance.exchange import Check, Expected, Field, Reply, Scene, Turn, Want
from support.answers import CacheStatus, cache_status
from support.scripts import Received, Step, head
from support.wire import Answer, Connection, Fields, values

_PRECONDITIONS = frozenset({"if-none-match", "if-modified-since"})


@dataclass(frozen=True, slots=True)
class Took:
    """What a turn led to: the answer, and the requests that the upstream saw meanwhile."""

    turn: Turn
    answer: Answer
    calls: Sequence[Received]

    @property
    def status(self) -> CacheStatus:
        return cache_status(", ".join(values(self.answer.fields, "Cache-Status")))


async def play(scene: Scene, turns: Sequence[Turn]) -> None:
    """Play the turns one after another; fails at the first that does not end as it must."""
    replies: dict[int, Reply] = {}
    latest = 0
    for number, turn in enumerate(turns, 1):
        took = await _take(scene, turn, number)
        replies[number] = turn.reply
        if turn.want is Want.MISS:
            latest = number
        try:
            _check(scene, took, turn.of or latest, replies)
        except AssertionError as error:
            error.add_note(f"turn {number}: {turn}\nanswer: {took.answer}\nupstream saw: {took.calls}")
            raise


async def _take(scene: Scene, turn: Turn, number: int) -> Took:
    path = (scene.path + turn.suffix).partition("?")[0]
    scene.origin.script(path, *_steps(scene, turn.reply, number))
    before = len(scene.origin.calls(path))
    if turn.unreachable:
        scene.origin.refuse()
    try:
        answer = await _ask(scene, turn)
    finally:
        if turn.unreachable:
            scene.settled()
            scene.origin.accept()
    if turn.want is Want.BRIDGED:
        await scene.origin.arrived(path, before + 1)
        scene.settled()
    return Took(turn, answer, scene.origin.calls(path)[before:])


async def _ask(scene: Scene, turn: Turn) -> Answer:
    lines = _lines(scene, scene.asks + turn.asks)
    if turn.content:
        lines.append(f"Content-Length: {len(turn.content)}")
    async with await Connection.open(scene.gateway) as connection:
        connection.request(turn.method, scene.path + turn.suffix, *lines, body=turn.content)
        return await connection.answer(turn.method)


def _lines(scene: Scene, fields: Sequence[Field]) -> list[str]:
    told = ((name, value(scene) if callable(value) else value) for name, value in fields)
    return [f"{name}: {value}" for name, value in told if value is not None]


def _steps(scene: Scene, reply: Reply, number: int) -> tuple[Step, ...]:
    """The upstream's script for one turn."""
    if reply.end is not None:
        return (reply.end,)
    content = _content(reply, number)
    given = {name.lower() for name, _ in reply.fields}
    lines = _lines(scene, reply.fields)
    if "date" not in given:
        lines.append(f"Date: {formatdate(scene.began, usegmt=True)}")
    if "content-length" not in given and reply.status not in (204, 304):
        lines.append(f"Content-Length: {len(content)}")
    whole = reply.before + head(reply.status, *lines)

    def said(request: Received) -> bytes:
        return whole if request.method == "HEAD" else whole + content

    return (said,) if reply.after is None else (said, reply.after)


def _content(reply: Reply, number: int) -> bytes:
    if reply.status in (204, 205, 304):
        return b""
    return f"reply {number}".encode() if reply.content is None else reply.content


def _check(scene: Scene, took: Took, source: int, replies: dict[int, Reply]) -> None:
    assert took.answer.complete, "the answer was cut"
    _check_calls(took)
    _check_cache_status(took)
    if took.turn.want in (Want.FAILED, Want.REFUSED):
        assert took.answer.status == took.turn.status, f"status {took.answer.status}"
    else:
        _check_source(took, replies[source], source)
    for name, expected in took.turn.shown.items():
        _check_field(scene, took.answer.fields, name, expected)
    for name, expected in took.turn.sent.items():
        _check_field(scene, took.calls[-1].fields, name, expected)


def _check_calls(took: Took) -> None:
    want, calls = took.turn.want, len(took.calls)
    match want:
        case Want.HIT | Want.STALE | Want.REFUSED:
            assert calls == 0, f"{want.name}: the upstream was asked {calls} times"
        case Want.MISS | Want.VALIDATED | Want.BRIDGED:
            assert calls == 1, f"{want.name}: the upstream was asked {calls} times"
        case Want.SPARE | Want.FAILED:
            # A GET whose connection dies before a byte came is repeated once.
            assert took.turn.unreachable or 1 <= calls <= 2, f"{want.name}: the upstream was asked {calls} times"
        case _:
            assert_never(want)
    if want is Want.VALIDATED:
        asked = {name.lower() for name, _ in took.calls[0].fields}
        assert asked & _PRECONDITIONS, f"no precondition: {took.calls[0].fields}"


def _check_cache_status(took: Took) -> None:
    turn, status = took.turn, took.status
    match turn.want:
        case Want.HIT:
            assert status.hit, f"no hit: {status}"
            assert status.ttl >= 0, f"stale: {status}"
        case Want.STALE | Want.BRIDGED:
            assert status.hit, f"no hit: {status}"
            assert status.ttl <= 0, f"fresh: {status}"
        case Want.MISS | Want.VALIDATED | Want.SPARE:
            assert status.fwd, f"not forwarded: {status}"
            assert not status.hit, f"a hit: {status}"
        case Want.FAILED | Want.REFUSED:
            assert not status.hit, f"a hit: {status}"
        case _:
            assert_never(turn.want)
    if turn.want is Want.VALIDATED:
        assert status.parameters.get("fwd-status") == "304", f"not validated: {status}"
    assert turn.fwd is None or status.fwd == turn.fwd, f"fwd={status.fwd}"
    assert turn.kept is None or status.stored == turn.kept, f"stored: {status}"
    assert turn.ttl is None or turn.ttl - 20 <= status.ttl <= turn.ttl, f"ttl={status.ttl}, not {turn.ttl}"
    assert turn.detail is None or turn.detail in status.detail, f"detail={status.detail}"


def _check_source(took: Took, source: Reply, number: int) -> None:
    turn, answer = took.turn, took.answer
    status = source.status if turn.status is None else turn.status
    assert answer.status == status, f"status {answer.status}, not {status}"
    if turn.got is not None:
        assert answer.body == turn.got, f"content {answer.body!r}, not {turn.got!r}"
    elif turn.method != "HEAD" and status not in (204, 304):
        assert answer.body == _content(source, number), f"content {answer.body!r}, not that of reply {number}"


def _check_field(scene: Scene, fields: Fields, name: str, expected: Expected) -> None:
    found = ", ".join(values(fields, name)) if values(fields, name) else None
    match expected:
        case None:
            assert found is None, f"{name}: {found}"
        case Check(text, holds):
            assert found is not None, f"{name} is absent"
            assert holds(found), f"{name}: {found}, not {text}"
        case str():
            assert found == expected, f"{name}: {found}, not {expected}"
        case _:
            assert found == expected(scene), f"{name}: {found}, not {expected(scene)}"
