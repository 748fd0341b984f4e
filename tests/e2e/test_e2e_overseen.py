"""What a page of the operators' API is told after known traffic: usage's top, quotas, what is stored, as they are."""

from typing import Any

import httpx
import pytest
from support.config import KEY, OTHER_KEY, config, key_field, plan, product_route, route
from support.gateway import RunningGateway, StartGateway
from support.polling import PATIENCE
from support.upstream import ScriptedUpstream

pytestmark = pytest.mark.slow


def whole(upstream: ScriptedUpstream) -> dict[str, Any]:
    short = route("/short/{id}", "short", cache={"ttl": "1h", "share": "key"}, price=2)
    keys = [{"id": "ci", "key": KEY, "plan": "pro"}, {"id": "nearest", "key": OTHER_KEY, "plan": "small"}]
    plans = {"pro": plan(2000), "small": plan(10)}
    return config(upstream.url, product_route(tokens_in_body=False), short, keys=keys, plans=plans)


def told(running: RunningGateway, target: str) -> dict[str, Any]:
    with httpx.Client(base_url=running.admin_url, trust_env=False, timeout=PATIENCE) as client:
        answer = client.get(target)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def test_every_figure_is_what_was_asked_and_what_the_metrics_say(
    gateway: StartGateway, upstream: ScriptedUpstream
) -> None:
    running = gateway(whole(upstream))
    with running.client(key_field()) as ci, running.client(key_field(OTHER_KEY)) as small:
        for target in ("/v1/products/1", "/v1/products/2", "/v1/products/1", "/short/1"):
            assert ci.get(target).status_code == 200
        for _ in range(4):
            assert small.get("/short/1").status_code == 200
        # Nothing that is stored for the POST's GET stays fresh but what it brought.
        assert ci.get("/v1/products/2?include_offers=true").status_code == 200
        assert ci.post("/v1/products/2/refresh").status_code == 200
    quotas = told(running, "/-/quotas")["accounts"]
    assert [(one["account"], one["used"]) for one in quotas] == [("nearest", 0.8), ("ci", 20 / 2000)]
    metrics = running.metrics()
    assert metrics.value("gateway_accounts_above", percent="80") == 1
    for one in quotas:
        standing = told(running, f"/-/accounts/{one['account']}")
        assert one == standing | {"used": one["used"], "throttle": one["throttle"]}
        assert one["used"] == pytest.approx(1 - (one["balance"] + one["reserved"]) / one["granted"])
    usage = told(running, "/-/usage?by=key&top=1")
    assert [(row["key"], row["tokens"]) for row in usage["rows"]] == [("ci", 20)]
    assert (usage["rest"]["tokens"], usage["total"]["tokens"]) == (8, 28)
    assert metrics.total("gateway_tokens_charged_total") == 28
    summary = told(running, "/-/stored/summary")
    assert [(row["route"], row["responses"], row["fresh"], row["outdated"]) for row in summary["routes"]] == [
        ("product", 4, 2, 2),
        ("short", 2, 2, 0),
    ]
    assert sum(row["responses"] for row in summary["routes"]) == metrics.value("gateway_stored_responses")


def test_bytes_are_those_of_the_metrics_and_a_gateway_that_was_asked_ends_in_order(
    gateway: StartGateway, upstream: ScriptedUpstream
) -> None:
    running = gateway(whole(upstream))
    with running.client(key_field()) as ci:
        assert ci.get("/v1/products/1").status_code == 200
    routes = told(running, "/-/stored/summary")["routes"]
    assert [row["route"] for row in routes] == ["product", "short"]
    assert sum(row["bytes"] for row in routes) == running.metrics().value("gateway_stored_bytes")
    running.stop()
    assert "Traceback" not in running.log
