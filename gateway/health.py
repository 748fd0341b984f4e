"""`/-/livez` and `/-/readyz`: whether the process runs, and whether it should get traffic."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import ceil
from typing import Protocol, assert_never

from gateway.admission.breaker import State
from gateway.messages import Answer
from gateway.upstreams.circuit import UpstreamState

_LINES = b"Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n"


class Watched(Protocol):
    """What can say how it is."""

    def state(self) -> UpstreamState:
        """How it is now."""


class Health:
    """Ready once started and until draining, as long as every check holds.

    An upstream that is down makes no gateway unready, nor does a `store` that many share, of which there is something
    to say: it serves what is stored, and another one could do no more.
    """

    def __init__(
        self,
        checks: Mapping[str, Callable[[], bool]],
        upstreams: Callable[[], Mapping[str, Watched]] = dict,
        store: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self._checks = checks
        self._upstreams = upstreams
        self._store = store
        self.serving = False

    def answer(self, target: str) -> Answer | None:
        """The answer for a path that ends in `/livez` or `/readyz`, in lines with `?verbose`; None for any other."""
        path, _, query = target.partition("?")
        if path.endswith("/livez"):
            return Answer(200, "OK", _LINES, b"ok\n")
        if path.endswith("/readyz"):
            return self._readiness(verbose="verbose" in [pair.partition("=")[0] for pair in query.split("&")])
        return None

    def failing(self) -> list[str]:
        """The checks that do not hold, by name: for none it is ready."""
        return [name for name, holds in self._results().items() if not holds]

    def _results(self) -> dict[str, bool]:
        return {"serving": self.serving, **{name: holds() for name, holds in self._checks.items()}}

    def _readiness(self, *, verbose: bool) -> Answer:
        results = self._results()
        failing = [name for name, holds in results.items() if not holds]
        verdict = f"not ready: {', '.join(failing)}" if failing else "ok"
        told = [f"{name}: {'ok' if holds else 'failing'}" for name, holds in results.items()] if verbose else []
        told += self._told() if verbose else ()
        body = "".join([f"{line}\n" for line in (*told, verdict)]).encode()
        return Answer(503, "Service Unavailable", _LINES, body) if failing else Answer(200, "OK", _LINES, body)

    def _told(self) -> Iterator[str]:
        for word in self._store():
            yield f"store: {word}"
        for name, upstream in self._upstreams().items():
            state = upstream.state()
            urls = f", {state.usable} of {state.urls} URLs" if state.urls > 1 else ""
            yield f"upstream {name}: {_in_words(state)}{urls}"


def _in_words(state: UpstreamState) -> str:
    match state.state:
        case State.closed:
            return "ok"
        case State.failing:
            return f"failing, {state.failures} times in a row"
        case State.half_open:
            return "half-open, asked whether it is well again"
        case State.open:
            return (
                f"open, asked again in {ceil(state.wait)} s"
                if state.wait
                else "open, asked again with the next request"
            )
        case _:
            assert_never(state.state)
