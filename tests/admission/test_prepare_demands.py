"""What a request's own directives, preconditions and Range are prepared as, and what its stored response belongs to."""

from dataclasses import fields, replace

import pytest
from admission.snapshots import TTL, make_request, make_route, prepare, public_route, seed_route

from gateway.admission.prepared import Prepared, group
from gateway.admission.snapshot import ClientDirectives, Route, Share
from gateway.admission.tagging import Tag

PRODUCT = "/v1/products/7"
NO_CACHE = {"Cache-Control": "no-cache"}


def heeding(directives: ClientDirectives) -> Route:
    return seed_route(cache=replace(TTL, client_directives=directives))


def test_directives_that_force_work_may_have_a_price_of_their_own() -> None:
    prepared = prepare(heeding(ClientDirectives.price), make_request(f"{PRODUCT}?include_offers", fields=NO_CACHE))
    assert prepared.demands is not None
    assert prepared.quote is not None
    assert prepared.demanded_quote is not None
    assert (prepared.quote.total, prepared.quote.forced) == (6, False)
    assert (prepared.demanded_quote.total, prepared.demanded_quote.forced) == (9, True)


@pytest.mark.parametrize(
    ("route", "heeded"),
    [
        (heeding(ClientDirectives.honour), True),
        (public_route("/v1/{rest:.*}", cache=replace(TTL, client_directives=ClientDirectives.price)), True),
        (heeding(ClientDirectives.ignore), False),
        (make_route(), False),
    ],
    ids=["honoured", "public", "ignored", "uncached"],
)
def test_other_directives_have_none(route: Route, heeded: bool) -> None:
    prepared = prepare(route, make_request(PRODUCT, fields=NO_CACHE))
    assert (prepared.demands is not None, prepared.demanded_quote) == (heeded, None)


def test_without_directives_nothing_is_demanded() -> None:
    prepared = prepare(heeding(ClientDirectives.price), make_request(PRODUCT))
    assert (prepared.demands, prepared.demanded_quote) == (None, None)


RANGE, MATCH = {"Range": "bytes=0-1"}, {"If-None-Match": '"a"'}


@pytest.mark.parametrize(
    ("route", "method", "given", "conditional", "ranged"),
    [
        (seed_route(), "GET", RANGE, True, True),
        (seed_route(), "GET", MATCH, True, False),
        (seed_route(), "GET", {}, False, False),
        (seed_route(), "HEAD", RANGE, False, False),
        (seed_route(), "HEAD", MATCH, True, False),
        (seed_route(tokens_in_body=True), "GET", RANGE, False, False),
        (make_route(), "GET", RANGE | MATCH, False, False),
    ],
    ids=["Range", "precondition", "neither", "HEAD of a range", "HEAD", "tokens in the body", "uncached"],
)
def test_what_may_narrow_the_answer(
    route: Route, method: str, given: dict[str, str], conditional: bool, ranged: bool
) -> None:
    prepared = prepare(route, make_request(PRODUCT, method, given))
    assert (prepared.conditional, prepared.ranged) == (conditional, ranged)


def test_a_stored_response_belongs_to_its_own_scopes_groups_and_to_everyones() -> None:
    """A refresh outdates within its scope; an unsafe request outdates for everyone, by path, tag and given name."""
    cache = replace(TTL, share=Share.key, tags=(Tag.parse("product:{id}"),))
    prepared = prepare(seed_route(cache=cache), make_request(PRODUCT))
    everyones = (group("api", PRODUCT), group("api", "product:7"), group("api", "news"))
    assert prepared.memberships(["news"]) == (group("api", "product:7", prepared.scope), *everyones)


def test_what_everyone_shares_has_a_scope_like_any_other() -> None:
    assert prepare(seed_route(), make_request(PRODUCT)).memberships() == (
        group("api", PRODUCT, ""),
        group("api", PRODUCT),
    )


def test_another_request_with_the_same_head_is_prepared_alike() -> None:
    prepared = prepare(heeding(ClientDirectives.price), make_request(PRODUCT, fields=NO_CACHE | RANGE))
    other = make_request(PRODUCT, fields=NO_CACHE | RANGE)
    copied = prepared.for_request(other)
    assert copied.request is other
    rest = [field.name for field in fields(Prepared) if field.name != "request"]
    assert [getattr(copied, name) for name in rest] == [getattr(prepared, name) for name in rest]
