"""From a config to the snapshot that the request's way reads: short forms and defaults resolved, keys digested."""

from collections.abc import Iterator
from dataclasses import replace

from gateway.admission.cors import Cors
from gateway.admission.patterns import PathPattern
from gateway.admission.snapshot import (
    Account,
    AheadPolicy,
    BreakerPolicy,
    CachePolicy,
    ClientDirectives,
    Price,
    PriceOption,
    RefreshPolicy,
    Route,
    Share,
    Snapshot,
    UpstreamPolicy,
)
from gateway.admission.tagging import Tag
from gateway.config import routes
from gateway.config.background.compiled import background_routes
from gateway.config.background.sections import BackgroundRefresh
from gateway.config.digest import key_digest
from gateway.config.document import SettingPath
from gateway.config.holders import Accounts
from gateway.config.schema import Config, Upstream
from gateway.messages import DEFAULT_PORTS
from gateway.rfc9111.stored import Policy


def snapshot(config: Config) -> Snapshot:
    """What a valid config means."""
    return Snapshot(
        routes=tuple([route for _, route in placed_routes(config)]),
        upstreams={name: _upstream(name, upstream) for name, upstream in config.upstreams.items()},
        keys=dict(_keys(config)),
        accept=config.auth.accept,
        hosts=served_hosts(config),
        trusted_proxies=config.trusted_proxies,
        timezone=config.timezone,
        scheme="http" if config.tls is None else "https",
    )


def accounts_by_id(config: Config) -> dict[str, Account]:
    """The account of each of `keys`, also of those that hold no API key now."""
    return {account.id: account for account in Accounts(config).configured()}


def placed_routes(config: Config) -> Iterator[tuple[SettingPath, Route]]:
    """The routes in the order in which they are asked, each with the place of what it is made of."""
    for at, refresh in enumerate(config.background_refreshes):
        for route in background_routes(refresh, upstream_of(config, refresh)):
            yield ("background_refreshes", at, *(("status",) if route.tells_status else ())), _of_scheme(config, route)
    for at, own in enumerate(config.routes):
        yield ("routes", at), _of_scheme(config, _route(config, own))


def served_hosts(config: Config) -> frozenset[str]:
    """`hosts` as requests are known by them."""
    return frozenset([known_host(config, host) for host in config.hosts])


def known_host(config: Config, host: str) -> str:
    """A host of the config as requests are known by it: over TLS port 443 says nothing."""
    return host if config.tls is None else host.removesuffix(f":{DEFAULT_PORTS['https']}")


def upstream_of(config: Config, route: routes.Route | BackgroundRefresh) -> str:
    """The name of the upstream that it goes to: what it says, else the only one."""
    return route.upstream or next(iter(config.upstreams))


def _of_scheme(config: Config, route: Route) -> Route:
    return route if config.tls is None else replace(route, host=known_host(config, route.host))


def _route(config: Config, route: routes.Route) -> Route:
    name = upstream_of(config, route)
    upstream, public = config.upstreams[name], route.access == "public"
    methods = route.match.methods
    return Route(
        name=route.name or name,
        host=route.match.host,
        path=PathPattern.parse(route.match.path),
        methods=None if methods is None else frozenset(methods),
        upstream=name,
        public=public,
        send_credentials=upstream.credentials == "gateway" and (not public or route.credentials == "upstream"),
        strip_prefix=route.rewrite.strip_prefix,
        forward=_folded(route.forward),
        cache=None if route.cache is None else _cache(route.cache, upstream, public=public),
        price=None if public else _price(route.price),
        refresh=None if route.refresh is None else _refresh(route.refresh, route.match.path),
        tokens_in_body=route.tokens_in_body,
        cors=None if route.cors is None else Cors(frozenset(route.cors.origins)),
    )


def _share(cache: routes.Cache, upstream: Upstream, public: bool) -> Share:
    if cache.share is not None:
        return cache.share
    return Share.key if upstream.credentials == "client" and not public else Share.everyone


def _cache(cache: routes.Cache, upstream: Upstream, *, public: bool) -> CachePolicy:
    return CachePolicy(
        policy=Policy(
            ttl=cache.ttl,
            ttl_by_status=cache.ttl_by_status,
            override_origin=cache.override_origin,
            stale_while_revalidate=cache.stale_while_revalidate,
            stale_if_error=cache.stale_if_error,
            ttl_jitter=cache.ttl_jitter,
        ),
        share=_share(cache, upstream, public),
        client_directives=cache.client_directives or (ClientDirectives.honour if public else ClientDirectives.price),
        query_ignore=frozenset(cache.vary_on.query_ignore),
        query_sort=cache.vary_on.query_sort,
        vary_on=_folded(cache.vary_on.headers),
        tags=tuple([Tag.parse(tag) for tag in cache.tags]),
        max_body=cache.max_body,
        ahead=None if cache.refresh_ahead is None else _ahead(cache.refresh_ahead),
    )


def _ahead(ahead: routes.RefreshAhead) -> AheadPolicy:
    return AheadPolicy(ahead.hits, ahead.last, ahead.rate)


def _price(price: routes.Price) -> Price:
    return Price(
        base=price.base,
        options=tuple([PriceOption(o.name, o.tokens, o.when.query_any) for o in price.options]),
        force_refresh=price.force_refresh,
        charge_on=frozenset(price.charge_on),
    )


def _refresh(refresh: routes.Refresh, path: str) -> RefreshPolicy:
    return RefreshPolicy(
        query=refresh.query,
        post=_post(refresh.post, path),
        post_query=tuple(refresh.post_query.items()),
        upstream_query=tuple(refresh.upstream.query.items()),
        upstream_headers=tuple(refresh.upstream.headers.items()),
        cooldown=refresh.cooldown,
    )


def _post(post: str, path: str) -> PathPattern | None:
    if post == "none":
        return None
    return PathPattern.parse(path.rstrip("/") + "/refresh" if post == "auto" else post)


def _upstream(name: str, upstream: Upstream) -> UpstreamPolicy:
    return UpstreamPolicy(
        name=name,
        urls=upstream.url,
        credentials=upstream.credentials,
        headers=tuple(upstream.headers.items()),
        connect_timeout=upstream.timeout.connect,
        first_byte_timeout=upstream.timeout.first_byte,
        total_timeout=upstream.timeout.total,
        connections=upstream.limits.connections,
        queue=upstream.limits.queue,
        wait=upstream.limits.wait,
        rate=upstream.limits.rate,
        cost=() if upstream.cost is None else upstream.cost.body,
        breaker=None if upstream.breaker is None else BreakerPolicy(upstream.breaker.after, upstream.breaker.pause),
    )


def _keys(config: Config) -> Iterator[tuple[bytes, Account]]:
    found = accounts_by_id(config)
    for key in config.keys:
        for text in key.key:
            if text:
                yield key_digest(text), found[key.id]


def _folded(names: tuple[str, ...]) -> tuple[str, ...]:
    """Field names in lower case, each once."""
    return tuple(dict.fromkeys([name.lower() for name in names]))
