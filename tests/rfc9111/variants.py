"""Stored responses, policies and demands to decide on, and one short way to ask."""

from dataclasses import replace
from math import inf
from typing import Any

from hypothesis import strategies as st
from multidict import CIMultiDict

from gateway.rfc9111.demands import Demands
from gateway.rfc9111.reuse import Decision, decide
from gateway.rfc9111.stored import Policy, StoredResponse, Terms

NOW = 1_700_000_000.0
REQUEST = CIMultiDict({"Foo": "1"})
PURE = Policy()
TTL = Policy(ttl=60.0)
OVERRIDE = Policy(ttl=60.0, override_origin=True)
ROUTES = Policy(ttl=60.0, stale_while_revalidate=30.0, stale_if_error=40.0)
OVERRIDING = replace(ROUTES, override_origin=True)

# Ten seconds old, without a word on freshness.
STORED = StoredResponse("k", 200, "OK", b"", b"", Terms(), (), '"a"', None, NOW - 12, NOW - 10, 0.0)


def having(terms: Terms = STORED.terms, **changes: Any) -> StoredResponse:
    return STORED.replaced(terms=terms, **changes)


def decided(stored: StoredResponse, policy: Policy, *, forced: bool = False, cooldown: float = 0.0) -> Decision:
    return decide((stored,), REQUEST, policy, NOW, forced=forced, cooldown=cooldown)


FRESH = having(Terms(lifetime=60.0))
STALE = having(Terms(lifetime=5.0))

SECONDS = st.none() | st.floats(0, 100)
TERMS = st.builds(
    Terms,
    lifetime=SECONDS,
    heuristic=SECONDS,
    no_cache=st.booleans(),
    must_revalidate=st.booleans(),
    stale_while_revalidate=SECONDS,
    stale_if_error=SECONDS,
    immutable=st.booleans(),
)
VARIANTS = st.builds(
    having,
    TERMS,
    outdated=st.booleans(),
    forced=st.booleans(),
    initial_age=st.floats(0, 100),
    etag=st.none() | st.just('"a"'),
)
POLICIES = st.builds(
    Policy,
    ttl=SECONDS,
    override_origin=st.booleans(),
    stale_while_revalidate=st.floats(0, 100),
    stale_if_error=SECONDS,
)
DEMANDS = st.builds(
    Demands,
    no_cache=st.booleans(),
    no_store=st.booleans(),
    only_if_cached=st.booleans(),
    max_age=SECONDS,
    min_fresh=SECONDS,
    max_stale=SECONDS | st.just(inf),
    stale_if_error=SECONDS,
)
