"""What every peer must answer: before anything is measured, and again once it was."""

import gzip
import json
import re
import sys
from collections.abc import Sequence

from bench.load import POOR_KEY, Asked, Measured, calls, key, target, untouched
from bench.peers import Peer
from bench.processes import Answer, Server
from bench.settings import GATEWAY
from bench.upstream import product

_TOKENS = re.compile(rb', *"tokens_(?:consumed|remaining)": *\d+')
# Every field that the gateway gives a hit on a metered route with a grant and a throttle.
_ALWAYS = {"age", "cache-status", "content-type", "date", "via", "x-request-id"}
_METERED = {
    "ratelimit",
    "ratelimit-policy",
    "x-ratelimit-reset",
    "x-ratelimit-throttle-limit",
    "x-ratelimit-throttle-remaining",
    "x-ratelimit-tokens-remaining",
    "x-tokens-consumed",
    "x-tokens-remaining",
}
_TOLERANCE = 0.02


def check(peer: Peer, server: Server, source: Server) -> None:
    """Raises `AssertionError` where `server` is not what its name says: body byte for byte, stored once, metered."""
    asked = Asked(first=untouched() if peer.caches else 0)
    before = calls(source)
    answers = [ask(server, asked) for _ in range(3)]
    if peer.caches:
        assert calls(source) == before + 1, f"{peer.name} asked the upstream {calls(source) - before} times"
    if peer.metered:
        _check_meter(server, answers, target(asked.first))
    if peer.name == GATEWAY:
        check_hit(answers[-1])


def ask(server: Server, asked: Asked) -> Answer:
    """What the first request of a load is answered; raises `AssertionError` where that is not the upstream's body."""
    wanted = target(asked.first)
    answer = server.get(wanted + asked.query, key(0), fields=asked.fields)
    assert answer.status == 200, f"{server.name} answers {answer.status}"
    body = _TOKENS.sub(b"", _identity(answer))
    assert body == product(wanted.rpartition("/")[2], asked.size), f"{server.name} answers another body: {body!r}"
    return answer


def check_hit(answer: Answer) -> None:
    """Raises `AssertionError` where the gateway's answer is no hit, or tokens in its body or any field are missing."""
    missing = (_ALWAYS | _METERED) - answer.fields.keys()
    assert not missing, f"the gateway's answer is without {missing}"
    assert answer.fields["cache-status"].startswith("gateway; hit"), answer.fields["cache-status"]
    told = json.loads(_identity(answer))
    assert told["tokens_consumed"] == int(answer.fields["x-tokens-consumed"]), told
    assert told["tokens_remaining"] == int(answer.fields["x-tokens-remaining"]), told


def check_sizes(server: Server, size: int, rounds: Sequence[Measured], connections: int) -> None:
    """End the run where wrk did not get so many bytes for each answer: of those at a round's end some are cut."""
    for measured in rounds:
        allowed = size * (_TOLERANCE + connections / max(1, measured.answers))
        if abs(measured.size - size) > allowed:
            sys.exit(f"bench: {server.name} sent {measured.size:.0f} bytes for an answer of {size}")


def _check_meter(server: Server, answers: list[Answer], known: str) -> None:
    consumed = {answer.fields["x-tokens-consumed"] for answer in answers}
    left = [int(answer.fields["x-tokens-remaining"]) for answer in answers]
    assert consumed == {"1"}, f"{server.name} charges {consumed}"
    assert left == list(range(left[0], left[0] - 3, -1)), f"{server.name} has {left} left"
    assert server.get(known, "rk_nobody").status == 401, f"{server.name} takes any key"
    paid = [server.get(known, POOR_KEY).status for _ in range(2)]
    assert paid == [200, 429], f"{server.name} answers {paid} to a key that can pay one call"


def _identity(answer: Answer) -> bytes:
    return gzip.decompress(answer.body) if answer.fields.get("content-encoding") == "gzip" else answer.body
