"""Known traffic: one round of every kind of request, and what each series must gain by it."""

import asyncio

import httpx
from support.addresses import HOST, free_port
from support.answers import cache_status
from support.config import KEY, OTHER_KEY, Config, config, key_field, plan, product_route, route
from support.config import origin as own
from support.gateway import RunningGateway
from support.load import answers, connections, read_by_now
from support.polling import eventually
from support.scripts import End, Gate, Received, answer, head
from support.upstream import ScriptedUpstream

PRODUCT = "/v1/products"

GAINED = {
    'gateway_requests_total{route="product", code="200", cache="hit"}': 3,
    'gateway_requests_total{route="product", code="200", cache="miss"}': 3,
    'gateway_requests_total{route="product", code="200", cache="refresh"}': 1,
    'gateway_requests_total{route="product", code="200", cache="collapsed"}': 1,
    'gateway_requests_total{route="product", code="400", cache="pass"}': 1,
    'gateway_requests_total{route="checked", code="200", cache="validated"}': 1,
    'gateway_requests_total{route="checked", code="200", cache="miss"}': 2,
    'gateway_requests_total{route="pass", code="200", cache="pass"}': 2,
    'gateway_requests_total{route="pass", code="502", cache="pass"}': 2,
    'gateway_requests_total{route="down", code="502", cache="pass"}': 1,
    'gateway_requests_total{route="", code="404", cache="pass"}': 1,
    'gateway_request_duration_seconds_count{route="product", cache="hit"}': 3,
    'gateway_upstream_requests_total{upstream="api", code="304"}': 1,
    'gateway_upstream_requests_total{upstream="api", code="500"}': 1,
    'gateway_upstream_requests_total{upstream="api", code="403"}': 1,
    'gateway_upstream_requests_total{upstream="down", code="refused"}': 1,
    'gateway_upstream_duration_seconds_count{upstream="down"}': 1,
    'gateway_upstream_retries_total{upstream="api"}': 1,
    'gateway_collapsed_requests_total{route="product"}': 1,
    'gateway_upstream_calls_saved_total{route="product"}': 4,
    'gateway_tokens_saved_total{route="product"}': 4,
    'gateway_not_stored_total{route="checked", reason="no_store"}': 1,
    'gateway_refreshes_total{route="product", kind="foreground", outcome="delivered"}': 1,
    'gateway_tokens_charged_total{route="product", reason="lookup"}': 8,
    'gateway_tokens_charged_total{route="product", reason="options"}': 10,
    'gateway_tokens_charged_total{route="product", reason="force_refresh"}': 3,
    'gateway_tokens_charged_total{route="pass", reason="lookup"}': 2,
    'gateway_tokens_released_total{route="pass"}': 2,
    'gateway_tokens_released_total{route="down"}': 1,
    'gateway_refusals_total{route="product", reason="bad_flag"}': 1,
    'gateway_refusals_total{route="", reason="no_route"}': 1,
    'gateway_refusals_total{route="pass", reason="upstream_credentials_rejected"}': 1,
    'gateway_refusals_total{route="down", reason="upstream_refused"}': 1,
}
"""What one round adds to each of these series."""


def measured(upstream: ScriptedUpstream) -> Config:
    """A gateway with a route of each kind, an upstream nobody listens at, and memory that a round fills."""
    routes = [
        product_route(upstream="api"),
        route("/short/{id}", "short", upstream="api", cache={"ttl": "250ms", "stale_while_revalidate": "1h"}),
        route("/checked/{id}", "checked", upstream="api", access="public", cache={}),
        route("/pass/{id}", "pass", upstream="api"),
        route("/down/{id}", "down", upstream="down"),
    ]
    keys = [{"id": "alpha", "key": KEY, "plan": "pro"}, {"id": "bravo", "key": OTHER_KEY, "plan": "small"}]
    plans = {"pro": plan(10_000), "small": plan(10, "never")}
    upstreams = {"api": own(upstream.url), "down": own(f"http://{HOST}:{free_port()}")}
    store = {"path": "var", "memory": "1MiB"}
    return config(upstream.url, *routes, keys=keys, plans=plans, upstreams=upstreams, store=store)


class Traffic:
    """Asks a gateway that has `measured` as its config."""

    def __init__(self, running: RunningGateway, upstream: ScriptedUpstream) -> None:
        self.rounds = 0
        self._running = running
        self._upstream = upstream
        self._client = running.client(key_field())
        upstream.script("/pass/500", answer("broken", 500))
        upstream.script("/pass/403", answer("no", 403))

    def round(self) -> None:
        """One more, on paths of its own."""
        self.rounds += 1
        number = self.rounds
        for query in ("", "", "", "", "?include_offers=true"):
            self._get(f"{PRODUCT}/{number}{query}")
        assert self._client.post(f"{PRODUCT}/{number}/refresh").status_code == 200
        asyncio.run(self._join(f"{PRODUCT}/joined-{number}"))
        self._break(f"/pass/{number}")
        self._validate(f"/checked/{number}")
        self._upstream.script(f"/checked/never-{number}", answer("mine", Cache_Control="no-store"))
        self._get(f"/checked/never-{number}")
        for target, status in (("/pass/500", 502), ("/pass/403", 502), ("/down/1", 502), ("/nowhere", 404)):
            self._get(target, status)
        self._get(f"{PRODUCT}/{number}?force_refresh=maybe", 400)

    def stale(self) -> None:
        """Ask until a stale response was served."""
        eventually(
            lambda: float(cache_status(self._get("/short/1").headers["Cache-Status"]).parameters.get("ttl", 0)) < 0
        )

    def spend(self, tokens: int) -> None:
        """Of the small plan's ten."""
        poor = self._running.client(key_field(OTHER_KEY))
        assert [poor.get("/pass/poor").status_code for _ in range(tokens)] == [200] * tokens

    def _get(self, target: str, status: int = 200) -> httpx.Response:
        got = self._client.get(target)
        assert got.status_code == status, f"{target}: {got.status_code} {got.text}"
        return got

    async def _join(self, target: str) -> None:
        """Two callers, one call, and more to store than there is room for beside the last round's."""
        gate = Gate()
        self._upstream.script(target, gate, answer(b"x" * 600_000))
        async with connections(self._running.address, 2) as callers:
            for caller in callers:
                caller.request("GET", target, f"Authorization: Bearer {KEY}")
            await self._upstream.arrived(target)
            await read_by_now(self._running.address)
            gate.open()
            assert [got.status for got in await answers(callers)] == [200, 200]

    def _break(self, target: str) -> None:
        """The upstream closes its connection instead of a second answer, and gets the request again."""
        self._upstream.then(target, answer("first"))
        self._upstream.then(target, End.reset)
        self._get(target)
        self._get(target)

    def _validate(self, target: str) -> None:
        self._upstream.script(target, _validated)
        self._get(target)
        assert self._client.get(target, headers={"Cache-Control": "no-cache"}).text == "body"


def _validated(request: Received) -> bytes:
    if request.field("If-None-Match") == '"one"':
        return head(304, 'ETag: "one"', "Cache-Control: public, max-age=60")
    return answer("body", ETag='"one"', Cache_Control="public, max-age=60")
