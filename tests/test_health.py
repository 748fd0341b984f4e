"""Liveness and readiness."""

import pytest

from gateway.admission.breaker import State
from gateway.health import Health
from gateway.messages import Answer
from gateway.upstreams.circuit import UpstreamState


class Upstream:
    def __init__(self, state: State, wait: float = 0.0, failures: int = 0, usable: int = 0, urls: int = 1) -> None:
        self._state = UpstreamState(state, wait, failures, usable, urls)

    def state(self) -> UpstreamState:
        return self._state


def ready(health: Health, target: str = "/-/readyz") -> Answer:
    answer = health.answer(target)
    assert answer is not None
    return answer


def test_alive_whatever_else() -> None:
    answer = Health({"ledger": lambda: False}).answer("/livez?verbose")
    assert answer is not None
    assert (answer.status, answer.body) == (200, b"ok\n")


@pytest.mark.parametrize(
    ("serving", "ledger", "status", "body"),
    [
        (True, True, 200, b"ok\n"),
        (False, True, 503, b"not ready: serving\n"),
        (True, False, 503, b"not ready: ledger\n"),
        (False, False, 503, b"not ready: serving, ledger\n"),
    ],
)
def test_ready_while_serving_and_every_check_holds(serving: bool, ledger: bool, status: int, body: bytes) -> None:
    health = Health({"ledger": lambda: ledger})
    health.serving = serving
    assert (ready(health).status, ready(health).body) == (status, body)
    assert body == (f"not ready: {', '.join(failing)}\n" if (failing := health.failing()) else "ok\n").encode()
    verbose = ready(health, "/readyz?verbose")
    assert (verbose.status, verbose.body.splitlines(keepends=True)[-1]) == (status, body)


UPSTREAMS = {
    "well": (Upstream(State.closed, usable=1), "ok"),
    "failing": (Upstream(State.failing, failures=7), "failing, 7 times in a row"),
    "probed": (Upstream(State.half_open), "half-open, asked whether it is well again"),
    "down": (Upstream(State.open, wait=6.2), "open, asked again in 7 s"),
    "due": (Upstream(State.open), "open, asked again with the next request"),
    "in-part": (Upstream(State.closed, usable=1, urls=3), "ok, 1 of 3 URLs"),
}


@pytest.mark.parametrize("query", ["verbose", "verbose=1", "a=b&verbose"])
def test_verbose_tells_every_check_and_upstream(query: str) -> None:
    health = Health({"ledger": lambda: False}, lambda: {name: upstream for name, (upstream, _) in UPSTREAMS.items()})
    health.serving = True
    answer = ready(health, f"/-/readyz?{query}")
    assert answer.body.decode().splitlines() == [
        "serving: ok",
        "ledger: failing",
        *[f"upstream {name}: {words}" for name, (_, words) in UPSTREAMS.items()],
        "not ready: ledger",
    ]


def test_a_store_that_all_others_miss_too_makes_nobody_unready() -> None:
    health = Health({"ledger": lambda: True}, store=lambda: ("unreachable", "at risk"))
    health.serving = True
    assert (ready(health).status, ready(health).body) == (200, b"ok\n")
    told = ready(health, "/readyz?verbose").body.decode().splitlines()
    assert told[-3:] == ["store: unreachable", "store: at risk", "ok"]


@pytest.mark.parametrize("query", ["", "quiet", "verbosely", "a=verbose"])
def test_anything_else_in_the_query_means_nothing(query: str) -> None:
    health = Health({}, lambda: {"down": Upstream(State.open)})
    health.serving = True
    assert (ready(health, f"/readyz?{query}").status, ready(health, f"/readyz?{query}").body) == (200, b"ok\n")


@pytest.mark.parametrize("path", ["/", "/-/", "/-/livez/more", "/readyz2", "/other?/readyz"])
def test_nothing_else_is_answered(path: str) -> None:
    assert Health({}).answer(path) is None
