"""The request that goes on to the upstream."""

from admission.snapshots import make_request, make_route, make_snapshot, seed_route
from stores.samples import sample

from gateway.admission.forwarding import forwarded
from gateway.admission.prepare import Preparer
from gateway.messages import Outgoing, Request
from gateway.onward import for_lookup, for_pass

ITEM = "/v1/products/1"


def passed(request: Request, *trusted: str) -> Outgoing:
    snapshot = make_snapshot(make_route(), trusted_proxies=trusted)
    return for_pass(Preparer(snapshot).prepare(request), snapshot, "id-1")


def test_a_lookup_is_a_get_of_its_own_whatever_the_client_asked_of_it() -> None:
    snapshot = make_snapshot(seed_route())
    conditions = {"If-None-Match": '"clients"', "Range": "bytes=0-1", "X-Forwarded-For": "1.2.3.4"}
    prepared = Preparer(snapshot).prepare(make_request(ITEM, "HEAD", conditions))
    outgoing = for_lookup(prepared, forwarded(prepared, snapshot), "id-1")
    assert (outgoing.method, outgoing.target, outgoing.body) == ("GET", ITEM, None)
    assert (outgoing.fields["X-Request-Id"], outgoing.fields["Via"]) == ("id-1", "1.1 gateway")
    assert outgoing.fields["Authorization"] == "Bearer upstream"
    assert conditions.keys().isdisjoint(outgoing.fields)


def test_a_validation_is_conditional_on_what_is_stored() -> None:
    snapshot = make_snapshot(seed_route(forward=("If-None-Match",)))
    prepared = Preparer(snapshot).prepare(make_request(ITEM, fields={"If-None-Match": '"clients"'}))
    outgoing = for_lookup(prepared, forwarded(prepared, snapshot), "id-1", validating=sample(etag='"ours"'))
    assert outgoing.fields.getall("If-None-Match") == ['"ours"']


def test_a_pass_is_the_clients_own_request() -> None:
    request = make_request(ITEM, "PUT", {"X-Unknown": "1", "Via": "1.0 before"}, body=True)
    outgoing = passed(request)
    assert (outgoing.method, outgoing.target, outgoing.body) == ("PUT", ITEM, request.body)
    assert (outgoing.fields["X-Unknown"], outgoing.fields["Via"]) == ("1", "1.0 before, 1.1 gateway")
