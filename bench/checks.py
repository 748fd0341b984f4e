"""What every peer must answer before anything is measured."""

import re

from bench.load import POOR_KEY, calls, key, target, untouched
from bench.peers import Peer
from bench.processes import Answer, Server
from bench.upstream import product

_TOKENS = re.compile(rb', *"tokens_(?:consumed|remaining)": *\d+')


def check(peer: Peer, server: Server, source: Server) -> None:
    """Raises `AssertionError` where `server` is not what its name says: body byte for byte, stored once, metered."""
    number = untouched() if peer.caches else 0
    before = calls(source)
    answers = [server.get(target(number), key(0)) for _ in range(3)]
    wanted = product(target(number).rpartition("/")[2])
    for answer in answers:
        assert answer.status == 200, f"{peer.name} answers {answer.status}"
        assert _TOKENS.sub(b"", answer.body) == wanted, f"{peer.name} answers another body: {answer.body!r}"
    if peer.caches:
        assert calls(source) == before + 1, f"{peer.name} asked the upstream {calls(source) - before} times"
    if peer.metered:
        _check_meter(server, answers, target(number))


def _check_meter(server: Server, answers: list[Answer], known: str) -> None:
    consumed = {answer.fields["x-tokens-consumed"] for answer in answers}
    left = [int(answer.fields["x-tokens-remaining"]) for answer in answers]
    assert consumed == {"1"}, f"{server.name} charges {consumed}"
    assert left == list(range(left[0], left[0] - 3, -1)), f"{server.name} has {left} left"
    assert server.get(known, "rk_nobody").status == 401, f"{server.name} takes any key"
    paid = [server.get(known, POOR_KEY).status for _ in range(2)]
    assert paid == [200, 429], f"{server.name} answers {paid} to a key that can pay one call"
