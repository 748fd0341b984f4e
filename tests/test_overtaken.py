"""What an unsafe method overtakes: whoever asks once it is answered gets nothing from before it (RFC 9111 §4.4)."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from admission.snapshots import public_route, seed_route
from support.in_process import Way, way

from gateway.admission.snapshot import CachePolicy
from gateway.errors import Problem, Reason
from gateway.rfc9111.stored import Policy

ITEM = "/v1/products/1"
JSON = {"Content-Type": "application/json"}
STALE = Policy(ttl=60.0, stale_while_revalidate=5.0, stale_if_error=3600.0)


@pytest.fixture
async def lenient(tmp_path: Path) -> AsyncIterator[Way]:
    """The seed's route, stale answers and writing allowed."""
    async with way(tmp_path, seed_route(methods=None, cache=CachePolicy(STALE))) as running:
        yield running


async def _write(running: Way) -> None:
    running.upstream.then(status=204)
    running.clock.advance(1)
    assert (await running.ask(ITEM, "PUT")).status == 204
    running.clock.advance(1)


@pytest.mark.parametrize(
    ("status", "fields", "target"),
    [
        pytest.param(404, {}, ITEM, id="a-404-without-lifetime"),
        pytest.param(200, {"Cache-Control": "max-age=60"}, ITEM, id="what-would-be-stored"),
        pytest.param(200, {"Cache-Control": "max-age=60"}, f"{ITEM}?force_refresh=1", id="a-force-refresh"),
    ],
)
async def test_a_fetch_from_before_is_not_joined(
    lenient: Way, status: int, fields: Mapping[str, str], target: str
) -> None:
    gate = asyncio.Event()
    lenient.upstream.then(b'{"old":1}', status=status, fields={**JSON, **fields}, before=(gate,))
    before = lenient.asking(target)
    await lenient.upstream.arrived()
    await _write(lenient)
    lenient.upstream.then(b'{"new":1}', fields=JSON | {"Cache-Control": "max-age=60"})
    asking = lenient.asking(target)
    await lenient.upstream.arrived(3)
    after = await asking
    gate.set()
    await before
    assert (after.status, after.body, after.cache.parameters.get("collapsed")) == (200, b'{"new":1}', None)
    # Who began the fetch from before may get what is stored by now: a hit, but for a call of its own.
    assert sum(lenient.metrics.calls_saved.values()) == 0


@pytest.mark.parametrize(
    "failing", [{"status": 500}, {"before": (Problem(Reason.upstream_refused),)}], ids=["500", "lost"]
)
async def test_a_failure_brings_back_nothing_from_before(lenient: Way, failing: dict[str, object]) -> None:
    await lenient.ask(ITEM)
    lenient.clock.advance(70)
    gate = asyncio.Event()
    before = (gate, *failing.get("before", ()))  # type: ignore[misc]
    lenient.upstream.then(**{**failing, "before": before})
    asking = lenient.asking(ITEM)
    await lenient.upstream.arrived(2)
    await _write(lenient)
    gate.set()
    assert (await asking).status == 502


async def test_hosts_that_the_upstream_is_told_are_kept_apart(tmp_path: Path) -> None:
    async with way(tmp_path, public_route("/v1/products/{id}", cache=CachePolicy())) as running:
        running.upstream.then(b"other", fields={"Cache-Control": "public, max-age=60"})
        await running.ask(ITEM, fields={"Host": "other.example"})
        assert running.upstream.sent[0].fields["X-Forwarded-Host"] == "other.example"
        assert (await running.ask(ITEM)).cache.fwd == "uri-miss"
