"""An explainer beside a way, and the proof that what it says is what then happens and that it left no trace."""

from dataclasses import dataclass, field
from typing import Any

from admission.snapshots import make_request
from support.answers import CacheStatus, cache_status
from support.in_process import Got, Way

from gateway.admission.breaker import State
from gateway.admission.prepare import Preparer
from gateway.explaining.explanation import Explanation
from gateway.explaining.live import Explainer, Operating
from gateway.journalled import Journalled
from gateway.upstreams.circuit import UpstreamState

# What only the fetch tells; `detail` says why its answer was not stored.
_LATER = {"fwd-status", "stored", "detail"}


@dataclass
class Foreseer:
    """Explains what `way` would do; `state` is its upstream's."""

    way: Way
    state: UpstreamState | None = None
    explainer: Explainer = field(init=False)

    def __post_init__(self) -> None:
        way = self.way
        self.explainer = Explainer(
            Operating(
                live=lambda: way.live,
                preparer=lambda: Preparer(way.live.snapshot),
                cache=way.cache,
                collapse=way.collapse,
                meter=Journalled(way.meter, way.ledger),
                idempotency=way.idempotency,
                state=lambda name: self.state,
                clock=way.clock,
            )
        )

    async def told(self, target: str, method: str = "GET", fields: dict[str, str] | None = None) -> Explanation:
        """The explanation, which must leave everything as it was."""
        before = self._traces()
        told = await self.explainer.explain(make_request(target, method, fields))
        assert self._traces() == before
        return told

    async def foretold(self, target: str, method: str = "GET", fields: dict[str, str] | None = None) -> Explanation:
        """The explanation, after the request itself has come to what it says."""
        told = await self.told(target, method, fields)
        charged = self.way.balance.charged
        got = await self.way.ask(target, method, fields)
        assert told.running
        if told.refusal is not None:
            self._refused(told, got)
            assert self.way.balance.charged == charged
        else:
            assert told.verdict is not None
            assert 200 <= got.status < 400
            assert _parameters(got.cache) == cache_status(told.verdict.cache_status).parameters
            assert self.way.balance.charged - charged == told.verdict.tokens
        return told

    def _refused(self, told: Explanation, got: Got) -> None:
        assert told.refusal is not None
        assert (told.refusal.status, told.refusal.reason.encode() in got.body) == (got.status, True)
        assert dict(told.refusal.fields).get("Retry-After") == got.fields.get("Retry-After")

    def _traces(self) -> tuple[Any, ...]:
        way = self.way
        held = [key for shard in way.cache._memory._table.shards for key in shard]
        standing = way.meter.balance(next(iter(way.live.snapshot.keys.values())))
        exposed = way.metrics.exposition(None)[1]
        counted = [line for line in exposed.splitlines() if line.startswith(b"gateway_")]
        return standing, list(held), counted, way.calls, len(way.ledger.accounts.open), way.ledger.accounts.last_id


def _parameters(found: CacheStatus) -> dict[str, str]:
    later = _LATER if "fwd-status" in found.parameters else ()
    return {name: value for name, value in found.parameters.items() if name not in later}


def open_for(seconds: float) -> UpstreamState:
    """An upstream that is left alone so long."""
    return UpstreamState(State.open, seconds, 5, 0, 1)


def grounds(told: Explanation) -> list[str]:
    """The reasons by name."""
    assert told.verdict is not None
    return [ground.why for ground in told.verdict.grounds]
